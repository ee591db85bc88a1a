"""Channels: every distortion does what it says, and all together stay usable."""

from dataclasses import replace

import numpy as np
import pytest

from voicemesh.audio.recording import SAMPLE_RATE
from voicemesh.population import channel, rooms
from voicemesh.population.channel import ChannelRecipe, transmit
from voicemesh.population.law import draw
from voicemesh.population.rooms import room_response
from voicemesh.population.speech import speak
from voicemesh.population.voices import habitual

NOTHING = ChannelRecipe(*[0.0] * len(ChannelRecipe.__dataclass_fields__))


@pytest.fixture(scope="module")
def speech():
    return speak(habitual(draw(4, seed=1), 1), np.random.default_rng(0), 2.0)


def band(x: np.ndarray, low: float, high: float) -> float:
    """Power between two frequencies, dB."""
    power = np.abs(np.fft.rfft(x)) ** 2
    f = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    return 10 * np.log10(power[(f >= low) & (f < high)].sum() + 1e-12)


def test_nothing_is_level_and_polarity_alone(speech):
    signs, levels = set(), []
    for seed in range(40):
        heard = transmit(speech, np.random.default_rng(seed), recipe=NOTHING).astype(float)
        correlation = np.corrcoef(heard, speech)[0, 1]
        assert abs(correlation) > 0.995  # peaks are clipped at the loudest levels
        signs.add(np.sign(correlation))
        levels.append(20 * np.log10(heard.std() / 0.1))
    assert signs == {-1.0, 1.0}
    assert -24.1 < min(levels) < -20 and 2 < max(levels) < 6.1


def louder(speech, others=(), **distorted):
    """By how many dB the speech is louder than what one distortion adds, many times over."""
    recipe, found = replace(NOTHING, **distorted), []
    for seed in range(40):
        heard = transmit(speech, np.random.default_rng(seed), others, recipe).astype(float)
        if np.abs(heard).max() < 1:
            added = heard / (heard @ speech / (speech @ speech)) - speech
            found.append(20 * np.log10(speech.std() / added.std()))
    assert len(found) > 20
    return found


def test_noise_and_babble_are_softer_than_the_voice(speech):
    noise = louder(speech, noise=1)
    assert 5 < min(noise) < 14 and 34 < max(noise) < 40.5  # a hum adds 2 dB to it at most
    babble = louder(speech, [speech[::-1], np.roll(speech, 9000)], babble=1)
    assert 7.5 < min(babble) < 12 and 26 < max(babble) < 30.5


def test_without_a_telephone_highs_may_be_lost(speech):
    lost = []
    for seed in range(10):
        heard = transmit(speech, np.random.default_rng(seed), recipe=replace(NOTHING, low_pass=1))
        for low, high in ((7560, 8000), (2500, 3500)):
            lost.append(
                (band(speech, low, high) - band(speech, 500, 2500))
                - (band(heard, low, high) - band(heard, 500, 2500))
            )
    assert min(lost[::2]) > 3 and np.abs(lost[1::2]).max() < 1


def test_clipping_cuts_the_peaks_alone(speech):
    heard = transmit(speech, np.random.default_rng(1), recipe=replace(NOTHING, clipping=1))
    flat = np.abs(heard) > 0.999 * np.abs(heard).max()
    assert 0.001 <= flat.mean() <= 0.016
    scale = (heard[~flat] @ speech[~flat]) / (speech[~flat] @ speech[~flat])
    np.testing.assert_allclose(heard[~flat], scale * speech[~flat], atol=1e-5)


def test_everything_at_once_is_still_a_recording(speech):
    every = ChannelRecipe(*[1.0] * len(ChannelRecipe.__dataclass_fields__))
    for seed in range(8):
        heard = transmit(speech, np.random.default_rng(seed), [speech[::-1]], every)
        assert heard.shape == speech.shape and heard.dtype == np.float32
        assert np.isfinite(heard).all() and np.abs(heard).max() <= 1 and heard.std() > 3e-3
    again = transmit(speech, np.random.default_rng(7), [speech[::-1]], every)
    np.testing.assert_array_equal(heard, again)


def test_the_telephone_cuts_both_ends(speech):
    heard = transmit(
        speech, np.random.default_rng(3), recipe=ChannelRecipe(0, 0, 0, 0, 1, 0, 0, 0, 0)
    )
    for low, high in ((0, 80), (4500, 8000)):
        lost = (band(speech, low, high) - band(speech, 500, 2500)) - (
            band(heard, low, high) - band(heard, 500, 2500)
        )
        assert lost > 25


def test_the_equaliser_follows_its_points(speech):
    points = np.array([0.0, 900.0, 1000.0, 2000.0, 2100.0, 8000.0])
    out = channel.equalise(speech, np.array([0.0, 0.0, -12.0, -12.0, 0.0, 0.0]), points)
    assert band(out, 1010, 1990) - band(speech, 1010, 1990) == pytest.approx(-12, abs=0.3)
    assert band(out, 100, 800) - band(speech, 100, 800) == pytest.approx(0, abs=0.1)


def test_between_its_points_the_equaliser_goes_by_octaves():
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
    out = channel.equalise(noise, np.array([0.0, 0.0, -20.0]), np.array([0.0, 480.0, 7980.0]))
    middle = 500 * 2 - 20  # an octave of the four from 500 to 8000, each less 20 Hz
    fallen = band(out, middle - 10, middle + 10) - band(noise, middle - 10, middle + 10)
    assert fallen == pytest.approx(-5, abs=0.1)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_by_its_slope(slope):
    noise = channel.coloured_noise(np.random.default_rng(0), 100_000, slope)
    octaves = band(noise, 1000, 1100) - band(noise, 4000, 4400)
    # The upper band is four times as wide and two octaves away.
    assert octaves == pytest.approx(2 * 3.01 * slope - 6.02, abs=0.7)
    assert noise.std() == pytest.approx(1)


def test_gain_control_levels_a_quiet_part():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4 * SAMPLE_RATE)
    x[2 * SAMPLE_RATE :] *= 0.1
    y = channel.gain_control(x, 0.8, 0.1)
    before, after = (20 * np.log10(v[:30_000].std() / v[-30_000:].std()) for v in (x, y))
    assert before == pytest.approx(20, abs=0.5) and after == pytest.approx(4, abs=1)


def test_companding_is_nearly_the_same_and_coarse(speech):
    coded = channel.companded(speech.astype(float))
    assert len(np.unique(coded)) <= 255
    noise = coded - speech
    assert 28 < 20 * np.log10(speech.std() / noise.std()) < 45


def test_the_coder_loses_weak_bins_and_keeps_the_signal(speech):
    coded = channel.transform_coded(speech.astype(float), 0.3, 0.4)
    assert coded.shape == speech.shape
    assert 3 < 20 * np.log10(speech.std() / (coded - speech).std()) < 40


def test_what_a_louder_neighbour_hides_vanishes():
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    loud, soft = np.sin(2 * np.pi * 1000 * t), 0.03 * np.sin(2 * np.pi * 1150 * t)
    hidden, kept = (
        band(channel.transform_coded(loud + soft, threshold, 1e-4), 1140, 1160)
        for threshold in (0.3, 0.0)
    )
    assert kept == pytest.approx(band(soft, 1140, 1160), abs=1) and hidden < kept - 15


def test_frames_of_the_coder_add_up(speech):
    coded = channel.transform_coded(speech.astype(float), 0.0, 1e-7)
    np.testing.assert_allclose(coded, speech, atol=1e-6)


def test_rooms_begin_with_the_direct_sound_and_fade():
    for seed in range(10):
        response = room_response(np.random.default_rng(seed))
        assert response[0] == 1.0 and np.isfinite(response).all()
        quarter = len(response) // 4
        assert (response[1:quarter] ** 2).sum() > 3 * (response[-quarter:] ** 2).sum()


def test_files_hold_the_full_range():
    values = channel.to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 2.0], np.float32))
    assert values.tolist() == [-32767, -32767, 0, 16384, 32767]


def test_the_tail_falls_by_sixty_decibels_in_its_time():
    tail = rooms._tail(np.random.default_rng(0), 0.4)
    early, late = (10 * np.log10((tail[a : a + 1600] ** 2).mean()) for a in (800, 4000))
    assert 25 < early - late < 50  # .2 s: 30 dB, and the highs fall faster


def test_a_tail_falls_as_long_as_its_room_rings():
    slopes = []
    for seconds in (0.2, 0.6):
        for seed in range(8):
            tail = rooms._tail(np.random.default_rng(seed), seconds)
            blocks = tail[320 : len(tail) // 320 * 320].reshape(-1, 320)
            level = 10 * np.log10((blocks**2).mean(1))
            slopes.append(np.polyfit(0.02 * np.arange(len(level)), level, 1)[0] * seconds)
    # The lows fall by 60 dB in that time, the highs in 40 to 90 % of it; the slower one is heard.
    assert -85 < min(slopes) and max(slopes) < -57


def test_echoes_arrive_when_sound_has_gone_their_way():
    size, mouth, microphone = np.array([[6.0, 5.0, 3.0], [2.1, 1.7, 1.4], [3.7, 3.4, 1.8]])
    echoes = rooms._echoes(size, mouth, microphone, 0.4, 2000)
    direct, ways = np.linalg.norm(mouth - microphone), []
    for axis in range(3):
        for wall in (0.0, size[axis]):
            mirrored = mouth.copy()
            mirrored[axis] = 2 * wall - mouth[axis]
            ways.append(np.linalg.norm(mirrored - microphone))
    arrivals = [round((way - direct) / 343 * SAMPLE_RATE) for way in ways]
    absorbed = 0.161 * 90 / (126 * 0.4)
    expected = np.sqrt(1 - absorbed) * direct / np.array(ways)
    np.testing.assert_allclose(echoes[arrivals], expected)
    assert not echoes[: min(arrivals)].any()


def test_far_from_the_mouth_the_tail_is_louder():
    distances, tails = [], []
    for seed in range(60):
        luck = np.random.default_rng(seed)
        luck.uniform(size=6), luck.standard_normal(3)  # the room, the mouth, the direction
        distances.append(luck.uniform())
        response = room_response(np.random.default_rng(seed))
        tails.append(np.log((response[320:1600] ** 2).sum()))
    assert np.corrcoef(distances, tails)[0, 1] > 0.5


def test_every_wall_takes_its_share():
    size, mouth, microphone = np.array([[6.0, 5.0, 3.0], [2.1, 1.7, 1.4], [3.9, 3.3, 1.8]])
    dull, bright = (rooms._echoes(size, mouth, microphone, t, 2000) for t in (0.1, 20.0))
    ratio = dull[bright > 0] / bright[bright > 0]
    once = np.sqrt(0.05 / 0.98)  # at most and at least 95 % and 2 % are absorbed
    assert ratio.max() == pytest.approx(once) and ratio.min() == pytest.approx(once**2)

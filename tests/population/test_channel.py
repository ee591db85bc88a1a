"""Channels: every distortion does what it says, and all together stay usable."""

import numpy as np
import pytest

from voicemesh.audio.recording import SAMPLE_RATE
from voicemesh.population import channel
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
    signs = set()
    for seed in range(12):
        heard = transmit(speech, np.random.default_rng(seed), recipe=NOTHING).astype(float)
        correlation = np.corrcoef(heard, speech)[0, 1]
        assert abs(correlation) > 0.995  # peaks are clipped at the loudest levels
        signs.add(np.sign(correlation))
    assert signs == {-1.0, 1.0}


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

"""Voices speak as their people's parameters say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from voicemesh.audio.recording import SAMPLE_RATE
from voicemesh.population.law import draw
from voicemesh.population.phonemes import CONSONANTS, VOWELS, utterance
from voicemesh.population.speech import articulate, prosody, resonances, speak
from voicemesh.population.tables import VOICE
from voicemesh.population.tables import VOWELS as VOWEL_NAMES
from voicemesh.population.tract import (
    BLOCK,
    decimator,
    glottis,
    hisses,
    lf_pulse,
    pulse_tables,
    vocal_tract,
)
from voicemesh.population.voices import (
    draw_effort,
    draw_strong,
    habitual,
    in_session,
    raised,
    strained,
)


@pytest.fixture(scope="module")
def people():
    return draw(40, seed=11)


@pytest.fixture
def voice(people):
    return habitual(people, 2)


def pitch(waveform: np.ndarray, low: float = 55, high: float = 400) -> float:
    """Median pitch in Hz of the most periodic frames, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 1024)[::400] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames, 4096, axis=1)) ** 2
    lags = np.fft.irfft(power, axis=1)[:, : SAMPLE_RATE // 55]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(1024), 4096)) ** 2)[: lags.shape[1]]
    lags = lags / (lags[:, :1] + 1e-9) / (window / window[0])
    first = int(SAMPLE_RATE / high)
    best = first + lags[:, first : int(SAMPLE_RATE / low)].argmax(1)
    clear = lags[np.arange(len(lags)), best] > 0.8
    return SAMPLE_RATE / float(np.median(best[clear]))


@pytest.mark.parametrize(
    "rd, excess", [(0.4, -3.0), (0.7, 0.3), (1.0, 3.8), (1.6, 10.3), (2.0, 13.5)]
)
def test_the_first_harmonic_grows_with_rd(rd, excess):
    spectrum = np.abs(np.fft.rfft(lf_pulse(rd)[0]))
    assert 20 * np.log10(spectrum[1] / spectrum[2]) == pytest.approx(excess, abs=0.6)


def test_pulses_return_to_rest():
    pulses, flows = pulse_tables()
    assert np.abs(pulses.mean(1)).max() < 5e-3 and pulses.min() == pytest.approx(-1, abs=1e-2)
    assert flows.min() == 0 and flows.max() == 1


def test_the_glottis_keeps_its_pitch():
    blocks = 400
    tracks = np.full(blocks, 137.0), np.full(blocks, 1.1), np.zeros(blocks)
    luck = np.random.default_rng(0).standard_normal((400, 2))
    source, flow = glottis(*tracks, 0.0, 0.0, luck, *pulse_tables(), decimator())
    power = np.abs(np.fft.rfft(source * np.hanning(len(source)), 8 * len(source)))
    assert power.argmax() * SAMPLE_RATE / (8 * len(source)) % 137 == pytest.approx(0, abs=0.3)
    assert 0 <= flow.min() and flow.max() <= 1


def sounded(jitter=0.0, shimmer=0.0, creak=0.0, luck=1.0):
    """Power at multiples of a tenth of 100 Hz, of two seconds at that pitch."""
    blocks = 400
    tracks = np.full(blocks, 100.0), np.full(blocks, 1.1), np.full(blocks, creak)
    source, _ = glottis(
        *tracks, jitter, shimmer, np.full((9, 2), luck), *pulse_tables(), decimator()
    )
    return np.abs(np.fft.rfft(source[6400:22400] * np.hanning(16_000)))[::10]


def test_luck_changes_the_length_and_the_height_of_periods():
    usual = sounded()
    assert usual[:16].argmax() % 10 == 0
    assert sounded(jitter=np.log(1.1))[6:16].argmax() + 6 == 11  # phases run faster
    np.testing.assert_allclose(sounded(shimmer=np.log(2.0)), 2 * usual, rtol=1e-3)


def test_creak_makes_every_other_period_weaker():
    usual, creaky = sounded(luck=0.0), sounded(creak=1.0, luck=0.0)
    assert usual[5] < 0.01 * usual[10] and creaky[5] > 0.2 * creaky[10]


@pytest.mark.parametrize("tilt", [0.4, -0.3])
def test_tilt_darkens_and_brightens_and_breath_follows_the_flow(tilt):
    """All of it before the tract: the same filter serves what is expected."""
    blocks = 3
    rng = np.random.default_rng(0)
    source, noise = rng.standard_normal((2, blocks * BLOCK)).astype(np.float32)
    flow = rng.random(blocks * BLOCK).astype(np.float32)
    poles = np.tile([2500.0, 1500.0, 500.0], (blocks, 1))
    shape = poles, 0 * poles + 90, *(np.full(blocks, v) for v in (1000.0, 130.0, 270.0, 110.0))
    levels = np.array([[0.0, 1.0, 0.5, 0.2], [0.3, 0.0, 0.8, 0.0]])
    y = vocal_tract(source, flow, noise, levels, 0.05, tilt, *shape)
    if tilt > 0:
        shaded = lfilter([1 - tilt], [1, -tilt], source)
    else:
        shaded = lfilter([1 / (1 + tilt), tilt / (1 + tilt)], [1], source)
    times = np.arange(blocks * BLOCK) / BLOCK
    voicing, hiss = (np.interp(times, np.arange(blocks + 1), level) for level in levels)
    breathed = 0.05 * 4 * voicing * (0.3 + 0.7 * flow) + 0.12 * hiss + 0.0006
    mixed = (shaded * voicing + noise * breathed).astype(np.float32)
    still = np.zeros_like(flow), np.zeros_like(flow), np.ones((2, blocks + 1)), 0.0, 0.0
    np.testing.assert_allclose(y, vocal_tract(mixed, *still, *shape), atol=1e-4 * np.abs(y).max())


def test_the_tract_is_its_poles_and_zeros():
    blocks, width = 3, 90.0
    source = np.random.default_rng(0).standard_normal(blocks * BLOCK).astype(np.float32)
    poles = np.tile([2500.0, 1500.0, 500.0], (blocks, 1))
    nasal = [np.full(blocks, value) for value in (1000.0, 130.0, 270.0, 110.0)]
    levels = np.stack([np.ones(blocks + 1), np.zeros(blocks + 1)])
    quiet = np.zeros_like(source)
    y = vocal_tract(source, quiet, quiet, levels, 0.0, 0.0, poles, 0 * poles + width, *nasal)

    def section(frequency: float, bandwidth: float) -> np.ndarray:
        r = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        return np.array([1, -2 * r * np.cos(2 * np.pi * frequency / SAMPLE_RATE), r * r])

    expected = source.astype(float)
    for frequency in poles[0]:
        a = section(frequency, width)
        expected = lfilter([a.sum()], a, expected)
    zero, pole = section(1000, 130), section(270, 110)
    expected = lfilter(zero / zero.sum(), [1], expected)
    expected = lfilter([pole.sum()], pole, expected)
    np.testing.assert_allclose(y, expected, atol=1e-4 * np.abs(expected).max())


def test_hisses_lie_where_they_are_asked_to():
    blocks = 400
    noise = np.random.default_rng(1).standard_normal(blocks * BLOCK).astype(np.float32)
    y = hisses(noise, np.full(blocks + 1, 2.0), np.full(blocks, 5200.0), np.full(blocks, 800.0))
    power = np.abs(np.fft.rfft(y)) ** 2
    f = np.fft.rfftfreq(len(y), 1 / SAMPLE_RATE)
    assert (power * f).sum() / power.sum() == pytest.approx(5200, rel=0.06)


@pytest.mark.parametrize("person", [0, 1, 2, 3])
def test_pitch_is_the_voices(people, person):
    voice = replace(habitual(people, person), creak=0.0, breath=0.005)
    waveform = speak(voice, np.random.default_rng(person), 6.0)
    assert pitch(waveform) == pytest.approx(voice.f0, rel=0.06)


def test_an_utterance_is_repeatable_and_level(voice):
    one, two = (speak(voice, np.random.default_rng(7), 2.5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (40_000,) and one.dtype == np.float32
    assert one.std() == pytest.approx(0.1, rel=0.01)
    assert not np.array_equal(one, speak(voice, np.random.default_rng(8), 2.5))


def test_formants_scale_with_the_tract(voice):
    shorter = replace(voice, tract=voice.tract / 1.1)
    usual, raised_up = (
        articulate(v, np.random.default_rng(3), 600).formants for v in (voice, shorter)
    )
    assert np.median(raised_up / usual, axis=0) == pytest.approx([1.1, 1.1, 1.1], rel=1e-6)


def test_the_mouth_moves_the_second_formant_against_the_first(voice):
    larger = replace(voice, oral=voice.oral + 2)
    usual, moved = (articulate(v, np.random.default_rng(3), 600).formants for v in (voice, larger))
    ratio = np.median(moved / usual, axis=0)
    assert ratio[0] > 1.05 and ratio[1] < 0.95 and abs(ratio[2] - 0.99) < 0.003


def test_prosody_has_the_spread_asked_for(voice):
    calm = replace(voice, creak=0.0, f0_spread=4.0)
    rng = np.random.default_rng(5)
    f0, rd, creak, wobble = prosody(calm, articulate(calm, rng, 3000), rng)
    semitones = 12 * np.log2(f0 / calm.f0)
    assert semitones.std() == pytest.approx(4.0, abs=0.3)
    assert np.median(semitones) == pytest.approx(0, abs=0.2)
    assert creak.max() == 0 and len(rd) == len(wobble) == 3000


def test_resonances_fill_the_band(voice):
    poles, widths = resonances(voice, articulate(voice, np.random.default_rng(0), 50))
    assert (np.diff(poles, axis=1) < 0).all() and poles.max() < 7700
    assert widths.min() >= 30


def test_effort_raises_pitch_and_its_companions(voice):
    loud = raised(voice, 6.0, np.random.default_rng(0))
    assert loud.f0 == pytest.approx(voice.f0 * 2**0.5)
    assert loud.rd < voice.rd and loud.tilt < voice.tilt and loud.f1_shift > 1.05
    assert loud.tract == voice.tract
    assert raised(voice, 0.0, np.random.default_rng(0)) is voice


def test_strong_effort_lifts_the_pitch_with_formants_and_larynx(voice):
    voice = replace(voice, small=False)
    loud = [strained(voice, 10.0, np.random.default_rng(i)) for i in range(200)]

    def heard(name):
        return np.array([getattr(one, name) for one in loud])

    assert heard("f0") == pytest.approx(voice.f0 * 2 ** (10 / 12))
    shorter, opened = heard("tract") / voice.tract, np.log(heard("f1_shift")) / 10
    assert 0.94 < shorter.min() < 0.945 and 0.995 < shorter.max() <= 1
    assert 0.005 <= opened.min() < 0.007 and 0.018 < opened.max() <= 0.02
    assert (heard("rate") <= voice.rate).all() and (heard("tilt") < voice.tilt - 1).all()
    # Some voices are pressed to the end, as in anger; others rise more as they are, as in fear.
    pressed = voice.rd - heard("rd")
    assert pressed.min() < 0.3 and pressed.max() > 0.4
    assert np.corrcoef(pressed, heard("tilt"))[0, 1] < -0.7
    assert np.median(heard("f0_spread")) < voice.f0_spread * 1.6
    assert strained(voice, 40.0, np.random.default_rng(0)).f0 == 430


def test_women_raise_their_pitch_less_and_all_else_as_far(voice):
    man, woman = (replace(voice, small=small) for small in (False, True))
    for seed in range(20):
        his, hers = (
            strained(who, effort, np.random.default_rng(seed))
            for who, effort in ((man, 14.0), (woman, 9.0))
        )
        assert his.f0 > hers.f0
        for name in ("tract", "rd", "tilt", "f0_spread", "rate", "f1_shift", "breath"):
            assert getattr(his, name) == pytest.approx(getattr(hers, name))


def test_men_raise_their_voices_further():
    rng = np.random.default_rng(0)
    men, women = (np.array([draw_strong(rng, mode) for _ in range(2000)]) for mode in (0, 1))
    assert 4 <= men.min() < 4.1 and 13.9 < men.max() <= 14
    assert 2 <= women.min() < 2.1 and 8.9 < women.max() <= 9


def test_a_strong_session_is_strained(people):
    calm, strong, usual = (
        in_session(people, 5, np.random.default_rng(1), effort, loud)
        for effort, loud in ((0.0, False), (8.0, True), (8.0, False))
    )
    assert strong.f0 == pytest.approx(calm.f0 * 2 ** (8 / 12)) and strong.f0 == usual.f0
    assert strong.tract < calm.tract == usual.tract
    assert strong.rate < calm.rate == usual.rate


def test_efforts_are_calm_in_a_share_of_the_sessions():
    rng = np.random.default_rng(0)
    efforts = np.array([draw_effort(rng, 0.4, 2.0, 3.0) for _ in range(5000)])
    assert (efforts == 0).mean() == pytest.approx(0.4, abs=0.03)
    assert efforts[efforts != 0].mean() == pytest.approx(2.0, abs=0.2)
    assert efforts.min() == -2 and efforts.max() == 9


def test_a_session_changes_the_voice_a_little(people):
    f0 = [in_session(people, 5, np.random.default_rng(i)).f0 for i in range(400)]
    usual = np.exp(people.voice[5, VOICE.index("log_f0")])
    assert np.log(f0).std() == pytest.approx(0.055, rel=0.15)
    assert np.median(f0) == pytest.approx(usual, rel=0.02)


def test_speech_is_of_known_sounds_and_as_long_as_asked():
    phones = utterance(np.random.default_rng(2), 30.0, rate=1.3)
    spoken = [phone for phone in phones if phone.name]
    assert {phone.name for phone in spoken} <= {*VOWELS, *CONSONANTS}
    durations = [(VOWELS.get(p.name) or CONSONANTS[p.name]).duration for p in spoken]
    pauses = sum(phone.seconds for phone in phones)
    assert 30 <= 0.8 * sum(durations) / 1000 / 1.3 + pauses < 36
    assert tuple(VOWELS) == tuple(VOWEL_NAMES)
    vowels = [phone.name for phone in spoken if phone.name in VOWELS]
    assert vowels.count("AX") > vowels.count("UH")

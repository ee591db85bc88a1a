import numpy as np
import pytest

from voicemesh.audio import vad
from voicemesh.audio.recording import SAMPLE_RATE, Recording, UnusableRecording

SECONDS = 4
COUNT = SECONDS * SAMPLE_RATE
TIME = np.arange(COUNT) / SAMPLE_RATE


def coloured(rng, slope):
    """Noise whose amplitude falls with frequency to the power of `slope`."""
    spectrum = np.fft.rfft(rng.standard_normal(COUNT))
    shaped = spectrum * np.maximum(np.fft.rfftfreq(COUNT), 1 / COUNT) ** -slope
    noise = np.fft.irfft(shaped, COUNT)
    return noise / np.abs(noise).max()


def clicks(rng):
    return (rng.random(COUNT) < 5e-4) * rng.standard_normal(COUNT)


NOISES = {
    "white": lambda rng: coloured(rng, 0),
    "pink": lambda rng: coloured(rng, 0.5),
    "brown": lambda rng: coloured(rng, 1),
    "gusts": lambda rng: coloured(rng, 0.8) * np.clip(3 * np.sin(np.pi * TIME), 0.01, 1),
    "hum": lambda rng: sum(np.sin(2 * np.pi * 50 * k * TIME) / k for k in range(1, 8)),
    "tone": lambda rng: np.sin(2 * np.pi * 330 * TIME),
    "clicks": clicks,
    "last bit": lambda rng: np.round(0.6 * rng.standard_normal(COUNT)) / 32768,
}


def recording(waveform):
    return Recording(np.asarray(waveform, np.float32), "mine.wav")


@pytest.mark.parametrize("level", [0.3, 1e-4])
@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_no_voice(kind, level, rng):
    with pytest.raises(UnusableRecording, match=r"No voice was heard in mine\.wav, only noise"):
        vad.speech(recording(level * NOISES[kind](rng)))


def test_speech_is_cut_out_of_silence(voice, rng):
    pad = 2 * SAMPLE_RATE
    long = np.pad(voice, pad) + 1e-4 * rng.standard_normal(len(voice) + 2 * pad)
    speech, segments = vad.speech(recording(long))
    assert segments[0, 0] > 0.9 * pad and segments[-1, 1] < len(long) - 0.9 * pad
    assert (segments[1:, 0] >= segments[:-1, 1]).all()
    assert len(speech) == np.diff(segments).sum() > SAMPLE_RATE
    first = segments[0]
    np.testing.assert_array_equal(
        speech[: first[1] - first[0]], long[slice(*first)].astype(np.float32)
    )


@pytest.mark.parametrize("gain", [2.0**-10, -1.0, -(2.0**-7)])
def test_level_and_polarity_do_not_matter(gain, voice):
    expected = vad.segments(voice)
    assert len(expected)
    np.testing.assert_array_equal(vad.segments(np.float32(gain) * voice), expected)
    moved = vad.segments(np.float32(gain) * voice + np.float32(0.2 * gain))
    assert abs(np.diff(moved).sum() - np.diff(expected).sum()) <= 4 * vad.FRAME


def test_a_voice_that_fades_is_heard_alike_upside_down(voice, rng):
    fading = voice * np.exp(-5 * np.arange(len(voice)) / SAMPLE_RATE).astype(np.float32)
    faint = fading + 1e-5 * rng.standard_normal(len(voice)).astype(np.float32)
    np.testing.assert_array_equal(vad.segments(-faint), vad.segments(faint))


def test_speech_in_noise_is_heard(voice, rng):
    loud = voice + 0.5 * voice.std() * rng.standard_normal(len(voice))
    speech, _ = vad.speech(recording(loud))
    assert len(speech) > SAMPLE_RATE


def test_too_little_speech_says_how_much(voice):
    start, stop = vad.segments(voice)[-1]
    word = voice[start : min(stop, start + SAMPLE_RATE // 2)]
    with pytest.raises(UnusableRecording, match=r"mine\.wav has 0\.\d s of speech; at least 1 s"):
        vad.speech(recording(np.pad(word, SAMPLE_RATE)))
    with pytest.raises(UnusableRecording, match="at least 30 s are needed"):
        vad.speech(recording(voice), least=30)


@pytest.mark.parametrize("samples", [1, 319, 320, 700])
def test_scraps_are_refused(samples, voice):
    with pytest.raises(UnusableRecording):
        vad.speech(recording(voice[8000 : 8000 + samples]))


def test_nothing_has_no_segments():
    assert vad.segments(np.zeros(0, np.float32)).shape == (0, 2)
    assert vad.segments(np.zeros(16_000, np.float32)).shape == (0, 2)


def test_the_collector_needs_two_frames_to_open_and_to_close():
    flags = np.array([0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1], bool)
    assert vad.collect(flags).tolist() == [[3, 10], [12, 14]]
    assert vad.collect(flags[:0]).shape == (0, 2)


def test_each_frame_is_asked_once_and_published_twice(voice):
    samples = np.round(voice * 32768).astype(np.int16)[: 40 * vad.FRAME]
    assert len(vad.frame_flags(samples)) == 40
    published = vad.published_segments(samples)
    assert 39 < len(published.calls) < 2 * 39  # the last frame is never looked at
    first = published.segments[0]
    kept = vad.joined(samples, published.segments)
    assert len(kept) == published.segments[:, 1].sum() * vad.FRAME
    np.testing.assert_array_equal(kept[:320], samples[first[0] * 320 : first[0] * 320 + 320])

"""Front ends of SSS and CMPC against librosa and their definitions in NumPy."""

import numpy as np
import pytest
import torch
from librosa.filters import mel

from voicemesh.audio import association
from voicemesh.audio.features import FRONT_ENDS


def voice(samples: int, seed: int = 0) -> np.ndarray:
    time = np.arange(samples) / 16_000
    noise = np.random.default_rng(seed).normal(size=samples)
    return 0.2 * np.sin(2 * np.pi * 210 * time) * (time % 0.5 < 0.3) + 0.01 * noise


def power(waveform: np.ndarray, window: np.ndarray, fft: int) -> np.ndarray:
    """Power spectrum [bins, frames] of the waveform, reflected at its ends, hop 160; float64."""
    padded = np.pad(waveform, fft // 2, mode="reflect")
    side = (fft - len(window)) // 2
    taper = np.pad(window, (side, fft - len(window) - side))
    starts = range(0, len(padded) - fft + 1, 160)
    return np.stack([np.abs(np.fft.rfft(padded[s : s + fft] * taper)) ** 2 for s in starts], 1)


def test_sss_is_its_definition():
    waveform = 32768 * voice(5000)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    filters = mel(sr=16_000, n_fft=512, n_mels=40, htk=True, norm=None, dtype=np.float64)
    log_mel = np.log(filters @ power(waveform, window, 512) + 1e-6)
    mean, variance = log_mel.mean(1, keepdims=True), log_mel.var(1, keepdims=True)
    batch = torch.from_numpy(waveform).float()[None]
    ours = association.sss_log_mel(batch)[0].double().numpy()
    assert ours.shape == (40, 1 + 5000 // 160)
    np.testing.assert_allclose(ours, log_mel, atol=2e-4)
    features = association.sss_features(batch)[0].double().numpy()
    np.testing.assert_allclose(features, (log_mel - mean) / np.sqrt(variance + 1e-5), atol=1e-3)


def test_cmpc_is_its_definition():
    waveform = voice(4000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1600) / 1600)
    filters = mel(sr=16_000, n_fft=1600, n_mels=64, dtype=np.float64)
    decibels = 10 * np.log10(np.maximum(filters @ power(waveform, window, 1600), 1e-10))
    target = np.maximum(decibels, decibels.max() - 80)
    ours = association.cmpc_log_mel(torch.from_numpy(waveform).float()[None])[0]
    np.testing.assert_allclose(ours.double().numpy(), target, atol=2e-3)


def test_sss_goes_round_to_ten_seconds_in_int16_units():
    speech = torch.from_numpy(voice(9000)).float()[None]
    features = FRONT_ENDS["sss"](speech)
    assert features.shape == (1, 40, 1001)
    whole = torch.cat([speech] * 18, 1)[:, :160_000]
    torch.testing.assert_close(features, association.sss_features(32768 * whole))
    samples = np.arange(5, dtype=np.int16)
    loaded = association.sss_loaded(np.stack([samples, samples + 9], 1))
    assert loaded.shape == (160_000,)
    assert loaded[3:8].tolist() == [3, 4, 0, 1, 2]
    assert association.sss(speech, samples=3200).shape == (1, 40, 21)
    with pytest.raises(ValueError, match="empty recording"):
        association.sss(torch.zeros(1, 0))


def test_silence_is_no_signal():
    floor = association.sss_log_mel(torch.zeros(1, 800))
    torch.testing.assert_close(floor, torch.full((1, 40, 6), 1e-6).log())
    assert association.sss(torch.zeros(1, 16_000)).abs().max() < 1e-3


@pytest.mark.parametrize(("frames", "padded"), [(301, 501), (300, 500), (499, 501), (500, 500)])
def test_cmpc_pads_both_sides_with_zero_decibels(frames, padded):
    log_mel = torch.full((2, 3, frames), -40.0)
    longer = association.cmpc_padded(log_mel, 500)
    assert longer.shape == (2, 3, padded)
    side = (padded - frames) // 2
    assert longer[:, :, :side].eq(0).all() and longer[:, :, padded - side :].eq(0).all()
    assert longer[:, :, side : side + frames].eq(-40).all()


def test_a_clip_lies_inside():
    log_mel = torch.arange(600.0).expand(1, 2, 600)
    assert association.cmpc_clip(log_mel, 37)[0, 0, [0, -1]].tolist() == [37, 536]
    assert association.cmpc_clip(log_mel, 3, 10).shape == (1, 2, 10)
    with pytest.raises(ValueError, match=r"cannot start at 101.*choose 0 to 100"):
        association.cmpc_clip(log_mel, 101)


@pytest.mark.parametrize(
    ("name", "least"), [("sss", 1001), ("cmpc", 500), ("cmpc2", 800), ("cmp", 1000)]
)
def test_front_ends_of_the_table_tell_their_channels(name, least):
    front_end = FRONT_ENDS[name]
    features = front_end(torch.from_numpy(np.stack([voice(16_000), voice(16_000, 1)])).float())
    assert features.shape[:2] == (2, front_end.channels)
    assert features.shape[2] in (least, least + 1)


def test_a_recording_too_short_to_reflect_is_refused():
    with pytest.raises(ValueError, match="800 samples; more than 800"):
        association.cmpc_log_mel(torch.zeros(1, 800))


def test_a_recording_is_floored_by_its_own_maximum():
    loud = torch.from_numpy(voice(4000)).float()
    both = association.cmpc_log_mel(torch.stack([loud, 1e-3 * loud]))
    torch.testing.assert_close(both[1:], association.cmpc_log_mel(1e-3 * loud[None]))
    assert both[0].max() - both[0].min() <= 80.001

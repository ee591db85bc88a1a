import numpy as np
import pytest
import torch

from voicemesh.kernels.log_mel import (
    MelSettings,
    log_mel_fft,
    log_mel_reference,
    mel_weights,
)
from voicemesh.kernels.log_mel_triton import Blocks, log_mel_triton

PUBLISHED = MelSettings()
OTHER = MelSettings(
    sample_rate=8000,
    window=320,
    hop=100,
    fft=512,
    mels=40,
    lowest=50,
    highest=3900,
    emphasis=0.8,
    floor=1e-3,
    scale=100.0,
    refill=False,
)
LENGTHS = [1, 159, 160, 401, 3200, 3337]  # nothing whole, nothing left over, odd
BLOCKS = {"blocks": Blocks(64, 512, 256)}  # few programs: each costs milliseconds


def by_definition(x, settings, prior):
    """One waveform, frame after frame and sample after sample."""
    x, last, rows = x.double().numpy() * settings.scale, float(prior) * settings.scale, []
    for t in range(settings.frames(len(x))):
        rest = x[t * settings.hop : t * settings.hop + settings.window]
        frame = np.resize(rest, settings.window) if len(rest) else np.zeros(settings.window)
        y = np.array([now - settings.emphasis * then for now, then in zip(frame, [last, *frame])])  # noqa: B905
        last = frame[-1]
        power = np.abs(np.fft.rfft(y * np.hamming(settings.window), settings.fft)) ** 2
        rows.append(np.log(np.maximum(power @ mel_weights(settings), settings.floor)))
    return np.stack(rows, 1)


@pytest.fixture
def voices():
    def make(samples, device="cpu"):
        t = torch.arange(samples) / 16_000
        tone = torch.sin(2 * torch.pi * torch.tensor([[180.0], [95.0]]) * t)
        wave = 0.2 * tone + 0.02 * torch.randn(2, samples)
        return wave.to(device), torch.tensor([0.3, -0.1], device=device)

    return make


@pytest.mark.parametrize("settings", [PUBLISHED, OTHER])
@pytest.mark.parametrize("samples", LENGTHS)
def test_reference_is_the_definition(samples, settings, voices):
    if settings.frames(samples) < 1:
        pytest.skip("shorter than a window")
    wave, prior = voices(samples)
    ours = log_mel_reference(wave.double(), settings, prior.double())
    for item in range(2):
        np.testing.assert_allclose(ours[item], by_definition(wave[item], settings, prior[item]))


@pytest.mark.parametrize("settings", [PUBLISHED, OTHER])
@pytest.mark.parametrize("samples", LENGTHS)
def test_fft_form_is_the_reference(samples, settings, voices):
    if settings.frames(samples) < 1:
        pytest.skip("shorter than a window")
    wave, prior = voices(samples)
    expected = log_mel_reference(wave.double(), settings, prior.double()).float()
    torch.testing.assert_close(log_mel_fft(wave, settings, prior), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("samples", "settings"), [(1, PUBLISHED), (160, PUBLISHED), (3337, PUBLISHED), (3337, OTHER)]
)
def test_triton_is_the_reference(samples, settings, voices, device):
    wave, prior = voices(samples, device)
    expected = log_mel_reference(wave.double(), settings, prior.double()).float()
    ours = log_mel_triton(wave, settings, prior, **BLOCKS)
    torch.testing.assert_close(ours, expected, atol=1e-3, rtol=0)

from dataclasses import replace

import numpy as np
import pytest
import torch
from kernels.launched import launched

from voicemesh.kernels.log_mel import (
    MelSettings,
    last_sample,
    log_mel,
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
# Few programs where each costs milliseconds; a GPU has less room.
BLOCKS = Blocks(64, 128, 16) if torch.cuda.is_available() else Blocks(64, 512, 256)
CLOSE = {"atol": 1e-3 if torch.cuda.is_available() else 1e-4, "rtol": 0}  # as float32's FFT is


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
    ("samples", "settings"),  # 3241: 41 are left at the end, whose inverse is rounded down
    [(1, PUBLISHED), (160, PUBLISHED), (3241, PUBLISHED), (3337, OTHER)],
)
@pytest.mark.parametrize("frames", [16, 64])  # of a program: fewer than a waveform's, and more
def test_triton_is_the_reference(samples, settings, frames, voices, device):
    wave, prior = voices(samples, device)
    expected = log_mel_reference(wave.double(), settings, prior.double()).float()
    ours = log_mel_triton(wave, settings, prior, BLOCKS._replace(frames=frames))
    torch.testing.assert_close(ours, expected, **CLOSE)


def test_triton_hears_every_item_at_its_own_loudness(device):
    settings = replace(PUBLISHED, floor=1e-20)
    wave = 0.01 * torch.randn(4, 900)
    wave[0] += 0.9 * (-1.0) ** torch.arange(900)  # emphasis and folding make four times of it
    wave[1, -1] = 3.0
    wave[2] *= 1e-10
    wave, prior = wave.to(device), torch.tensor([0.0, 0, 0, -3], device=device)
    expected = log_mel_reference(wave.double(), settings, prior.double()).float()
    ours = log_mel_triton(wave, settings, prior, BLOCKS)
    torch.testing.assert_close(ours, expected, **CLOSE)


@pytest.mark.parametrize("window", [401, 320])
def test_triton_hears_quiet_beside_loud(window, voices, device):
    settings = replace(PUBLISHED, window=window, hop=100, floor=1e-12)
    wave, prior = voices(1500, device)
    wave[1] *= 1e-4
    expected = log_mel_reference(wave.double(), settings, prior.double()).float()
    ours = log_mel_triton(wave, settings, prior, BLOCKS)
    torch.testing.assert_close(ours, expected, **CLOSE)
    nothing = wave[:, :0]
    expected = log_mel_reference(nothing.double(), settings, prior.double()).float()
    ours = log_mel_triton(nothing, settings, prior, BLOCKS)
    torch.testing.assert_close(ours, expected, **CLOSE)


def test_what_is_no_number_is_not_hidden(voices, device):
    wave, prior = voices(1200, device)
    wave[0, 300] = float("nan")
    expected = log_mel_reference(wave.double(), PUBLISHED, prior.double()).float()
    assert expected.isnan().any() and not expected[1].isnan().any()
    ours = log_mel_triton(wave, PUBLISHED, prior, BLOCKS)
    torch.testing.assert_close(ours, expected, **CLOSE, equal_nan=True)


def test_views_and_nothing_at_all(voices):
    wave, prior = voices(1600)
    view = wave.repeat_interleave(2, 1)[:, ::2]
    assert not view.is_contiguous()
    whole = log_mel_fft(wave, PUBLISHED, prior)
    torch.testing.assert_close(log_mel_fft(view, PUBLISHED, prior), whole)
    ours = launched(log_mel_triton)(view, PUBLISHED, prior, BLOCKS)
    torch.testing.assert_close(ours, whole, **CLOSE)
    for form in (log_mel_reference, log_mel_fft, log_mel_triton):
        assert form(wave[:0], PUBLISHED, prior[:0]).shape == (0, 64, 11)


def test_gradients(voices):
    settings = replace(OTHER, mels=5, window=40, hop=25, fft=64)
    wave, prior = voices(90)
    wave = wave.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: log_mel(x, settings), wave)
    (expected,) = torch.autograd.grad(log_mel_reference(wave, settings, prior.double()).sum(), wave)
    single = wave.detach().float().requires_grad_()
    (ours,) = torch.autograd.grad(log_mel_fft(single, settings, prior).sum(), single)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-4)


def test_an_extractor_remembers_its_last_sample(voices):
    wave, _ = voices(1000)
    torch.testing.assert_close(last_sample(wave, PUBLISHED), wave[:, 960 + 399 % 40])
    assert not last_sample(wave[:, :960], PUBLISHED).any()  # the last frame holds nothing


def test_silence_is_the_floor():
    assert (log_mel(torch.zeros(1, 500), PUBLISHED) == np.float32(np.log(1e-5))).all()


def test_filters_have_equal_area():
    weights = mel_weights(PUBLISHED)
    np.testing.assert_allclose(weights.sum(0), 0.064)
    assert (np.diff(weights.argmax(0)) > 0).all()


def test_published_filters_peak_at_even_steps_of_the_mel_scale():
    """64 of them between 20 and 7200 Hz, at the nearest bins of 15.625 Hz."""
    low, high = 1127 * np.log1p(np.array([20.0, 7200.0]) / 700)
    hertz = 700 * np.expm1(np.linspace(low, high, 66)[1:-1] / 1127)
    np.testing.assert_array_equal(mel_weights(PUBLISHED).argmax(0), np.round(hertz / 15.625))


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="319 samples is shorter than one window"):
        log_mel(torch.zeros(1, 319), OTHER)
    with pytest.raises(ValueError, match="hop <= window <= fft"):
        MelSettings(window=2000)
    with pytest.raises(ValueError, match="highest <= sample_rate / 2"):
        MelSettings(highest=9000)


def test_autocast_changes_nothing(voices):
    wave, prior = voices(3337)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = log_mel(wave, PUBLISHED, prior)
    torch.testing.assert_close(rounded, log_mel(wave, PUBLISHED, prior), atol=0, rtol=0)

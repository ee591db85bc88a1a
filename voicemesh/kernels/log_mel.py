"""Log-mel energies of waveforms, with the published ways of ending and of emphasising them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .launching import launches


@dataclass(frozen=True)
class MelSettings:
    """What a log-mel picture is made with; the defaults are those of voice2face and CMP."""

    sample_rate: int = 16_000
    window: int = 400  # samples; a symmetric Hamming window
    hop: int = 160  # samples
    fft: int = 1024  # points, zeros after the window
    mels: int = 64
    lowest: float = 20.0  # Hz
    highest: float = 7200.0  # Hz
    emphasis: float = 0.97  # y[j] = x[j] - emphasis * x[j - 1]
    floor: float = 1e-5  # of power, before the logarithm
    scale: float = 32768.0  # samples are multiplied by it first: the published range is int16
    refill: bool = True  # one frame a hop to the very end, short ones filled with themselves

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window <= self.fft:
            raise ValueError(f"0 < hop <= window <= fft is needed, given {self}")
        if not 0 <= self.lowest < self.highest <= self.sample_rate / 2:
            raise ValueError(f"0 <= lowest < highest <= sample_rate / 2 is needed, given {self}")

    def frames(self, samples: int) -> int:
        """How many frames so many samples give."""
        if self.refill:
            return samples // self.hop + 1
        return max(0, (samples - self.window) // self.hop + 1)


def log_mel(
    waveform: Float[Tensor, "batch samples"],
    settings: MelSettings,
    prior: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch mels frames"]:
    """Log-mel energies, one frame per `settings.hop` samples, frame t from sample t * hop on.

    Natural logarithm of power, floored at `settings.floor`; not normalised. With
    `settings.refill` a partial window at the end repeats itself cyclically, and is all zeros where
    nothing is left: the published weights were trained on that. Emphasis works inside a frame; what
    comes before a frame's first sample is the *last* sample of the frame before it (published, and
    audible only where a frame is silent), and `prior` (0 unless given) before the first frame.

    Float64 runs as the reference, float32 as batched FFTs, and CUDA tensors without gradients as
    one Triton kernel; autocast changes nothing.

    Raises:
        ValueError: the waveform is shorter than one window and `settings.refill` is off, or `prior`
            is not one sample an item on the waveform's device.

    Source: cmu-mlsp/reconstructing_faces_from_voices, mfcc.py, sig2logspec.
    """
    batch, samples = waveform.shape
    if settings.frames(samples) < 1:
        raise ValueError(
            f"A waveform of {samples} samples is shorter than one window ({settings.window})"
        )
    if prior is None:
        prior = waveform.new_zeros(batch)
    if prior.shape != (batch,) or prior.device != waveform.device:
        raise ValueError(
            f"A prior of shape {list(prior.shape)} on {prior.device} for {batch} waveforms on "
            f"{waveform.device}; give one sample each, there"
        )
    if waveform.dtype == torch.float64:
        return log_mel_reference(waveform, settings, prior)
    wanted = torch.is_grad_enabled() and waveform.requires_grad
    if not wanted and launches(waveform):
        from .log_mel_triton import log_mel_triton

        return log_mel_triton(waveform, settings, prior)
    with torch.autocast(waveform.device.type, enabled=False):
        return log_mel_fft(waveform, settings, prior)


def log_mel_reference(
    waveform: Float[Tensor, "batch samples"],
    settings: MelSettings,
    prior: Float[Tensor, " batch"],
) -> Float[Tensor, "batch mels frames"]:
    """`log_mel` as its definition reads: gathered frames and a discrete Fourier sum in float64."""
    wave = waveform.double() * settings.scale
    device = wave.device
    source, silent = _sources(wave.shape[1], settings)
    padded = torch.cat([wave, wave.new_zeros(len(wave), 1)], 1)
    frames = padded[:, source.to(device)].masked_fill(silent.to(device), 0)
    before = torch.cat([prior.double()[:, None] * settings.scale, frames[:, :-1, -1]], 1)
    emphasised = torch.cat(
        [
            frames[..., :1] - settings.emphasis * before[..., None],
            frames[..., 1:] - settings.emphasis * frames[..., :-1],
        ],
        2,
    )
    cosine, sine = (torch.from_numpy(basis).to(device) for basis in fourier_bases(settings))
    power = (emphasised @ cosine) ** 2 + (emphasised @ sine) ** 2
    energy = power @ torch.from_numpy(mel_weights(settings)).to(device)
    return energy.clamp(min=settings.floor).log().mT.to(waveform.dtype)


def log_mel_fft(
    waveform: Float[Tensor, "batch samples"],
    settings: MelSettings,
    prior: Float[Tensor, " batch"],
) -> Float[Tensor, "batch mels frames"]:
    """`log_mel` by real FFTs in float32: what a CPU runs, and what gradients flow through."""
    wave = waveform.float()
    emphasis, hop, window = settings.emphasis, settings.hop, settings.window
    count, samples = settings.frames(wave.shape[1]), wave.shape[1]
    whole = max(0, (samples - window) // hop + 1)
    if not len(wave):  # the transform refuses to do nothing
        return waveform.new_zeros(0, settings.mels, count)
    taper, weights, used = _tables(settings, wave.device)
    parts, last = [], prior.to(wave)[:, None]
    if whole:
        emphasised = torch.nn.functional.pad(wave[:, 1:] - emphasis * wave[:, :-1], (1, 0))
        frames = emphasised.unfold(1, window, hop)[:, :whole] * taper
        ends = wave[:, window - 1 :: hop][:, :whole]
        before = torch.cat([last, ends[:, :-1]], 1)
        first = (wave[:, ::hop][:, :whole] - emphasis * before) * taper[0]
        frames[..., 0] = first
        parts, last = [frames], ends[:, -1:]
    if count > whole:
        source, silent = _sources(samples, settings, whole)
        padded = torch.nn.functional.pad(wave, (0, 1))
        frames = padded[:, source.to(wave.device)].masked_fill(silent.to(wave.device), 0)
        before = torch.cat([last, frames[:, :-1, -1]], 1)[..., None]
        shifted = torch.cat([before, frames[..., :-1]], 2)
        parts.append((frames - emphasis * shifted) * taper)
    frames = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
    spectrum = torch.view_as_real(torch.fft.rfft(frames, settings.fft)[..., used]).square()
    energy = (spectrum[..., 0] + spectrum[..., 1]) @ weights
    return energy.clamp(min=settings.floor).log().mT.to(waveform.dtype)


def last_sample(
    waveform: Float[Tensor, "batch samples"], settings: MelSettings
) -> Float[Tensor, " batch"]:
    """The last sample of the last frame: the `prior` of what a published extractor hears next."""
    samples = waveform.shape[1]
    source, silent = _sources(samples, settings, settings.frames(samples) - 1)
    if silent.item():
        return waveform.new_zeros(len(waveform))
    return waveform[:, int(source[0, -1])]


def _sources(
    samples: int, settings: MelSettings, first: int = 0
) -> tuple[Int[Tensor, "frames window"], Bool[Tensor, "frames 1"]]:
    """Which sample each place of the frames from `first` on holds, and which frames hold none."""
    start = torch.arange(first, settings.frames(samples))[:, None] * settings.hop
    left = (samples - start).clamp(max=settings.window)
    place = torch.arange(settings.window)[None]
    return start + place % left.clamp(min=1), left < 1


def hamming(settings: MelSettings) -> Float[np.ndarray, " window"]:
    """The symmetric Hamming window."""
    return np.hamming(settings.window)


def fourier_bases(
    settings: MelSettings,
) -> tuple[Float[np.ndarray, "window bins"], Float[np.ndarray, "window bins"]]:
    """Cosines and sines of the zero-padded transform, the window folded in; float64."""
    places, bins = np.arange(settings.window), np.arange(settings.fft // 2 + 1)
    angles = 2 * np.pi * (np.outer(places, bins) % settings.fft) / settings.fft
    taper = hamming(settings)[:, None]
    return taper * np.cos(angles), taper * np.sin(angles)


@lru_cache(maxsize=16)
def mel_weights(settings: MelSettings) -> Float[np.ndarray, "bins mels"]:
    """Triangles of equal area on the mel scale, their edges rounded to bins of the transform."""
    step = settings.sample_rate / settings.fft
    low, high = (2595 * np.log10(1 + f / 700) for f in (settings.lowest, settings.highest))
    hertz = 700 * (10 ** (np.linspace(low, high, settings.mels + 2) / 2595) - 1)
    edges = np.round(hertz / step)
    left, centre, right = (edges[i : i + settings.mels][None] for i in range(3))
    k = np.arange(settings.fft // 2 + 1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.where((k > left) & (k <= centre), (k - left) / (centre - left), 0)
        falling = np.where((k > centre) & (k < right), (right - k) / (right - centre), 0)
        height = np.where(right > left, 2 / ((right - left) * step), 0)
    return (rising + falling) * height


@lru_cache(maxsize=16)
def _tables(
    settings: MelSettings, device: torch.device
) -> tuple[Float[Tensor, " window"], Float[Tensor, "used mels"], slice]:
    """Scaled window and the mel weights of the bins that any filter uses, in float32."""
    weights = mel_weights(settings)
    rows = np.flatnonzero(weights.any(1))
    used = slice(int(rows[0]), int(rows[-1]) + 1)
    taper = torch.from_numpy(hamming(settings) * settings.scale)
    return (
        taper.float().to(device),
        torch.from_numpy(weights[used]).float().to(device),
        used,
    )

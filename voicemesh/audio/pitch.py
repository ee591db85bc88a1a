"""How periodic a voice is at each candidate pitch, frame by frame."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SAMPLE_RATE = 16_000
THINNED = 4  # one sample in so many is looked at, band-limited: 4 kHz carry the band below
TAPS = 65  # of the low-pass before it: 60 dB down where thinning would fold into the band
CUTOFF = 2000.0  # Hz
CANDIDATES = 48  # pitches, evenly spaced in logarithm
LOWEST, HIGHEST = 60.0, 420.0  # Hz
WINDOW = 200  # thinned samples: 50 ms, three periods of the lowest pitch
POINTS = 270  # of the transform: a window and the longest lag, so that nothing wraps round
BETWEEN = 4  # lags looked at per candidate; the best of them counts
RUMBLE = 50.0  # Hz; what is below says nothing on pitch
BAND = 1500.0  # Hz; wider bands make peaks narrower than the distance of candidates


def candidates() -> Float[np.ndarray, " candidates"]:
    """The candidate pitches in Hz, low to high."""
    return np.geomspace(LOWEST, HIGHEST, CANDIDATES)


def pitch_map(
    waveform: Float[Tensor, "batch samples"], frames: int, first: int, hop: int
) -> Float[Tensor, "batch candidates frames"]:
    """Normalised autocorrelation at the candidate pitches, in about [-1, 1].

    Frame t is centred on sample `first + t * hop`; beyond the ends of the waveform there are zeros.
    The autocorrelation is divided by its value at lag 0 and by the window's own, so neither level
    nor polarity matter; digital silence gives zeros.

    Raises:
        ValueError: `first` or `hop` is no multiple of four.
    """
    if first % THINNED or hop % THINNED:
        raise ValueError(f"first and hop must be multiples of {THINNED}, given {first} and {hop}")
    taper, low_pass, cosines, used = _tables(waveform.device)
    first, hop, count = first // THINNED, hop // THINNED, -(-waveform.shape[1] // THINNED)
    thin = torch.nn.functional.conv1d(
        waveform.float()[:, None], low_pass, stride=THINNED, padding=TAPS // 2
    )[:, 0]
    behind = max(0, first + (frames - 1) * hop + WINDOW // 2 - count)
    padded = torch.nn.functional.pad(thin, (WINDOW // 2 - first, behind))
    framed = padded.unfold(1, WINDOW, hop)[:, :frames] * taper
    spectrum = torch.view_as_real(torch.fft.rfft(framed, POINTS)[..., used]).square()
    correlation = (spectrum[..., 0] + spectrum[..., 1]) @ cosines
    lag_zero = correlation[..., :1].clamp(min=torch.finfo(torch.float32).tiny)
    best = (correlation[..., 1:] / lag_zero).unflatten(2, (BETWEEN, CANDIDATES)).amax(2)
    return best.mT


@lru_cache(maxsize=4)
def _tables(
    device: torch.device,
) -> tuple[Float[Tensor, " window"], Float[Tensor, "1 1 taps"], Float[Tensor, "bins lags"], slice]:
    """Window, low-pass, and the weighted cosines that turn power into autocorrelation."""
    rate = SAMPLE_RATE / THINNED
    taper = np.hanning(WINDOW + 2)[1:-1]
    low_pass = np.sinc(2 * CUTOFF / SAMPLE_RATE * (np.arange(TAPS) - TAPS // 2))
    low_pass *= np.kaiser(TAPS, 5.65) * 2 * CUTOFF / SAMPLE_RATE

    step = np.log(HIGHEST / LOWEST) / (CANDIDATES - 1) / BETWEEN
    offsets = step * (np.arange(BETWEEN) - (BETWEEN - 1) / 2)
    lags = rate / (candidates() * np.exp(offsets)[:, None]).ravel()
    lags = np.concatenate([[0], lags])

    bins = np.arange(POINTS // 2 + 1)
    hertz = bins * rate / POINTS
    weight = np.clip(hertz / RUMBLE, 0, 1) ** 2 * np.clip((BAND - hertz) / (BAND / 3), 0, 1)
    inside = np.flatnonzero(weight)
    used = slice(int(inside[0]), int(inside[-1]) + 1)
    cosines = weight[:, None] * np.cos(2 * np.pi * np.outer(bins, lags) / POINTS)
    own = np.convolve(taper, taper[::-1])[WINDOW - 1 :]  # the window's autocorrelation
    falloff = np.interp(lags, np.arange(WINDOW), own) / own[0]
    return (
        torch.from_numpy(taper).float().to(device),
        torch.from_numpy(low_pass).float().to(device)[None, None],
        torch.from_numpy((cosines / falloff)[used]).float().to(device),
        used,
    )

"""How periodic a voice is at each candidate pitch, frame by frame."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SAMPLE_RATE = 16_000
CANDIDATES = 48  # pitches, evenly spaced in logarithm
LOWEST, HIGHEST = 60.0, 420.0  # Hz
WINDOW = 800  # samples: 50 ms, three periods of the lowest pitch
POINTS = 1080  # of the transform: a window and the longest lag, so that nothing wraps round
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
    """
    taper, cosines, used = _tables(waveform.device)
    start = WINDOW // 2 - first
    behind = max(0, first + (frames - 1) * hop + WINDOW // 2 - waveform.shape[1])
    padded = torch.nn.functional.pad(waveform.float(), (start, behind))
    framed = padded.unfold(1, WINDOW, hop)[:, :frames] * taper
    spectrum = torch.view_as_real(torch.fft.rfft(framed, POINTS)[..., used])
    power = spectrum.square().sum(-1)
    correlation = power @ cosines
    lag_zero = correlation[..., :1].clamp(min=torch.finfo(torch.float32).tiny)
    best = (correlation[..., 1:] / lag_zero).unflatten(2, (CANDIDATES, BETWEEN)).amax(3)
    return best.mT


@lru_cache(maxsize=4)
def _tables(
    device: torch.device,
) -> tuple[Float[Tensor, " window"], Float[Tensor, "bins lags"], slice]:
    """Window, and the weighted cosines that turn power into autocorrelation at the lags."""
    taper = np.hanning(WINDOW + 2)[1:-1]
    step = np.log(HIGHEST / LOWEST) / (CANDIDATES - 1) / BETWEEN
    fine = np.repeat(np.log(candidates()), BETWEEN) + step * (
        np.tile(np.arange(BETWEEN), CANDIDATES) - (BETWEEN - 1) / 2
    )
    lags = np.concatenate([[0], SAMPLE_RATE / np.exp(fine)])
    hertz = np.arange(POINTS // 2 + 1) * SAMPLE_RATE / POINTS
    rise = np.clip(hertz / RUMBLE, 0, 1) ** 2 * (hertz > 0)
    weight = rise * np.clip((BAND - hertz) / (BAND / 3), 0, 1)
    used = slice(1, int(np.flatnonzero(weight)[-1]) + 1)
    cosines = weight[:, None] * np.cos(2 * np.pi * np.outer(hertz, lags) / SAMPLE_RATE)
    own = np.abs(np.fft.rfft(taper, 4096)) ** 2
    places = 2 * np.pi * np.outer(np.arange(len(own)), lags) / 4096
    double = np.where(np.isin(np.arange(len(own)), (0, 2048)), 1, 2)
    falloff = (own * double) @ np.cos(places)
    cosines = cosines / (falloff / falloff[0])
    return (
        torch.from_numpy(taper).float().to(device),
        torch.from_numpy(cosines[used]).float().to(device),
        used,
    )

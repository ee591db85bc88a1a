"""What lies between a mouth and a file: rooms, noise, microphones, networks, codecs.

A network trained without a random equaliser, band limits and codecs fails on real recordings: it
reads the telephone band as a large head. Rooms, noise and babble cost nothing there and are what
real users have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int16
from scipy.signal import fftconvolve, lfilter

from .rooms import room_response
from .tract import SAMPLE_RATE

EQUALISER = np.array([0.0, 60, 120, 250, 500, 1000, 2000, 4000, 8000])  # Hz
LEVEL = 0.1  # root mean square at the microphone


@dataclass(frozen=True)
class ChannelRecipe:
    """Probabilities of each distortion."""

    room: float = 0.5
    noise: float = 0.8
    babble: float = 0.4
    equaliser: float = 0.9
    telephone: float = 0.2
    low_pass: float = 0.3  # of what is not a telephone
    gain_control: float = 0.25
    clipping: float = 0.1
    codec: float = 0.35


def transmit(
    speech: Float32[np.ndarray, " samples"],
    rng: np.random.Generator,
    others: Sequence[Float32[np.ndarray, " _"]] = (),
    recipe: ChannelRecipe | None = None,
) -> Float32[np.ndarray, " samples"]:
    """A random recording of this speech, within [-1, 1]; `others` babble behind it."""
    recipe = recipe or ChannelRecipe()
    x = speech.astype(np.float64)
    if rng.random() < recipe.room:
        x = fftconvolve(x, room_response(rng))[: len(x)]
    if rng.random() < recipe.noise:
        x = x + _background(rng, x)
    if len(others) and rng.random() < recipe.babble:
        x = x + _babble(rng, x, others)
    if rng.random() < recipe.equaliser:
        x = equalise(x, _curve(rng), EQUALISER)
    if rng.random() < recipe.telephone:
        low, high = rng.uniform(150, 350), rng.uniform(3000, 3900)
        edges = np.array([0, 0.6 * low, low, high, 1.12 * high, 8000])
        x = equalise(x, np.array([-50.0, -40, 0, 0, -45, -60]), edges)
    elif rng.random() < recipe.low_pass:
        high = rng.uniform(3600, 7500)
        edges = np.array([0, high, min(7900, 1.06 * high), 8000])
        x = equalise(x, np.array([0.0, 0, -50, -60]), edges)
    if rng.random() < recipe.gain_control:
        x = gain_control(x, rng.uniform(0.3, 0.9), rng.uniform(0.05, 0.5))
    if rng.random() < recipe.clipping:
        peak = np.quantile(np.abs(x), rng.uniform(0.985, 0.999))
        x = np.clip(x, -peak, peak)
    if rng.random() < recipe.codec:
        if rng.random() < 0.4:
            x = companded(x)
        else:
            x = transform_coded(x, rng.uniform(0.05, 0.6), rng.uniform(0.1, 0.8))
    return _levelled(x, rng)


def to_int16(waveform: Float32[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """Samples as a file keeps them."""
    return np.round(np.clip(waveform, -1, 1) * 32767).astype(np.int16)


def equalise(
    x: Float[np.ndarray, " samples"],
    gains: Float[np.ndarray, " points"],
    frequencies: Float[np.ndarray, " points"],
) -> Float[np.ndarray, " samples"]:
    """Zero-phase filter through points of gain in dB, linear over log frequency in Hz."""
    spectrum = np.fft.rfft(x)
    f = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    gain = np.interp(np.log(f + 20), np.log(frequencies + 20.0), gains)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(x))


def coloured_noise(
    rng: np.random.Generator, samples: int, slope: float
) -> Float[np.ndarray, " samples"]:
    """Noise with power falling as frequency to the power `slope`: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    f = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE) + 30
    noise = np.fft.irfft(spectrum * f ** (-slope / 2), samples)
    return noise / (noise.std() + 1e-9)


def gain_control(
    x: Float[np.ndarray, " samples"], strength: float, seconds: float
) -> Float[np.ndarray, " samples"]:
    """Automatic gain: the level of the last `seconds` is pulled towards the mean level."""
    block = SAMPLE_RATE // 100
    blocks = -(-len(x) // block)
    padded = np.zeros(blocks * block)
    padded[: len(x)] = x
    power = (padded.reshape(blocks, block) ** 2).mean(1)
    keep = np.exp(-0.01 / seconds)
    mean = power.mean() + 1e-12
    follow = lfilter([1 - keep], [1, -keep], power, zi=[keep * mean])[0]
    gain = (mean / np.maximum(follow, 1e-3 * mean)) ** (strength / 2)
    at = (np.arange(blocks) + 0.5) * block
    return x * np.interp(np.arange(len(x)), at, gain)


def companded(x: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """Eight bits with the logarithmic steps of the telephone network (mu-law)."""
    peak = np.abs(x).max() + 1e-9
    y = np.sign(x) * np.log1p(255 * np.abs(x) / peak) / np.log(256)
    y = np.round(y * 127) / 127
    return np.sign(y) * np.expm1(np.abs(y) * np.log(256)) / 255 * peak


def transform_coded(
    x: Float[np.ndarray, " samples"], threshold: float, coarseness: float
) -> Float[np.ndarray, " samples"]:
    """A lossy coder as in music files and calls.

    Bins with less than `threshold` of the power around them vanish; the others are rounded to
    `coarseness` times the amplitude around them.
    """
    width, hop = 512, 256
    window = np.sin(np.pi * (np.arange(width) + 0.5) / width)
    padded = np.pad(x, (width, 2 * width))
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop] * window
    bins = np.fft.rfft(frames, axis=1)
    power = np.cumsum(np.pad(bins.real**2 + bins.imag**2, ((0, 0), (9, 8))), axis=1)
    around = (power[:, 17:] - power[:, :-17]) / 17  # mean over neighbouring bins
    around = np.maximum(around, 1e-12)
    kept = bins.real**2 + bins.imag**2 > threshold * around
    step = np.sqrt(around) * coarseness + 1e-9
    coarse = (np.round(bins.real / step) + 1j * np.round(bins.imag / step)) * step * kept
    frames = np.fft.irfft(coarse, width, axis=1) * window
    out = np.zeros(len(padded) + width)
    even, odd = frames[::2], frames[1::2]  # frames of one parity do not overlap
    out[: even.size] += even.ravel()
    out[hop : hop + odd.size] += odd.ravel()
    return out[width : width + len(x)]


def _background(
    rng: np.random.Generator, x: Float[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    level = x.std() * 10 ** (-rng.uniform(8, 40) / 20)
    noise = coloured_noise(rng, len(x), rng.uniform(-0.3, 2))
    if rng.random() < 0.3:
        t = np.arange(len(x)) / SAMPLE_RATE
        mains = rng.choice([50, 60])
        for harmonic in (1, 2, 3):
            height = rng.uniform(0, 1) / harmonic
            noise += height * np.sin(2 * np.pi * (mains * harmonic * t + rng.random()))
    return level * noise


def _babble(
    rng: np.random.Generator,
    x: Float[np.ndarray, " samples"],
    others: Sequence[Float32[np.ndarray, " _"]],
) -> Float[np.ndarray, " samples"]:
    babble = np.zeros(len(x))
    for other in others[: int(rng.integers(1, len(others) + 1))]:
        turned = np.roll(other, int(rng.integers(len(other))))
        babble += np.resize(turned, len(x)) * rng.uniform(0.3, 1)
    return babble / (babble.std() + 1e-9) * x.std() * 10 ** (-rng.uniform(8, 30) / 20)


def _curve(rng: np.random.Generator) -> Float[np.ndarray, "9"]:
    octaves = np.log2((EQUALISER + 20.0) / 1000)
    gains = rng.normal(0, 1.5) * octaves + rng.normal(0, 2.5, len(EQUALISER))
    gains[:2] -= rng.uniform(0, 25) * (rng.random() < 0.5)  # rumble filter
    return gains


def _levelled(
    x: Float[np.ndarray, " samples"], rng: np.random.Generator
) -> Float32[np.ndarray, " samples"]:
    """A random level, either polarity; peaks beyond full scale are clipped, as on a real input."""
    level = LEVEL * 10 ** (rng.uniform(-24, 6) / 20)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return np.clip(sign * level * x / (x.std() + 1e-9), -1, 1).astype(np.float32)

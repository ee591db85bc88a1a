"""Rooms: the echoes of a shoebox, then a tail that loses its highs first."""

import numpy as np
from jaxtyping import Float
from scipy.signal import lfilter

from .tract import SAMPLE_RATE

SPEED = 343.0  # of sound, m/s
ORDER = 2  # wall reflections that are followed one by one


def room_response(rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Impulse response of a random room, microphone and speaker; the direct sound is 1 at 0."""
    size = rng.uniform([2.5, 2.5, 2.2], [9, 7, 3.5])
    mouth = rng.uniform(0.2, 0.8, 3) * size
    way = rng.standard_normal(3)
    distance = np.exp(rng.uniform(np.log(0.15), np.log(2.5)))
    microphone = np.clip(mouth + distance * way / np.linalg.norm(way), 0.1, size - 0.1)
    seconds = rng.uniform(0.1, 0.7)  # for 60 dB
    tail = _tail(rng, seconds)
    early = _echoes(size, mouth, microphone, seconds, len(tail))
    # Far from the mouth the tail outweighs the direct sound.
    ratio = 20 * np.log10(distance) - rng.uniform(2, 12)
    tail *= 10 ** (ratio / 20) / (np.sqrt((tail**2).sum()) + 1e-9)
    response = early + tail
    response[0] = 1.0
    return response


def _tail(rng: np.random.Generator, seconds: float) -> Float[np.ndarray, " samples"]:
    samples = int(SAMPLE_RATE * min(seconds, 0.5))
    t = np.arange(samples) / SAMPLE_RATE
    low = rng.standard_normal(samples) * 10 ** (-3 * t / seconds)
    high = rng.standard_normal(samples) * 10 ** (-3 * t / (seconds * rng.uniform(0.4, 0.9)))
    pole = rng.uniform(0.2, 0.7)
    dark = lfilter([1 - pole], [1, -pole], low)
    bright = high - lfilter([1 - pole], [1, -pole], high)
    tail = dark + rng.uniform(0.3, 1.0) * bright
    tail[: int(SAMPLE_RATE * rng.uniform(0.001, 0.008))] = 0
    return tail


def _echoes(
    size: Float[np.ndarray, "3"],
    mouth: Float[np.ndarray, "3"],
    microphone: Float[np.ndarray, "3"],
    seconds: float,
    samples: int,
) -> Float[np.ndarray, " samples"]:
    """Mirror images of the mouth behind the walls, against the direct sound."""
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    absorbed = np.clip(0.161 * size.prod() / (surface * seconds), 0.02, 0.95)  # Sabine
    cells = np.arange(-ORDER, ORDER + 1)
    grid = np.stack(np.meshgrid(cells, cells, cells, indexing="ij"), -1).reshape(-1, 3)
    bounces = np.abs(grid).sum(1)
    kept = (bounces > 0) & (bounces <= ORDER)
    grid, bounces = grid[kept], bounces[kept]
    images = np.where(grid % 2 == 0, grid * size + mouth, (grid + 1) * size - mouth)
    far = np.linalg.norm(images - microphone, axis=1)
    direct = np.linalg.norm(mouth - microphone)
    at = np.round((far - direct) / SPEED * SAMPLE_RATE).astype(int)
    heights = np.sqrt(1 - absorbed) ** bounces * direct / far
    echoes = np.zeros(samples)
    inside = (at > 0) & (at < samples)
    np.add.at(echoes, at[inside], heights[inside])
    return echoes

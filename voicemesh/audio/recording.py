"""Recordings: any file or array that people have, as one waveform at 16 kHz."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float, Float32, Shaped

SAMPLE_RATE = 16_000
LEAST_RATE = 4_000  # Hz; below, hardly anything of a voice is left


class UnusableRecording(ValueError):
    """The recording cannot be used; the message tells a visitor of the page why."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One voice: mono, 16 kHz, about [-1, 1]."""

    waveform: Float32[np.ndarray, " samples"]
    name: str
    sample_rate: int = SAMPLE_RATE
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.waveform) / self.sample_rate


def load(path: str | Path, limit: float = 60.0) -> Recording:
    """Read a recording of any format, its first `limit` seconds."""
    path = Path(path)
    with soundfile.SoundFile(path) as file:
        samples = file.read(int((limit + 1) * file.samplerate), dtype="float32", always_2d=True)
        return from_samples(file.samplerate, samples, path.name, limit)


def from_samples(
    sample_rate: int,
    samples: Shaped[np.ndarray, "*shape"],
    name: str = "recording",
    limit: float = 60.0,
) -> Recording:
    """A recording from samples [n] or [n, channels], integer or float, at any rate."""
    notes = ()
    if len(samples) > limit * sample_rate:
        samples = samples[: int(limit * sample_rate)]
        notes = (f"Only the first {limit:g} s were used.",)
    waveform = as_float(samples)
    if waveform.ndim == 2:
        waveform = waveform.mean(1)
    if sample_rate != SAMPLE_RATE:
        waveform = soxr.resample(waveform, sample_rate, SAMPLE_RATE, quality="HQ")
    return Recording(np.ascontiguousarray(waveform, np.float32), name, notes=notes)


def as_float(samples: Shaped[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Samples in [-1, 1] whatever their type."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if np.issubdtype(samples.dtype, np.signedinteger):
        return samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    return samples.astype(np.float32)

"""Recordings: any file or array that people have, as one waveform at 16 kHz."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from jaxtyping import Float32
from numpy.typing import ArrayLike

from .decoding import Stereo, UnusableRecording, check_rate, read

SAMPLE_RATE = 16_000
SILENT = 1e-7  # peak around the mean; a single step of 24 bits
CANCELLED = 0.05  # power of the mean of all channels beside the first channel's
PLATEAU = 3  # equal samples in a row at the peak: a wave cut flat
CLIPPED = 5e-4  # share of samples on plateaus worth a note
CLIPPED_PEAK = 0.05  # below, plateaus are steps of the converter

__all__ = ["SAMPLE_RATE", "Recording", "UnusableRecording", "from_samples", "load", "of"]


@dataclass(frozen=True, eq=False)
class Recording:
    """One voice: mono, 16 kHz, about [-1, 1]. `from_samples` makes one of any samples.

    Raises:
        ValueError: the waveform is of another form or rate.
    """

    waveform: Float32[np.ndarray, " samples"]
    name: str = "recording"
    sample_rate: int = SAMPLE_RATE
    notes: tuple[str, ...] = ()  # what a listener should know: clipping, a cut at the limit

    def __post_init__(self) -> None:
        kind = f"{getattr(self.waveform, 'dtype', '')} {type(self.waveform).__name__}".strip()
        if kind != "float32 ndarray" or self.waveform.ndim != 1 or self.sample_rate != SAMPLE_RATE:
            form = list(np.shape(self.waveform))
            raise ValueError(
                f"A Recording holds a float32 ndarray [n] at {SAMPLE_RATE} Hz, given {kind} {form} "
                f"at {self.sample_rate} Hz; from_samples(sample_rate, samples) makes one of it"
            )

    def __repr__(self) -> str:
        return f"Recording({self.name!r}, {self.seconds:.1f} s)"

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.waveform) / self.sample_rate


def of(given: object) -> Recording:
    """A recording as it is, or the one in a file of this path.

    Raises:
        UnusableRecording: there is no file, or nothing in it that could be heard.
        ValueError: this is neither a recording nor a path.
    """
    if isinstance(given, Recording):
        return given
    if given is None or isinstance(given, str | os.PathLike):
        return load(given)
    raise ValueError(
        f"A recording is the path of a sound file or a Recording, given {type(given).__name__}; "
        "voicemesh.from_samples(sample_rate, samples) makes one of samples"
    )


def load(path: str | os.PathLike[str] | None, limit: float = 60.0) -> Recording:
    """Read the first `limit` seconds of a file of any sound format.

    Raises:
        UnusableRecording: there is no file, or nothing in it that could be heard.
    """
    if path is None or not str(path):
        raise UnusableRecording("There is no recording: speak or choose a file first.")
    path = Path(path)
    if not path.exists():
        raise UnusableRecording(f"There is no file {path.name}.")
    if not path.is_file():
        raise UnusableRecording(f"{path.name} is not a file.")
    if path.stat().st_size == 0:
        raise UnusableRecording(f"{path.name} is empty.")
    rate, samples = read(path, limit)
    return _recording(rate, samples, path.name, limit)


def from_samples(
    sample_rate: float,
    samples: ArrayLike | None,
    name: str = "recording",
    limit: float = 60.0,
) -> Recording:
    """A recording from samples [n] or [n, channels], integer or float, at any rate in Hz.

    Whatever NumPy takes for an array is one: lists, and tensors on the CPU.

    >>> hum = 0.1 * np.sin(2 * np.pi * 120 * np.arange(66_150) / 44_100)
    >>> from_samples(44_100, hum, "hum")
    Recording('hum', 1.5 s)

    Raises:
        UnusableRecording: there is nothing in it that could be heard.
        ValueError: this is no array of samples.
    """
    if samples is None:
        raise UnusableRecording("There is no recording: speak or choose a file first.")
    if np.ndim(sample_rate):
        raise ValueError("The sample rate comes first: from_samples(sample_rate, samples)")
    samples = np.asarray(samples)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2:
        raise ValueError(f"Samples must be [n] or [n, channels], given {list(samples.shape)}")
    if 0 < len(samples) < samples.shape[1] and len(samples) <= 8:
        samples = samples.T  # more channels than samples: the axes came the other way round
    kept = Stereo()
    if samples.size:
        kept.add(samples[: int(limit * sample_rate) + 1])
    return _recording(sample_rate, kept.samples(), name, limit)


def _recording(
    rate: int, samples: Float32[np.ndarray, "samples 2"], name: str, limit: float
) -> Recording:
    """Judge, mix and resample."""
    if limit <= 0:
        raise ValueError(f"limit must be positive, given {limit}")
    check_rate(rate, name)
    if not len(samples):
        raise UnusableRecording(f"{name} is empty.")
    longest, notes = int(limit * rate), []
    if len(samples) > longest:
        samples = samples[:longest]
        notes.append(f"Only the first {limit:g} s were used.")
    if not np.isfinite(samples).all():
        raise UnusableRecording(f"{name} holds samples that are not finite numbers (NaN or inf).")
    waveform = _mixed(samples)
    offset, peak = float(waveform.mean(dtype=np.float64)), float(np.abs(waveform).max())
    if np.abs(waveform - offset).max() <= max(SILENT, 1e-6 * abs(offset)):
        raise UnusableRecording(f"{name} is silent: is the microphone switched on?")
    if (share := clipped(waveform)) > CLIPPED:
        notes.append(
            f"The recording is clipped ({100 * share:.1f} % of it): speak softer or further away."
        )
    if peak > 1:
        waveform = waveform / peak
    if rate != SAMPLE_RATE:
        waveform = soxr.resample(waveform, rate, SAMPLE_RATE, quality="HQ")
    return Recording(np.ascontiguousarray(waveform, np.float32), name, notes=tuple(notes))


def _mixed(samples: Float32[np.ndarray, "samples 2"]) -> Float32[np.ndarray, " samples"]:
    """The mean of the channels, or the first where opposite channels cancel each other."""
    mean, first = (channel.var(dtype=np.float64) for channel in samples.T)
    return samples[:, 1 if mean < CANCELLED * first else 0]


def clipped(waveform: Float32[np.ndarray, " samples"]) -> float:
    """Share of samples that lie on plateaus at the waveform's highest or lowest value."""
    peak = np.abs(waveform).max(initial=0)
    if peak < CLIPPED_PEAK:
        return 0.0
    count = 0
    for limit in (waveform.max(), waveform.min()):
        at = np.flatnonzero(np.abs(waveform - limit) <= 1e-4 * peak)
        runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
        count += sum(len(run) for run in runs if len(run) >= PLATEAU)
    return count / max(1, len(waveform))

"""How much a recording moves like speech: music, machines and animals move otherwise.

Nothing here is learnt but where people who speak lie: plain measures of the features that the voice
net reads anyway, and their distance from the middle of those people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

from .cycles import TRACKS
from .pitch import CANDIDATES, HIGHEST, LOWEST

MEASURES = (
    *("loudness", "syllables", "syllabic share", "depth", "change", "later change", "peaks"),
    *("together", "voiced", "same pitch", "leaps", "held notes"),
    *("cycles", "jitter", "shimmer", "breath", "jitter's spread"),
)
FRAMES = 100.0  # in a second
SPREAD = 3.0  # what the features' log energies are divided by
SYLLABLES = 2.0, 8.0  # Hz
MOVING = 0.3, 30.0  # Hz; beyond is no movement of a mouth
LATER = 5  # frames
VOICED = 0.5  # of the pitch map
SEMITONES = 12 * np.log2(HIGHEST / LOWEST) / (CANDIDATES - 1)  # from one candidate to the next
LEAP = 2.0  # semitones between neighbouring frames
NOTE = 12  # frames of one pitch
LEAST = 1e-6  # of a power
RIDGE = 0.05  # of the variance of each measure: some hardly differ from others


@dataclass(frozen=True, eq=False)
class Speech:
    """Where the measures of people who speak lie."""

    middle: Float32[np.ndarray, " measures"]
    whitener: Float32[np.ndarray, "measures measures"]  # to independent ones of deviation one

    @classmethod
    def of(cls, told: Float[np.ndarray, "recordings measures"]) -> "Speech":
        """The people of these recordings.

        Raises:
            ValueError: there are too few of them.
        """
        if len(told) < 2 * told.shape[1]:
            raise ValueError(f"{2 * told.shape[1]} recordings or more are needed: {len(told)}")
        deviation = told.std(0)
        alike = (1 - RIDGE) * np.corrcoef(told.T) + RIDGE * np.eye(told.shape[1])
        values, axes = np.linalg.eigh(alike)
        whitener = (axes / np.sqrt(values)).T / deviation
        return cls(told.mean(0).astype(np.float32), whitener.astype(np.float32))

    def distance(self, told: Float[np.ndarray, " measures"]) -> float:
        """How far a recording lies from them, in standard deviations of all measures together."""
        return float(np.linalg.norm(self.whitener @ (told - self.middle)))


def measures(features: Float[Tensor, "channels frames"]) -> Float32[np.ndarray, " measures"]:
    """The `MEASURES` of features of the front end "voicemesh-cycles".

    Raises:
        ValueError: they are of another front end, or of less than half a second.
    """
    bands = len(features) - CANDIDATES - TRACKS
    if bands < 2 or features.shape[1] < FRAMES / 2:
        raise ValueError(
            "Features of 'voicemesh-cycles', of half a second and more, are needed;"
            f" given {list(features.shape)}"
        )
    told = features.detach().cpu().double().numpy()
    energies, pitches, cycles = np.split(told, [bands, bands + CANDIDATES])
    values = [*_moved(SPREAD * energies), *_sung(pitches), *_vibrated(cycles)]
    return np.array(values, np.float32)


def _moved(energies: Float[np.ndarray, "bands frames"]) -> list[float]:
    """Of the loudness and of the bands: speech opens and closes some four times a second."""
    loudness = np.log(np.exp(energies).sum(0))
    away = energies - energies.mean(1, keepdims=True)
    syllables, moving = _powers(away)
    mean = energies.mean(1)
    return [
        loudness.std(),
        np.log(_powers((loudness - loudness.mean())[None])[0].sum() + LEAST),
        (syllables / (moving + LEAST)).mean(),
        np.log(away.var() + LEAST),
        np.abs(np.diff(away)).mean(),
        np.abs(away[:, LATER:] - away[:, :-LATER]).mean(),
        np.diff(mean, 2).std(),
        np.corrcoef(away + LEAST * np.arange(away.shape[1]))[np.triu_indices(len(away), 1)].mean(),
    ]


def _powers(
    tracks: Float[np.ndarray, "tracks frames"],
) -> tuple[Float[np.ndarray, " tracks"], Float[np.ndarray, " tracks"]]:
    """The variance of each track in the rhythm of syllables, and at all that a mouth may move."""
    count = tracks.shape[1]
    power = 2 * np.abs(np.fft.rfft(tracks * np.hanning(count))) ** 2 / (0.375 * count**2)
    hertz = np.fft.rfftfreq(count, 1 / FRAMES)
    within = [(hertz >= low) & (hertz < high) for low, high in (SYLLABLES, MOVING)]
    return power[:, within[0]].sum(1), power[:, within[1]].sum(1)


def _sung(pitches: Float[np.ndarray, "candidates frames"]) -> list[float]:
    """Of the pitch: notes are held and left at once, speech glides."""
    voiced, at = pitches.max(0) > VOICED, pitches.argmax(0)
    both = voiced[1:] & voiced[:-1]
    step = np.abs(np.diff(at))[both] * SEMITONES
    held = np.split(voiced, np.flatnonzero(~both | (np.diff(at) != 0)) + 1)
    notes = sum(len(run) for run in held if len(run) >= NOTE)
    steps = max(len(step), 1)
    return [
        voiced.mean(),
        (step == 0).sum() / steps,
        (step > LEAP).sum() / steps,
        notes / max(voiced.sum(), 1),
    ]


def _vibrated(cycles: Float[np.ndarray, "tracks frames"]) -> list[float]:
    """Of neighbouring cycles; zero stands for a usual voice where there are none."""
    there = cycles[0] > 0
    if not there.any():
        return [0.0] * 5
    tracks = cycles[1:, there]
    return [there.mean(), *tracks.mean(1), tracks[0].std()]

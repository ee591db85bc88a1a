"""What Seeking the Shape of Sound learns from: people by number, each with voices and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from voicemesh.audio.association import sss
from voicemesh.population.dataset import Population

from .data import grouped
from .face_views import Views, scaled, viewed


@runtime_checkable
class Voices(Protocol):
    """Voices by person."""

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, " batch *features"]:
        """What the net reads of one voice of each; without `rng` as much of it as there is."""
        ...


@runtime_checkable
class Faces(Protocol):
    """Pictures by person."""

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, " batch *features"]:
        """What the net reads of one picture of each; without `rng` the first one, as it is."""
        ...


@dataclass(frozen=True, eq=False)
class Sitters:
    """People with voices and pictures, numbered from 0.

    `law` is the logarithm of how much likelier each voice (row) and face are of one person.
    """

    voices: Voices
    faces: Faces
    sex: Int64[np.ndarray, " people"]
    law: Float32[np.ndarray, "people people"] | None = None  # see `population.likelihood`

    def __len__(self) -> int:
        return len(self.sex)


@dataclass(frozen=True, eq=False)
class CodedVoices:
    """Codes of a voice backbone, kept; a voice is one recording or several joined."""

    codes: Float32[np.ndarray, "rows inner"]
    rows: Sequence[Int64[np.ndarray, " _"]]  # of each person
    most: int = 6  # recordings in one voice

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch inner"]:
        """The mean of the codes of some recordings, or of all that a person has."""
        found = []
        for person in people:
            rows = self.rows[person]
            if rng is not None:
                count = int(rng.integers(1, min(self.most, len(rows)) + 1))
                rows = rng.choice(rows, count, replace=False)
            found.append(self.codes[rows].mean(0))
        return torch.from_numpy(np.stack(found))


@dataclass(frozen=True, eq=False)
class CodedFaces:
    """Codes of a face backbone, kept: of every picture, plain and in some views of it."""

    codes: Float32[np.ndarray, "views rows features"]  # the first view is the plain one
    rows: Sequence[Int64[np.ndarray, " _"]]

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch features"]:
        """One view of one picture of each, or the mean over the plain ones."""
        if rng is None:
            found = [self.codes[0, self.rows[person]].mean(0) for person in people]
            return torch.from_numpy(np.stack(found))
        rows = [rng.choice(self.rows[person]) for person in people]
        views = rng.integers(len(self.codes), size=len(rows))
        return torch.from_numpy(self.codes[views, rows])


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of the net's size, in a new view each time."""

    pixels: UInt8[Tensor, "rows side side 3"]
    rows: Sequence[Int64[np.ndarray, " _"]]
    views: Views = field(default_factory=Views)
    bgr: bool = False

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch 3 side side"]:
        """One picture of each."""
        if rng is None:
            pictures = scaled(self.pixels[[self.rows[person][0] for person in people]])
        else:
            rows = [rng.choice(self.rows[person]) for person in people]
            pictures = viewed(self.pixels[rows], self.views)
        return pictures.flip(1) if self.bgr else pictures


@dataclass(frozen=True, eq=False)
class Waveforms:
    """Recordings in memory, cut at random and read by the published front end."""

    waveforms: Sequence[np.ndarray]  # int16 at 16 kHz, of any lengths
    rows: Sequence[Int64[np.ndarray, " _"]]
    shortest: int  # samples of a cut
    longest: int

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch 40 frames"]:
        """One cut of one length out of a recording of each; ten seconds without `rng`."""
        rows = [self.rows[p][0] if rng is None else rng.choice(self.rows[p]) for p in people]
        return cut([self.waveforms[row] for row in rows], self.shortest, self.longest, rng)


def cut(
    waveforms: Sequence[np.ndarray],
    shortest: int,
    longest: int,
    rng: np.random.Generator | None,
) -> Float[Tensor, "batch 40 frames"]:
    """Features of one stretch, at the same place, out of ten seconds of each recording.

    A shorter one goes round. Without `rng` the ten seconds are taken whole, as the published
    evaluation does.
    """
    whole = 160_000
    length = whole if rng is None else int(rng.integers(shortest, longest))
    start = 0 if rng is None else int(rng.integers(whole - length + 1))
    places = start + np.arange(length)
    parts = [wave[places % min(len(wave), whole)] for wave in waveforms]
    speech = torch.from_numpy(np.stack(parts).astype(np.float32)) / 32768
    return sss(speech, length)


def recordings_of(
    population: Population, split: str
) -> tuple[list[np.ndarray], list[Int64[np.ndarray, " _"]]]:
    """All usual recordings through a channel, and the rows of each person of the split."""
    waveforms: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    for shard in population.recordings(split):
        kept = np.flatnonzero(~shard.clean & ~shard.raised)
        waveforms += list(shard.waveform[kept])
        owners.append(shard.identity[kept])
    return waveforms, grouped(np.concatenate(owners), getattr(population, split))

"""Probes that lean: a voice among the faces of the sex that a better reader of it heard.

What compares voices and faces takes a man who raises his voice for a woman more often than what
reads the sex alone, and then nobody who is shown could be him.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from .gallery import SEXES
from .search import Side

ENOUGH = 20_000  # rows of a side that tell where the sexes lie
NAMED = tuple(name for name in SEXES if name)


@dataclass(frozen=True, eq=False)
class SexAxis:
    """The direction in which the sexes of one side lie apart, and where along it others ask."""

    direction: Float[np.ndarray, " d"]  # of length 1
    usual: dict[str, float]  # coordinate of the mean probe of each sex

    @classmethod
    def of(cls, searched: Side, asking: Side) -> "SexAxis | None":
        """From the side that is searched, and the other, whose rows are probes themselves.

        None where the people of a side, or their sexes, are too few.
        """
        means = [[mean_of(side, name) for name in NAMED] for side in (searched, asking)]
        if any(mean is None for pair in means for mean in pair):
            return None
        (one, other), probes = means
        apart = one - other
        if not (length := float(np.linalg.norm(apart))):
            return None
        direction = apart / length
        usual = {name: float(mean @ direction) for name, mean in zip(NAMED, probes, strict=True)}
        return cls(direction, usual) if usual[NAMED[0]] > usual[NAMED[1]] else None

    def led(self, probe: Float[np.ndarray, " d"], sex: str) -> Float[np.ndarray, " d"]:
        """A unit probe that is nearer to the other sex, where those of `sex` usually are.

        In all other directions it stays as it was; one on the right side stays whole.
        """
        at, own = float(probe @ self.direction), self.usual[sex]
        if abs(at - own) <= min(abs(at - usual) for usual in self.usual.values()):
            return probe
        led = probe + (own - at) * self.direction
        return led / np.linalg.norm(led)


def mean_of(side: Side, sex: str) -> Float32[np.ndarray, " d"] | None:
    """The mean vector of a sex on a side; None without anybody."""
    rows = np.flatnonzero(side.sex == SEXES.index(sex))
    rows = rows[:: -(-len(rows) // ENOUGH) or 1]
    return np.asarray(side.vectors[rows], np.float32).mean(0) if len(rows) else None

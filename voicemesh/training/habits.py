"""What of a voice and what of a face are tied to each other, in the order of how much."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.population.law import People, draw
from voicemesh.population.likelihood import known_of

DRAWN = 100_000  # people that the ties between habits and faces are measured on
SEED = 20_260_103  # apart from the seeds of populations
LEAST_TIE = 1e-9
TOLD = 7  # combinations of habits that a face tells anything of; the law's other ties are nil


@dataclass(frozen=True, eq=False)
class Habits:
    """Combinations of voice habits, uncorrelated within a sex, those tied to faces first."""

    mean: Float[np.ndarray, " quantities"]
    axes: Float[np.ndarray, "quantities quantities"]
    ties: Float[np.ndarray, " quantities"]  # squared correlation of each with what a face shows
    slope: Float[np.ndarray, "2 known quantities"]  # of the scores on `known_of` a face, by sex
    usual: Float[np.ndarray, "2 quantities"]  # mean of what a sex's faces tell

    @classmethod
    def of_law(cls, coupling: float, count: int = 0) -> "Habits":
        """Canonical axes of voices against lengths and age within a sex, in a draw of the law."""
        people = draw(count or DRAWN, SEED, coupling)
        apart, told = np.zeros_like(people.voice), np.zeros_like(people.voice)
        groups = [np.flatnonzero(people.mode == mode) for mode in (0, 1)]
        known = [known_of(people.take(rows), "lengths") for rows in groups]
        slopes = []
        for rows, shown in zip(groups, known, strict=True):
            apart[rows] = people.voice[rows] - people.voice[rows].mean(0)
            slopes.append(np.linalg.lstsq(shown, apart[rows], rcond=None)[0])
            told[rows] = shown @ slopes[-1]
        root = np.linalg.cholesky(np.linalg.inv(np.cov(apart, rowvar=False)))
        ties, turned = np.linalg.eigh(np.cov(told @ root, rowvar=False))
        axes = root @ turned[:, ::-1]
        slope = np.stack([own @ axes for own in slopes])
        usual = [(shown @ own).mean(0) for shown, own in zip(known, slope, strict=True)]
        return cls(people.voice.mean(0), axes, ties[::-1].copy(), slope, np.stack(usual))

    def of(
        self, voices: Float[np.ndarray, "voices quantities"]
    ) -> Float[Tensor, "voices quantities"]:
        """Scores of voices in the law's quantities; people's habits have deviation 1 in a sex."""
        return torch.from_numpy((voices - self.mean) @ self.axes).float()

    def told_by(self, people: People) -> Float[Tensor, "people told"]:
        """What lengths and age tell of the first scores, against the usual face of the sex.

        Each of deviation 1, if it is tied at all.
        """
        known = known_of(people, "lengths")
        told = np.zeros((len(people), len(self.ties)))
        for mode in (0, 1):
            rows = people.mode == mode
            told[rows] = known[rows] @ self.slope[mode] - self.usual[mode]
        spread = np.sqrt(np.maximum(self.ties, LEAST_TIE))
        return torch.from_numpy(told / spread)[:, :TOLD].float()

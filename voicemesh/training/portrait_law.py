"""What a rendered portrait is made of as one row of numbers, and as Gaussian z."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors.torch import load_file, save_file
from scipy.special import ndtri
from torch import Tensor

from voicemesh.population.portrait_set import PortraitSet, PortraitShard

LAW = "law.safetensors"  # its file in the folder of a run
KNOTS = 257  # of each column's quantiles
NEVER = 1e-5  # deviation of a column that does not vary but for rounding
LEAST = 1e-3  # variance of a direction that carries anything


def parameters_of(shard: PortraitShard) -> Float32[np.ndarray, "rows parameters"]:
    """Shape, expression, pose, look, light and backdrop of every picture, side by side."""
    rotation = shard.camera[:, :, :3] / np.linalg.norm(shard.camera[:, :, :3], axis=2)[:, :, None]
    forward = rotation[:, :2, 2]  # where the nose points: right and down
    parts = (
        *(shard.shape_params, shard.expression_params, forward),
        *(shard.look, shard.light, shard.backdrop),
    )
    return np.concatenate(parts, 1).astype(np.float32)


def chosen(portraits: PortraitSet, split: str, neutral: bool) -> PortraitShard:
    """All portraits of a split, or only the neutral ones."""
    shard = portraits.gathered(split)
    if not neutral:
        return shard
    rows = shard.picture == 0
    return PortraitShard(**{name: column[rows] for name, column in vars(shard).items()})


def joined(shards: Sequence[PortraitShard]) -> PortraitShard:
    """Portraits of several populations, one after another."""
    columns = vars(shards[0])
    return PortraitShard(**{c: np.concatenate([vars(s)[c] for s in shards]) for c in columns})


@dataclass(frozen=True, eq=False)
class ParameterLaw:
    """The law of portraits as a map to N(0, I): each column to normal scores, then whitened.

    The inverse square root of the correlations keeps every z nearest to its own column.
    """

    knots: Float[Tensor, "parameters knots"]  # values, ascending
    scores: Float[Tensor, "parameters knots"]
    whitening: Float[Tensor, "parameters kept"]

    @classmethod
    def of(cls, values: Float32[np.ndarray, "rows parameters"]) -> "ParameterLaw":
        """The law of samples; columns that never change count as nothing."""
        tables = [normal_scores(column) for column in values.T]
        knots, scores = (torch.from_numpy(np.stack(side)) for side in zip(*tables, strict=True))
        law = cls(knots, scores, torch.eye(values.shape[1]))
        whitened = law.z(torch.from_numpy(values)).double()
        power, axes = torch.linalg.eigh(whitened.T @ whitened / len(whitened))
        inverse = torch.where(power > LEAST, power.clamp(min=LEAST).rsqrt(), 0.0)
        return cls(knots, scores, (axes * inverse @ axes.T).float())

    @classmethod
    def read(cls, path: Path) -> "ParameterLaw":
        """From the file that `save` wrote.

        Raises:
            ValueError: there is none.
        """
        if not path.exists():
            raise ValueError(
                f"{path.parent} is no run of stylegan2-portraits: it has no {path.name}; train one"
            )
        return cls(**load_file(path))

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        temporary = path.with_suffix(".partial")
        save_file(vars(self), temporary)
        temporary.replace(path)

    def z(self, values: Float[Tensor, "rows parameters"]) -> Float[Tensor, "rows kept"]:
        """Gaussian values of rows of parameters; beyond the samples the tables' ends."""
        columns = values.T.contiguous()
        right = torch.searchsorted(self.knots, columns).clamp(1, self.knots.shape[1] - 1)
        (low, low_score), (high, high_score) = (
            tuple(table.gather(1, place) for table in (self.knots, self.scores))
            for place in (right - 1, right)
        )
        share = ((columns - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        return (low_score + share * (high_score - low_score)).T @ self.whitening


def normal_scores(
    column: Float32[np.ndarray, " rows"],
) -> tuple[Float32[np.ndarray, " knots"], Float32[np.ndarray, " knots"]]:
    """Values and the normal scores of their ranks at knots; equal values share one score."""
    if column.std() < NEVER * max(1.0, float(np.abs(column).max())):
        column = np.full_like(column, column.mean())
    values, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - counts / 2
    scores = ndtri(ranks / len(column))
    spread = np.sqrt(np.square(scores[inverse]).mean())
    if spread > 0:
        scores = scores / spread
    chosen = np.linspace(0, len(values) - 1, KNOTS).round().astype(int)
    if len(values) > KNOTS:  # evenly by people, so that a tail of few keeps few
        places = np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], KNOTS))
        chosen = places.clip(0, len(values) - 1)
    return values[chosen].astype(np.float32), scores[chosen].astype(np.float32)

"""From many heads to a linear model: mean, orthonormal shape basis, expressions, paint."""

import numpy as np
import torch
from jaxtyping import Float, Int

from voicemesh.mesh.morphable import MorphableModel

from .expressions import EXPRESSIONS, expressions
from .heads import Grower, grower
from .paint import paint
from .people import crowd
from .points import landmarks, measures

SHAPES = 40
FULL_EXPRESSION = 2.5  # deviations from rest to an expression at full strength


def shape_basis(
    heads: Float[np.ndarray, "n v 3"], weight: Float[np.ndarray, " v"], count: int
) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v 3 s"], Float[np.ndarray, " s"]]:
    """Mean, orthonormal basis and deviations of the directions in which heads differ most.

    `weight` says how much each vertex counts in the choice of the subspace, so that small but
    telling parts (lids, lips) are not drowned by the skull.
    """
    n, v, _ = heads.shape
    mean = heads.mean(0)
    spread = (heads - mean).reshape(n, -1).astype(float)
    scaled = spread * np.repeat(np.sqrt(weight), 3)
    variance, vectors = np.linalg.eigh(scaled @ scaled.T)
    chosen = spread.T @ vectors[:, np.argsort(variance)[::-1][:count]]
    frame, _ = np.linalg.qr(chosen)
    coefficients = spread @ frame
    variance, turn = np.linalg.eigh(coefficients.T @ coefficients / (n - 1))
    order = np.argsort(variance)[::-1]
    basis = (frame @ turn[:, order]).reshape(v, 3, count)
    return mean, basis, np.sqrt(variance[order])


def _weight(g: Grower) -> Float[np.ndarray, " v"]:
    """Little for what is never seen, much for eyes and lips."""
    weight = np.ones(len(g.mirror))
    c = g.canon
    weight[: g.skin] += 3 * np.exp(-((c.lid_distance / 6) ** 2)) * (c.z > 30)
    weight[: g.skin] += (
        3 * np.exp(-(((c.vermilion - 0.5) / 1.2) ** 2)) * (c.mouth_s < 1.2) * (c.z > 50)
    )
    for rows in (*g.lid_rows, *g.mouth_rows):
        weight[np.concatenate(rows)] = 0.1
    for ids in (*g.eyes, *g.ears):
        weight[ids] = 0.5
    return weight


def _regions(g: Grower) -> dict[str, Int[np.ndarray, " _"]]:
    c = g.canon
    face = (c.z > 8) & (c.y < 62) & (c.y > c.at.menton - 6)
    return {
        "face": np.nonzero(face)[0],
        "skin": np.arange(g.skin),
        "eyes": np.concatenate(g.eyes),
        "ears": np.concatenate(g.ears),
    }


def learn(seed: int, people: int, count: int = SHAPES) -> MorphableModel:
    """Grow the template and many people, and keep what a linear model holds of them."""
    g = grower()
    heads, _ = crowd(g, people, np.random.default_rng(seed))
    mean, basis, deviation = shape_basis(heads, _weight(g), count)
    moves = expressions(g, mean.astype(float))
    layers = paint(g)

    def tensor(values: Float[np.ndarray, "..."]) -> Float[torch.Tensor, "..."]:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    return MorphableModel(
        name="voicemesh head",
        mean=tensor(mean),
        shape_basis=tensor(basis),
        expression_basis=tensor(moves),
        shape_mean=torch.zeros(count),
        shape_deviation=tensor(deviation),
        expression_mean=torch.zeros(len(EXPRESSIONS)),
        expression_deviation=torch.full((len(EXPRESSIONS),), 1 / FULL_EXPRESSION),
        triangles=torch.from_numpy(g.triangles.astype(np.int64)),
        landmarks=torch.from_numpy(landmarks(g).astype(np.int64)),
        measures=measures(g),
        paint=tensor(np.stack(list(layers.values()), 1)),
        paint_names=tuple(layers),
        regions={name: torch.from_numpy(ids.astype(np.int64)) for name, ids in _regions(g).items()},
    )

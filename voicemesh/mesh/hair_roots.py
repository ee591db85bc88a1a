"""Where hair grows on a head, and what it lies on."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32, Int64
from scipy.spatial import cKDTree

from .morphable import MorphableModel
from .studio import materials

SPACING = {"scalp": 5.9, "beard": 3.7, "brows": 1.5}  # millimetres between roots
CANDIDATES = 12  # per root that may fit
CLOSEST = 0.78  # of the spacing
SEED = 20


@dataclass(frozen=True, eq=False)
class Roots:
    """Where hair of one kind grows on a model: places in its triangles, and their luck."""

    corners: Int64[np.ndarray, "n 3"]
    weights: Float32[np.ndarray, "n 3"]
    luck: Float32[np.ndarray, "n 6"]  # standard normal
    rank: Float32[np.ndarray, " n"]  # even in [0, 1]


@dataclass(frozen=True, eq=False)
class Ground:
    """A model's skin, ready for hair to grow on."""

    roots: dict[str, Roots]
    skin: Int64[np.ndarray, " s"]  # vertices that hair lies on
    ears: Int64[np.ndarray, " e"]
    neutral: Float32[np.ndarray, "v 3"]
    material: Int32[np.ndarray, " v"]


@lru_cache(maxsize=4)
def ground(face_model: MorphableModel) -> Ground:
    """Roots on a painted model, spread evenly over the scalp, the beard and the brows.

    Raises:
        ValueError: the model has no paint that says where hair grows.
    """
    if face_model.paint is None or not set(SPACING) <= set(face_model.paint_names):
        raise ValueError(
            f"the face model {face_model.name!r} has no paint named {', '.join(SPACING)}; "
            "hair grows where these say so"
        )
    neutral = face_model.vertices(torch.zeros_like(face_model.shape_mean)).cpu().numpy()
    triangles = face_model.triangles.cpu().numpy()
    painted = face_model.paint.float().cpu().numpy()
    layer = dict(zip(face_model.paint_names, painted.T, strict=True))
    roots = {
        name: scatter(neutral, triangles, layer[name], spacing, np.random.default_rng(SEED))
        for name, spacing in SPACING.items()
    }
    regions = {name: ids.cpu().numpy() for name, ids in face_model.regions.items()}
    ears = regions.get("ears", np.zeros(0, np.int64))
    skin = np.setdiff1d(regions.get("skin", np.arange(len(neutral))), ears)[::2]
    return Ground(roots, skin, ears[::3], neutral, materials(face_model))


def scatter(
    vertices: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    cover: Float[np.ndarray, " v"],
    spacing: float,
    rng: np.random.Generator,
) -> Roots:
    """Points no nearer than `spacing` to each other on the covered part of a surface."""
    inside = triangles[cover[triangles].mean(1) > 0.35]
    a, b, c = (vertices[inside[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    count = int(CANDIDATES * area.sum() / spacing**2)
    chosen = rng.choice(len(inside), count, p=area / area.sum())
    split = rng.dirichlet((1, 1, 1), count)
    points = np.einsum("nk,nkd->nd", split, vertices[inside[chosen]])
    near = cKDTree(points).query_ball_point(points, CLOSEST * spacing)
    kept = np.ones(count, bool)
    for i, others in enumerate(near):
        if kept[i]:
            kept[[j for j in others if j > i]] = False
    number = int(kept.sum())
    return Roots(
        corners=inside[chosen][kept].astype(np.int64),
        weights=split[kept].astype(np.float32),
        luck=rng.standard_normal((number, 6)).astype(np.float32),
        rank=rng.permutation((np.arange(number) + 0.5) / number).astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class Body:
    """What hair lies on: points with outward normals, and the nearest of them to any place."""

    points: Float[np.ndarray, "s 3"]
    normals: Float[np.ndarray, "s 3"]
    tree: cKDTree

    @classmethod
    def of(
        cls,
        soil: Ground,
        vertices: Float[np.ndarray, "v 3"],
        normals: Float[np.ndarray, "v 3"],
        covered: bool,
    ) -> "Body":
        """The skin; with `covered`, ears are something to lie on and not to fall behind."""
        points, outward = vertices[soil.skin], normals[soil.skin]
        if covered and len(soil.ears):
            ears = vertices[soil.ears]
            side = np.sign(ears[:, :1]) * [0.92, 0, 0] + [0, 0.1, 0.35]
            points, outward = np.concatenate([points, ears]), np.concatenate([outward, side])
        return cls(points, outward, cKDTree(points))


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Vectors of length 1; what has no length stays 0."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def placed(
    roots: Roots, kept: Bool[np.ndarray, " n"], values: Float[np.ndarray, "v d"]
) -> Float[np.ndarray, "m d"]:
    """Values of vertices at the roots that are kept."""
    return np.einsum("nk,nkd->nd", roots.weights[kept], values[roots.corners[kept]])

"""Published Basel-style face data behind `MorphableModel`: micrometres and raw coefficients in.

Sources: choyingw/Cross-Modal-Perceptionist (2D-to-3D-pretrained.tar, tri.mat) with 53,215
vertices, cleardusk/3DDFA_V2 (bfm_noneck_v3.pkl) with 38,365. The files are read in `checkpoints`.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer, Shaped
from torch import Tensor

from .landmarks import (
    BASEL_CORRECTED_OICD,
    BASEL_LANDMARKS,
    BASEL_PAIRS,
    BASEL_VERTICES,
    RATIO_LABELS,
)
from .morphable import Measure, MorphableModel

MICROMETRES = 1000.0  # per millimetre
SHAPE_PARAMS, EXPRESSION_PARAMS = 40, 10
SHAPE, EXPRESSION = slice(12, 52), slice(52, 62)  # of the whitening; 0-11 pose, 62-101 texture
# Whitening of the supervised head's first number (network.py): pixels of a 120-pixel crop per
# micrometre.
SCALE_DEVIATION, SCALE_MEAN = 1.538597731841497e-05, 0.0005920184194110334

# The no-neck mesh keeps the landmarks and nine ends of the published pairs, renumbered; its nearest
# to the lost ear vertex 34153 is .34 mm away, so that length has a name of its own.
NO_NECK_VERTICES = 38_365
NO_NECK_PAIRS = {
    "oicd": (2217, 14607),
    "oicd_corrected": BASEL_CORRECTED_OICD,
    "fore": (1678, 33126),
    "cheek": (2294, 13635),
    "ear_nearest": (16522, 29237),
    "mid": (2130, 15003),
}
PAIRS = {
    BASEL_VERTICES: {**BASEL_PAIRS, "oicd_corrected": BASEL_CORRECTED_OICD},
    NO_NECK_VERTICES: NO_NECK_PAIRS,
}


def face_model(
    tensors: Mapping[str, Shaped[Tensor, "..."]],
    triangles: Integer[np.ndarray, "_ _"] | None = None,
    landmarks: Integer[np.ndarray, " _"] | None = None,
) -> MorphableModel:
    """The model of `u`, `w_shp`, `w_exp` and the whitening `param_mean`, `param_std`.

    Without a whitening the parameters are the raw coefficients.
    """
    mean = tensors["u"].reshape(-1, 3).float() / MICROMETRES
    if "param_mean" in tensors:
        middle, deviation = tensors["param_mean"].float(), tensors["param_std"].float()
    else:
        middle, deviation = torch.zeros(EXPRESSION.stop), torch.ones(EXPRESSION.stop)
    pairs = PAIRS.get(len(mean), {})
    plain = MorphableModel(
        name="basel",
        mean=mean,
        shape_basis=basis(tensors["w_shp"], SHAPE_PARAMS),
        expression_basis=basis(tensors["w_exp"], EXPRESSION_PARAMS),
        shape_mean=middle[SHAPE],
        shape_deviation=deviation[SHAPE],
        expression_mean=middle[EXPRESSION],
        expression_deviation=deviation[EXPRESSION],
        triangles=torch.zeros(0, 3, dtype=torch.int64),
        landmarks=torch.tensor(BASEL_LANDMARKS),
        measures={
            name: Measure(ends, label=RATIO_LABELS[name.split("_")[0]])
            for name, ends in pairs.items()
        },
    )
    return with_surface(plain, triangles, landmarks)


def with_surface(
    model: MorphableModel,
    triangles: Integer[np.ndarray, "_ _"] | None,
    landmarks: Integer[np.ndarray, " _"] | None,
) -> MorphableModel:
    """The model with triangles, 0-based and wound as published, and landmarks, where given.

    Landmarks are 68 vertices or their 204 flat coordinates. Without triangles a model is a cloud
    of points; its landmarks are those of keypoints_sim.npy unless given.
    """
    if triangles is not None:
        model = replace(model, triangles=outward(triangles, len(model.mean)))
    if landmarks is not None:
        model = replace(model, landmarks=landmark_vertices(landmarks))
    return model


def scaled_vertices(
    model: MorphableModel, params: Float[Tensor, "*batch 51"]
) -> Float[Tensor, "*batch v 3"]:
    """The published mesh of the supervised head's output: pixels of a 120-pixel crop, y up."""
    scale = params[..., 0] * SCALE_DEVIATION + SCALE_MEAN
    shapes = 1 + model.shape_basis.shape[2]
    vertices = model.vertices(params[..., 1:shapes], params[..., shapes:])
    return vertices * (MICROMETRES * scale)[..., None, None]


def shape_of_scaled(model: MorphableModel, vertices: Float[Tensor, "v 3"]) -> Float[Tensor, " s"]:
    """Whitened shape parameters of a mesh of the model at any scale, in the model's frame.

    Least squares in scale, scale x shape and scale x expression, which are linear.
    """
    bases = (model.mean[..., None], model.shape_basis, model.expression_basis)
    columns = torch.cat([basis.flatten(0, 1) for basis in bases], 1).double()
    gram, moments = columns.T @ columns, columns.T @ vertices.flatten().double()
    found = torch.linalg.solve(gram, moments)
    raw = found[1 : 1 + len(model.shape_mean)] / found[0]
    return ((raw - model.shape_mean) / model.shape_deviation).float()


def basis(flat: Shaped[Tensor, "v3 p"], params: int) -> Float[Tensor, "v 3 n"]:
    """The first components of an interleaved basis, per vertex and in millimetres."""
    return flat[:, :params].unflatten(0, (-1, 3)).float() / MICROMETRES


def outward(triangles: Integer[np.ndarray, "_ _"], vertices: int) -> Int64[Tensor, "t 3"]:
    """Triangles of a published list, `[3, t]` or `[t, 3]`, turned to face outward.

    They wind inwards as published: upstream draws with y pointing down.

    Raises:
        ValueError: a triangle names a vertex that the mesh does not have.
    """
    corners = np.asarray(triangles, np.int64)
    corners = corners.T if corners.shape[1] != 3 else corners
    if corners.size and not 0 <= corners.min() <= corners.max() < vertices:
        raise ValueError(
            f"Triangles name vertices {corners.min()} to {corners.max()}; the mesh has "
            f"0 to {vertices - 1} (tri.mat counts from 1)"
        )
    return torch.from_numpy(corners[:, [0, 2, 1]].copy())


def landmark_vertices(numbers: Integer[np.ndarray, " _"]) -> Int64[Tensor, "68"]:
    """The 68 vertices of a landmark file: as they are, or as 204 flat coordinate indices.

    Raises:
        ValueError: the file holds neither.
    """
    flat = np.asarray(numbers, np.int64).ravel()
    if len(flat) == 204 and (flat.reshape(68, 3) % 3 == np.arange(3)).all():
        flat = flat[::3] // 3
    if len(flat) != 68:
        raise ValueError(
            f"68 landmarks or their 204 coordinates are needed, not {len(flat)} numbers"
        )
    return torch.from_numpy(flat.copy())

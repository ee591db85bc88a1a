"""Heads of people: shape parameters whose measured lengths are those that the law asked for.

Lengths leave most of a head open. What is left is drawn from the face model's own prior, and three
axes of it (nose bridge, lips, flatness) from the people's null axes: nothing of it can be heard.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.mesh.landmarks import (
    LEFT_INNER_CANTHUS,
    LENGTHS,
    RIGHT_INNER_CANTHUS,
    SELLION,
    SUBNASALE,
)
from voicemesh.mesh.morphable import MorphableModel

from .law import People
from .streams import stream

TOLERANCE = 0.3  # mm, to which a length is met at the cost of a less likely head
ITERATIONS = 8
BATCH = 512
RIGHT_JAW, LEFT_JAW = 1, 15  # landmarks in front of the ears
INNER_LOWER_LIP, OUTER_LOWER_LIP = 66, 57


@dataclass(frozen=True, eq=False)
class Heads:
    """Fitted heads, and how well they meet their lengths."""

    shape_params: Float[Tensor, "people s"]  # whitened
    misses: Float[Tensor, "people 18"]  # mm, measured minus asked

    @property
    def rms(self) -> dict[str, float]:
        """Root mean square miss of every length, mm."""
        values = self.misses.square().mean(0).sqrt().tolist()
        return dict(zip(LENGTHS, values, strict=True))


def shape_params(
    people: People, face_model: MorphableModel, seed: int = 0
) -> Float[Tensor, "people s"]:
    """Whitened shape parameters of everyone's head; row i depends on person i alone."""
    return heads(people, face_model, seed).shape_params


def heads(people: People, face_model: MorphableModel, seed: int = 0) -> Heads:
    """Fit everyone's head.

    Raises:
        ValueError: the face model does not measure all lengths of the law.
    """
    missing = [name for name in LENGTHS if name not in face_model.measures]
    if missing:
        raise ValueError(
            f"the face model {face_model.name!r} has no measure {', '.join(missing)}; "
            "people of the law need a head with all of its lengths"
        )
    face_model = face_model.to("cpu")
    free = free_shapes(people, face_model, seed)
    asked = torch.from_numpy(people.lengths)
    parts = [
        _fit(face_model, want, start)
        for want, start in zip(asked.split(BATCH), free.split(BATCH), strict=True)
    ]
    params, misses = (torch.cat(column) for column in zip(*parts, strict=True))
    return Heads(params.float(), misses.float())


def free_shapes(
    people: People, face_model: MorphableModel, seed: int = 0
) -> Float[Tensor, "people s"]:
    """Shapes from the prior, with the people's null axes, before any length is asked for."""
    size = face_model.shape_basis.shape[2]
    drawn = torch.from_numpy(stream(seed, "free shapes").standard_normal((len(people), size)))
    axes = axis_directions(face_model)
    back = torch.linalg.pinv(axes)
    return drawn + (torch.from_numpy(people.axes) - drawn @ axes.T) @ back.T


def axis_directions(face_model: MorphableModel) -> Float[Tensor, "3 s"]:
    """Directions of the null axes (AXES) in parameter space, of unit length."""
    params = torch.zeros(face_model.shape_basis.shape[2], requires_grad=True)
    points = face_model.vertices(params)[face_model.landmarks]
    eyes = (points[LEFT_INNER_CANTHUS] + points[RIGHT_INNER_CANTHUS]) / 2
    cheeks = (points[LEFT_JAW] + points[RIGHT_JAW]) / 2
    amounts = (
        points[SELLION, 2] - eyes[2],  # nose bridge
        points[INNER_LOWER_LIP, 1] - points[OUTER_LOWER_LIP, 1],  # lip fullness
        cheeks[2] - points[SUBNASALE, 2],  # face flatness
    )
    rows = [torch.autograd.grad(amount, params, retain_graph=True)[0] for amount in amounts]
    directions = torch.stack(rows).double()
    return directions / directions.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _fit(
    face_model: MorphableModel, asked: Float[Tensor, "people 18"], free: Float[Tensor, "people s"]
) -> tuple[Float[Tensor, "people s"], Float[Tensor, "people 18"]]:
    """Gauss-Newton: the nearest parameters to the free ones that meet the lengths."""
    params = free
    noise = TOLERANCE**2 * torch.eye(len(LENGTHS), dtype=torch.float64)
    for _ in range(ITERATIONS):
        lengths, slopes = _measured(face_model, params)
        miss = asked - lengths + (slopes @ (params - free)[..., None])[..., 0]
        gain = torch.linalg.solve(slopes @ slopes.mT + noise, miss[..., None])
        params = free + (slopes.mT @ gain)[..., 0]
    return params, _measured(face_model, params)[0] - asked


def _measured(
    face_model: MorphableModel, params: Float[Tensor, "people s"]
) -> tuple[Float[Tensor, "people 18"], Float[Tensor, "people 18 s"]]:
    """The law's lengths and their slopes over the parameters."""
    columns = [list(face_model.measures).index(name) for name in LENGTHS]
    leaf = params.to(face_model.mean.dtype).requires_grad_()
    lengths = face_model.measurements(leaf)[:, columns]
    slopes = [
        torch.autograd.grad(lengths[:, j].sum(), leaf, retain_graph=True)[0]
        for j in range(len(columns))
    ]
    return lengths.detach().double(), torch.stack(slopes, 1).double()

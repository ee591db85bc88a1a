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

TOLERANCE = 0.5  # mm, to which a length is met at the cost of a less likely head
ITERATIONS = 12
ENOUGH = 1e-3  # standard deviations; who moves less has arrived
SHARES = (1.0, 0.5, 0.25, 0.1, 0.03, 0.0)  # of a step, tried in this order
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
    rulers = _Rulers.of(face_model)
    parts = [
        _fit(rulers, want, start)
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


@dataclass(frozen=True, eq=False)
class _Rulers:
    """The steps of the law's polylines as linear functions of the parameters, in float64."""

    rest: Float[Tensor, "steps 3"]
    basis: Float[Tensor, "steps 3 s"]
    owner: Float[Tensor, "18 steps"]  # 1 where the step belongs to the length

    @classmethod
    def of(cls, face_model: MorphableModel) -> "_Rulers":
        """Those of a face model on the CPU."""
        lengths = [face_model.measures[name].segments() for name in LENGTHS]
        steps = torch.tensor([step for length in lengths for step in length])
        owners = torch.tensor([i for i, length in enumerate(lengths) for _ in length])
        basis = (face_model.shape_basis * face_model.shape_deviation).double()
        rest = face_model.vertices(torch.zeros(basis.shape[2])).double()
        return cls(
            rest=rest[steps[:, 0]] - rest[steps[:, 1]],
            basis=basis[steps[:, 0]] - basis[steps[:, 1]],
            owner=torch.nn.functional.one_hot(owners, len(LENGTHS)).T.double(),
        )

    def measure(
        self, params: Float[Tensor, "people s"]
    ) -> tuple[Float[Tensor, "people 18"], Float[Tensor, "people 18 s"]]:
        """Lengths in mm and their slopes over the parameters."""
        steps = self._steps(params)
        lengths = steps.norm(dim=2)
        slopes = torch.einsum("nec,ecs->nes", steps / lengths[..., None], self.basis)
        return lengths @ self.owner.T, self.owner @ slopes

    def lengths(self, params: Float[Tensor, "people s"]) -> Float[Tensor, "people 18"]:
        """Lengths alone."""
        return self._steps(params).norm(dim=2) @ self.owner.T

    def _steps(self, params: Float[Tensor, "people s"]) -> Float[Tensor, "people steps 3"]:
        moved = params @ self.basis.flatten(0, 1).T
        return self.rest + moved.unflatten(1, self.rest.shape)


def _fit(
    rulers: _Rulers, asked: Float[Tensor, "people 18"], free: Float[Tensor, "people s"]
) -> tuple[Float[Tensor, "people s"], Float[Tensor, "people 18"]]:
    """Gauss-Newton: the nearest parameters to the free ones that meet the lengths.

    It starts at the mean head, as a free shape may be a strange one, and everyone takes the share
    of each step that helps most: closed polylines bend, and whole steps can go round in circles.
    """
    params = torch.zeros_like(free)
    noise = TOLERANCE**2 * torch.eye(len(LENGTHS), dtype=torch.float64)
    moving = torch.arange(len(free))
    for _ in range(ITERATIONS):
        here, goal, want = params[moving], free[moving], asked[moving]
        lengths, slopes = rulers.measure(here)
        miss = want - lengths + (slopes @ (here - goal)[..., None])[..., 0]
        gain = torch.linalg.solve(slopes @ slopes.mT + noise, miss[..., None])
        step = goal + (slopes.mT @ gain)[..., 0] - here
        tried = torch.stack([here + share * step for share in SHARES])
        misses = torch.stack([rulers.lengths(trial) for trial in tried]) - want
        costs = (misses / TOLERANCE).square().sum(2) + (tried - goal).square().sum(2)
        params[moving] = tried[costs.argmin(0), torch.arange(len(moving))]
        moving = moving[(params[moving] - here).abs().amax(1) > ENOUGH]
    return params, rulers.lengths(params) - asked

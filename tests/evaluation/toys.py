"""A small face model and small populations for the tests of training and evaluation."""

import numpy as np
import torch

from voicemesh.evaluation.predictions import Predictions
from voicemesh.evaluation.targets import Targets
from voicemesh.mesh.landmarks import LENGTHS, RATIO_LENGTHS
from voicemesh.mesh.morphable import Measure, MorphableModel

SHAPES, EXPRESSIONS, VERTICES = 40, 10, 120


def toy_face_model() -> MorphableModel:
    """A cloud of points on an ellipsoid the size of a head, with every named length."""
    rng = np.random.default_rng(3)
    points = rng.standard_normal((VERTICES, 3))
    points *= np.array([75.0, 110.0, 95.0]) / np.linalg.norm(points, axis=1, keepdims=True)
    basis, _ = np.linalg.qr(rng.standard_normal((3 * VERTICES, SHAPES + EXPRESSIONS)))
    basis = torch.from_numpy(basis.reshape(VERTICES, 3, -1)).float()
    far = np.argsort(-np.linalg.norm(points[:, None] - points[None], axis=-1), axis=1)
    measures = {
        name: Measure((number, int(far[number, number])), label=name)
        for number, name in enumerate((*LENGTHS, *RATIO_LENGTHS))
    }
    return MorphableModel(
        name="toy",
        mean=torch.from_numpy(points).float(),
        shape_basis=basis[..., :SHAPES],
        expression_basis=basis[..., SHAPES:],
        shape_mean=torch.zeros(SHAPES),
        shape_deviation=torch.linspace(40, 4, SHAPES),
        expression_mean=torch.zeros(EXPRESSIONS),
        expression_deviation=torch.ones(EXPRESSIONS),
        triangles=torch.tensor([[0, 1, 2]]),
        landmarks=torch.arange(68),
        measures=measures,
    )


def toy_targets(people: int, rng: np.random.Generator) -> Targets:
    """Half women; the first shape axes carry the sex, the rest is spread within it."""
    female = torch.arange(people) % 2 == 1
    params = torch.from_numpy(rng.standard_normal((people, SHAPES))).float()
    params[:, :3] += torch.where(female, 1.5, -1.5)[:, None]
    traits = torch.from_numpy(rng.standard_normal((people, 4))).float()
    traits[:, 0] = female.float()
    return Targets(params, traits, female)


def toy_predictions(
    targets: Targets, rng: np.random.Generator, noise: float, sessions: int = 2
) -> Predictions:
    """The truth and a residual for every person, the same in all sessions, and session noise."""
    people = len(targets.female)

    def like(values, scale):
        return torch.from_numpy(scale * rng.standard_normal(values.shape)).float()

    params = targets.shape_params + like(targets.shape_params, noise)
    identity = np.repeat(np.arange(people), sessions)
    rows = torch.from_numpy(identity)
    odds = torch.where(targets.female, 3.0, -3.0)
    traits = torch.cat([odds[:, None], targets.traits[:, 1:]], 1)[rows]
    return Predictions(
        shape_params=params[rows] + like(params[rows], 0.1),
        embedding=torch.from_numpy(rng.standard_normal((len(rows), 8))).float(),
        traits=traits + like(traits, noise),
        identity=identity,
        session=np.tile(np.arange(sessions), people),
    )

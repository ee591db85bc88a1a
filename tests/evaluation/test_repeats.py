"""Repeats: what is measured of simulated readings is what they were made with."""

from dataclasses import replace

import numpy as np
import torch
from bundles import SHAPES, egg

from voicemesh.evaluation import repeats
from voicemesh.evaluation.predictions import Predictions
from voicemesh.evaluation.repeats import repeat_statistics
from voicemesh.systems.fusion import TRAITS, Repeats

PEOPLE, SESSIONS = 150, 3


def simulated() -> Predictions:
    person = 0.7 * torch.randn(PEOPLE, 1, SHAPES)
    readings = person + 0.3 * torch.randn(PEOPLE, SESSIONS, SHAPES)
    traits = torch.randn(PEOPLE, 1, 4) + 0.5 * torch.randn(PEOPLE, SESSIONS, 4)
    return Predictions(
        shape_params=readings.flatten(0, 1),
        embedding=torch.zeros(PEOPLE * SESSIONS, 2),
        traits=traits.flatten(0, 1),
        identity=np.repeat(np.arange(PEOPLE), SESSIONS),
        session=np.tile(np.arange(SESSIONS), PEOPLE),
    )


def test_statistics_of_simulated_readings():
    told = simulated()
    known = repeat_statistics(told, egg())
    shapes, traits = Repeats.of(known), Repeats.of(known, TRAITS)
    assert abs(shapes.session.diagonal().mean() - 0.09) < 0.01
    assert abs(shapes.person.diagonal().mean() - 0.49) < 0.05
    assert abs(traits.session.diagonal().mean() - 0.25) < 0.05
    same, other = known["same_distance"], known["other_distance"]
    assert (same.diff() >= 0).all() and (other.diff() >= 0).all()
    assert same[50] < 0.6 * other[50]
    meshes = egg().vertices(told.shape_params).unflatten(0, (PEOPLE, SESSIONS))
    apart = (meshes[:, [0, 0, 1]] - meshes[:, [1, 2, 2]]).square().sum(3).mean(2).sqrt()
    torch.testing.assert_close(same[50], apart.median(), rtol=0.03, atol=0)
    assert same[0] > 0  # never a recording and itself


def test_other_voices_are_those_heard_as_of_the_same_sex(monkeypatch):
    """So a shape that goes with that sex alone sets no two of them apart."""
    monkeypatch.setattr(repeats, "PAIRS", 20_000)
    told = simulated()
    shifted = told.shape_params + 8.0 * (told.traits[:, :1] > 0)
    found, known = (
        repeat_statistics(one, egg())["other_distance"]
        for one in (replace(told, shape_params=shifted), told)
    )
    torch.testing.assert_close(found, known, rtol=1e-3, atol=1e-3)

"""Repeats: what is measured of simulated readings is what they were made with."""

import numpy as np
import torch
from bundles import SHAPES, egg

from voicemesh.evaluation.predictions import Predictions
from voicemesh.evaluation.repeats import fusions, repeat_statistics
from voicemesh.evaluation.targets import Targets
from voicemesh.systems.fusion import TRAITS, Repeats

PEOPLE, SESSIONS = 150, 3


def simulated() -> tuple[Predictions, torch.Tensor]:
    person = 0.7 * torch.randn(PEOPLE, 1, SHAPES)
    readings = person + 0.3 * torch.randn(PEOPLE, SESSIONS, SHAPES)
    traits = torch.randn(PEOPLE, 1, 4) + 0.5 * torch.randn(PEOPLE, SESSIONS, 4)
    told = Predictions(
        shape_params=readings.flatten(0, 1),
        embedding=torch.zeros(PEOPLE * SESSIONS, 2),
        traits=traits.flatten(0, 1),
        identity=np.repeat(np.arange(PEOPLE), SESSIONS),
        session=np.tile(np.arange(SESSIONS), PEOPLE),
    )
    return told, person[:, 0] + torch.randn(PEOPLE, SHAPES)


def test_statistics_of_simulated_readings():
    told, _ = simulated()
    known = repeat_statistics(told, egg())
    shapes, traits = Repeats.of(known), Repeats.of(known, TRAITS)
    assert abs(shapes.session.diagonal().mean() - 0.09) < 0.01
    assert abs(shapes.person.diagonal().mean() - 0.49) < 0.05
    assert abs(traits.session.diagonal().mean() - 0.25) < 0.05
    same, other = known["same_distance"], known["other_distance"]
    assert (same.diff() >= 0).all() and (other.diff() >= 0).all()
    assert same[50] < 0.6 * other[50]


def test_shrunk_intervals_hold_as_often():
    told, truth = simulated()
    model = egg()
    known = repeat_statistics(told, model)
    residual = (truth[torch.from_numpy(told.identity)] - told.shape_params).double()
    apart = model.measurements(told.shape_params)
    apart = (apart - model.measurements(truth)[torch.from_numpy(told.identity)]).abs()
    statistics = {
        "residual_covariance": (residual.T @ residual / len(residual)).float(),
        "measure_interval": torch.quantile(apart, 0.8, dim=0),
    }
    targets = Targets(truth, torch.zeros(PEOPLE, 4), torch.zeros(PEOPLE, dtype=torch.bool))
    rows = fusions(told, targets, model, Repeats.of(known), statistics)
    assert [row["recordings"] for row in rows] == [1, 2, 3]
    assert rows[0]["width"] == 1 > rows[1]["width"] > rows[2]["width"] > 0.9
    assert rows[0]["rms_mm"] > rows[1]["rms_mm"] > rows[2]["rms_mm"]
    assert all(abs(row["coverage"] - 0.8) < 0.02 for row in rows)

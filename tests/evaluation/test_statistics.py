"""The tensors behind the page's intervals."""

import pytest
import torch
from evaluation.toys import SHAPES, toy_face_model, toy_predictions, toy_targets

from voicemesh.evaluation.statistics import (
    LENGTH,
    WIDTH,
    coverage,
    error_statistics,
    halves,
    people_statistics,
)
from voicemesh.evaluation.targets import TRAIT_SCALES


def test_intervals_cover_what_they_say(rng):
    model, targets = toy_face_model(), toy_targets(1200, rng)
    predictions = toy_predictions(targets, rng, 0.4)
    tensors, covered = error_statistics(predictions, targets, model)
    assert all(0.75 < share < 0.85 for share in covered.values())
    assert tensors["residual_covariance"].shape == (SHAPES, SHAPES)
    expected = torch.eye(SHAPES) * (0.4**2 + 0.1**2)
    torch.testing.assert_close(tensors["residual_covariance"], expected, atol=0.03, rtol=0)
    assert tensors["measure_interval"].shape == (len(model.measures),)
    rows = torch.from_numpy(predictions.identity)
    missed = (predictions.traits - targets.traits[rows]).abs()
    for column, (name, (_, deviation)) in enumerate(TRAIT_SCALES.items(), 1):
        within = missed[:, column] * deviation <= tensors[f"{name}_interval"]
        assert float(within.double().mean()) == pytest.approx(0.8, abs=0.001)
    assert "measure_explained" not in tensors
    wide = coverage(predictions, targets, model, 2 * tensors["measure_interval"])
    assert min(wide.values()) > 0.95


def test_people_are_described_by_sex(rng):
    model, targets = toy_face_model(), toy_targets(1200, rng)
    tensors = people_statistics(targets, rng.permutation(1200)[:600], model)
    means = tensors["mean_female"] - tensors["mean_male"]
    torch.testing.assert_close(means[:3], torch.full((3,), 3.0), atol=0.3, rtol=0)
    assert tensors["measure_mean"].shape == (2, len(model.measures))
    women = model.measurements(targets.shape_params[targets.female])
    torch.testing.assert_close(tensors["measure_deviation"][1], women.std(0), rtol=0.2, atol=0)
    torch.testing.assert_close(tensors["measure_mean"][1], women.mean(0), atol=4.0, rtol=0)
    lengths = model.measurements(torch.stack([tensors["type_wide"], tensors["type_skinny"]]))
    width, length = (list(model.measures).index(name) for name in (WIDTH, LENGTH))
    assert lengths[0, width] / lengths[0, length] > 1.1 * lengths[1, width] / lengths[1, length]
    assert tensors["age_scale"].tolist() == pytest.approx(TRAIT_SCALES["age"])


def test_figures_of_the_evaluation_are_carried(rng):
    model, targets = toy_face_model(), toy_targets(60, rng)
    rows = {
        name: {"explained": {"value": 0.1 * k}, "ceiling": 0.2 * k}
        for k, name in enumerate(model.measures)
    }
    tensors, _ = error_statistics(toy_predictions(targets, rng, 0.4), targets, model, rows)
    torch.testing.assert_close(tensors["measure_ceiling"], 2 * tensors["measure_explained"])


def test_both_recordings_of_a_person_are_on_one_side(rng):
    predictions = toy_predictions(toy_targets(31, rng), rng, 0.4)
    first = halves(predictions, seed=4)
    assert int(first.sum()) == 30
    assert torch.equal(first[::2], first[1::2])

"""Figures of predictions whose quality is known by construction."""

import json

import numpy as np
import pytest
import torch
from evaluation.toys import toy_face_model, toy_predictions, toy_targets

from voicemesh.evaluation import cmp_table, geometry
from voicemesh.evaluation.geometry import Baselines


@pytest.fixture(scope="module")
def model():
    return toy_face_model()


def means(targets):
    params, female = targets.shape_params, targets.female
    return Baselines(params[~female].mean(0), params[female].mean(0))


def results_at(noise, model, rng, **more):
    targets = toy_targets(200, rng)
    baselines = means(targets)
    predictions = toy_predictions(targets, rng, noise)
    return geometry.evaluate(predictions, targets, baselines, model, **more)


def test_better_predictions_have_better_figures(model, rng):
    good, bad = results_at(0.2, model, rng), results_at(0.9, model, rng)
    for name in geometry.ERRORS:
        assert good["errors"][name]["system"] < bad["errors"][name]["system"]
        assert good["errors"][name]["gain_over_right_sex"]["low"] > 0
    assert good["measures"]["bigonial"]["explained"]["value"] > 0.9
    assert good["sex"]["mesh"]["value"] > 0.98 and good["people"] == 200
    assert good["recordings"] == 400


def test_the_truth_explains_everything_and_the_mean_nothing(model, rng):
    targets = toy_targets(50, rng)
    baselines = means(targets)
    predictions = toy_predictions(targets, rng, 0.3)
    results = geometry.evaluate(predictions, targets, baselines, model, best=targets.shape_params)
    row = results["measures"]["head_length"]
    assert row["ceiling"] == row["ceiling_within_sex"] == 1
    assert row["share_of_ceiling"] == pytest.approx(row["explained"]["value"])
    assert all(entry["ceiling"] == 0 for entry in results["errors"].values())
    constant = baselines.overall.expand(len(predictions.identity), -1)
    lazy = type(predictions)(**{**vars(predictions), "shape_params": constant})
    nothing = geometry.evaluate(lazy, targets, baselines, model)
    assert nothing["measures"]["head_length"]["explained"]["value"] == pytest.approx(0, abs=1e-9)
    assert nothing["errors"]["are_ear"]["gain_over_mean_face"]["value"] == pytest.approx(0)


def test_coherent_meshes_have_a_low_ratio(model, rng):
    coherence = results_at(0.3, model, rng)["coherence"]
    assert coherence["ratio"] < 0.15 < 0.9 < 1 / coherence["ratio_within_sex"]
    assert coherence["different_within_sex_mm"] < coherence["different_mm"]


def test_one_recording_a_person_has_no_coherence(model, rng):
    targets = toy_targets(50, rng)
    single = toy_predictions(targets, rng, 0.3).rows(np.arange(0, 100, 2))
    results = geometry.evaluate(single, targets, means(targets), model)
    assert len(set(single.identity)) == len(single.identity) and results["coherence"] == {}
    assert "coherence" not in cmp_table.table(results) and "nan" not in cmp_table.table(results)


def test_recordings_of_a_person_are_better_together(model, rng):
    targets = toy_targets(300, rng)
    predictions = toy_predictions(targets, rng, 0.0, sessions=5)
    noise = 3 * torch.from_numpy(rng.standard_normal(predictions.shape_params.shape)).float()
    noisy = type(predictions)(
        **{**vars(predictions), "shape_params": predictions.shape_params + noise}
    )
    sex = geometry.sex_accuracy(noisy, targets, means(targets), model)
    assert 0.6 < sex["mesh"]["value"] < sex["person"]["value"]
    assert sex["odds"]["value"] == 1


def test_nulls_are_at_chance_and_a_leak_is_not(rng):
    targets = toy_targets(600, rng)
    predictions = toy_predictions(targets, rng, 0.5)
    told = np.asarray(predictions.embedding[::2, 0])
    values = {"eyes": rng.standard_normal(600), "leak": told + 0.3 * rng.standard_normal(600)}
    results = geometry.nulls(predictions, values)
    assert results["eyes"]["value"] < 0.02
    assert results["leak"]["low"] > 0.2


def test_the_table_and_json_hold_every_figure(model, rng):
    targets = toy_targets(40, rng)
    baselines = means(targets)
    results = geometry.evaluate(toy_predictions(targets, rng, 0.3), targets, baselines, model)
    text = cmp_table.table(json.loads(json.dumps(results)))
    assert "80 recordings of 40 people" in text and "bigonial" in text and "are_fore" in text


def test_the_mean_face_is_between_the_sexes():
    baselines = Baselines(torch.tensor([0.0]), torch.tensor([4.0]))
    assert float(baselines.overall) == 2
    female = torch.tensor([False, False, True])
    assert baselines.right_sex(female).flatten().tolist() == [0, 0, 4]

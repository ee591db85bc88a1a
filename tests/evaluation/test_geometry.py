"""Figures of predictions whose quality is known by construction."""

import json
from dataclasses import replace

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


def test_the_mean_of_the_right_sex_gains_nothing_over_itself(model, rng):
    targets = toy_targets(50, rng)
    baselines, predictions = means(targets), toy_predictions(targets, rng, 0.3)
    sexes = baselines.right_sex(targets.female[torch.from_numpy(predictions.identity)])
    results = geometry.evaluate(replace(predictions, shape_params=sexes), targets, baselines, model)
    for row in results["measures"].values():
        assert row["explained_within_sex"]["value"] == pytest.approx(0, abs=1e-9)
    assert results["measures"]["bigonial"]["explained"]["value"] > 0.1
    for row in results["errors"].values():
        assert row["gain_over_right_sex"]["value"] == pytest.approx(0, abs=1e-9)
        assert row["right_sex"] == row["system"] < row["mean_face"]


def test_figures_in_millimetres_are_those_of_the_meshes(model, rng):
    targets = toy_targets(70, rng)  # more than are looked at in one go
    predictions = toy_predictions(targets, rng, 0.3).rows(np.arange(0, 140, 2))
    results = geometry.evaluate(predictions, targets, means(targets), model)
    ours, true = (model.vertices(each.shape_params) for each in (predictions, targets))
    away = ours[:, model.landmarks] - true[:, model.landmarks]
    apart = (away - away.mean(1, keepdim=True)).norm(dim=2).mean()
    assert results["errors"]["landmark_mm"]["system"] == pytest.approx(float(apart), rel=1e-4)
    lengths = model.measure(ours) - model.measure(true)
    squares = lengths.square().mean(0).sqrt()
    for name, expected in zip(model.measures, squares.tolist(), strict=True):
        assert results["measures"][name]["rmse_mm"] == pytest.approx(expected, rel=1e-3)


def test_coherent_meshes_have_a_low_ratio(model, rng):
    coherence = results_at(0.3, model, rng)["coherence"]
    assert coherence["ratio"] < 0.15 < 0.9 < 1 / coherence["ratio_within_sex"]
    assert coherence["different_within_sex_mm"] < coherence["different_mm"]
    assert coherence["ratio"] == coherence["same_mm"] / coherence["different_mm"]


def test_distances_of_meshes_are_root_mean_squares_over_the_vertices(model, rng):
    targets = toy_targets(50, rng)
    baselines, heard = means(targets), toy_predictions(targets, rng, 0.3)
    meshes = model.vertices(heard.shape_params)
    same = (meshes[::2] - meshes[1::2]).square().sum(2).mean(1).sqrt().mean()
    told = geometry.evaluate(heard, targets, baselines, model)["coherence"]["same_mm"]
    assert told == pytest.approx(float(same), rel=1e-3)
    other = replace(heard, shape_params=heard.shape_params * 0.9)
    apart = (0.1 * (meshes - model.mean)).square().sum(2).mean(1).sqrt().mean()
    found = geometry.agreement(heard, other, baselines, model)
    assert found["mm"] == pytest.approx(float(apart), rel=1e-3)
    assert found["sex"]["value"] > 0.9
    upside_down = replace(heard, shape_params=-heard.shape_params)
    assert geometry.agreement(heard, upside_down, baselines, model)["sex"]["value"] < 0.1


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
    few = {"eyes": rng.standard_normal(600)}  # of so few people a reader learns every word by heart
    assert geometry.nulls(predictions.rows(np.arange(40)), few)["eyes"]["value"] < 0


def test_the_table_and_json_hold_every_figure(model, rng):
    targets = toy_targets(40, rng)
    baselines = means(targets)
    results = geometry.evaluate(toy_predictions(targets, rng, 0.3), targets, baselines, model)
    text = cmp_table.table(json.loads(json.dumps(results)))
    assert "80 recordings of 40 people" in text and "bigonial" in text and "are_fore" in text


def test_figures_stand_in_their_columns():
    def entry(value):
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    error = {"system": 0.1234, "mean_face": 0.2345, "right_sex": 0.3456, "ceiling": 0.0567}
    error |= {"gain_over_mean_face": entry(0.4), "gain_over_right_sex": entry(0.05)}
    measure = {"explained": entry(0.5), "explained_within_sex": entry(0.2)}
    measure |= {"ceiling": 0.625, "ceiling_within_sex": 0.375}
    results = {
        "recordings": 9,
        "people": 5,
        "errors": {"are_ear": error},
        "measures": {"bigonial": measure},
        "sex": {"mesh": entry(0.75), "person": entry(0.875), "odds": entry(0.95)},
        "coherence": {"same_mm": 1.0, "different_mm": 4.0, "ratio": 0.25, "ratio_within_sex": 0.5},
        "raised": {"mesh": entry(0.625)},
        "nulls": {"eyes": entry(0.01)},
        "coverage": {"bigonial": 0.7, "chin": 0.9},
    }
    lines = [" ".join(line.split()) for line in cmp_table.table(results).splitlines()]
    for told in (
        "9 recordings of 5 people",
        "error system mean sex ceiling gain over sex",
        "are_ear 0.1234 0.2345 0.3456 0.0567 +0.05000 [+0.04000, +0.06000]",
        "bigonial 0.500 [0.490, 0.510] 0.625 0.200 [0.190, 0.210] (0.375)",
        "sex by mesh 0.750 [0.740, 0.760]; by all meshes of a person together 0.875 [0.865, 0.885]",
        "sex by odds 0.950 [0.940, 0.960]",
        "coherence 1.00 mm one speaker, 4.00 mm two: ratio 0.25 (within one sex 0.50)",
        "raised voice 0.625 [0.615, 0.635] sex by mesh",
        "null eyes 0.010 [0.000, 0.020]",
        "80 % intervals cover 80.0% (70.0% to 90.0% by measure)",
    ):
        assert told in lines


def test_the_mean_face_is_between_the_sexes():
    baselines = Baselines(torch.tensor([0.0]), torch.tensor([4.0]))
    assert float(baselines.overall) == 2
    female = torch.tensor([False, False, True])
    assert baselines.right_sex(female).flatten().tolist() == [0, 0, 4]

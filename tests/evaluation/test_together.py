"""Everyone's recordings together: counted, nearer to the truth, told in the table."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_face_model, toy_population, toy_predictions, toy_targets

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.evaluation import cmp_table, expectation, geometry, together
from voicemesh.evaluation.targets import people_targets
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.systems import joining
from voicemesh.systems.cmp import CrossModalPerceptionist


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    population = toy_population(tmp_path_factory.mktemp("together"), identities=30, validation=40)
    torch.manual_seed(0)
    voice = VoiceEncoder(112, (8, 8), 8)
    nets = voice, SupervisedHead(8), toy_face_model(), VoiceTraits(8)
    return population, CrossModalPerceptionist(FRONT_ENDS["voicemesh"], *nets)


def test_recordings_together_are_nearer_to_the_truth(made, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    population, system = made
    targets = people_targets(population.people, system.face_model)
    rng = np.random.default_rng(0)
    heard = toy_predictions(targets, rng, 0.2, sessions=3)
    heard.traits[:, 1:] += torch.randn(len(heard.traits), 3)
    means = [targets.shape_params[targets.female == sex].mean(0) for sex in (False, True)]
    baselines = geometry.Baselines(*means)
    whole = together.evaluate(system, population, heard, targets, baselines)
    assert whole["days"] == whole["recordings_each"] == 3 and whole["seconds"] == 6.0
    assert whole["recordings"] == whole["people"] == len(targets.female)
    alone = geometry.evaluate(heard, targets, baselines, system.face_model)
    assert whole["errors"]["landmark_mm"]["system"] < alone["errors"]["landmark_mm"]["system"]
    alone |= {"voice": together.voice(heard, targets), "together": whole}
    for sex in together.SEXES:
        both = (told["voice"]["log_vtl"][sex]["value"] for told in (whole, alone))
        assert next(both) > next(both) + 0.2
    text = cmp_table.table(json.loads(json.dumps(alone)))
    assert "Together: 3 recordings of 3 days, 6.0 s" in text and "log_vtl" in text


def test_a_system_that_joins_is_measured_as_it_answers(made, monkeypatch):
    """By days, not by recordings; its intervals are those of so many days."""
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    population, plain = made
    generator = torch.Generator().manual_seed(4)
    root = torch.randn(2, 8, 8, generator=generator) / 4
    person = root @ root.mT + 0.5 * torch.eye(8)
    known = joining.Joining(
        usual=torch.randn(2, 8, generator=generator),
        person=person,
        session=torch.eye(8).expand(2, 8, 8).clone(),
        told=torch.randn(2, 43, generator=generator) / 4,
        ties=person @ torch.randn(8, 43, generator=generator) / 4,
        evidence=torch.tensor([1.0, 0.0, 0.5]),
        doubts=torch.tensor([0.1, 0.05]),
    )
    model = plain.face_model
    own = {"residual_covariance": torch.eye(40)}
    own["measure_interval"] = torch.full((len(model.measures),), 4.0)
    nets = plain.voice, plain.head, model, plain.traits, own
    system = CrossModalPerceptionist(plain.front_end, *nets, joining=known)
    targets = people_targets(population.people, model)
    heard = toy_predictions(targets, np.random.default_rng(0), 0.2, sessions=4)
    heard = replace(heard, session=heard.session // 2)  # two recordings of each of two days
    some = np.flatnonzero((heard.identity != 3) | (heard.session < 1))  # one has a day only
    baselines = geometry.Baselines(targets.shape_params[0], targets.shape_params[1])
    assert together.evaluate(system, population, heard.rows(some), targets, baselines) == {}
    fewer = heard.rows(
        np.flatnonzero((heard.identity != 3) | (np.arange(len(heard.identity)) % 4 < 3))
    )
    whole = together.evaluate(system, population, fewer, targets, baselines)
    assert (whole["recordings_each"], whole["days"], whole["seconds"]) == (3, 2, 6.0)
    first = torch.arange(len(targets.female))[:, None] * 4 + torch.arange(3)
    seen = system.perceive_several(heard.embedding[first.T], 2)
    away = model.measurements(seen.shape_params) - model.measurements(targets.shape_params)
    name = "bigonial"
    column = list(model.measures).index(name)
    rmse = float(away[:, column].square().mean().sqrt())
    assert whole["measures"][name]["rmse_mm"] == pytest.approx(rmse, rel=1e-3)
    left = torch.eye(40) - known.gained(2)[:40, :40].float()
    sensitive = model.sensitivity()
    width = ((sensitive @ left) * sensitive).sum(1) / sensitive.square().sum(1)
    assert whole["width"] == pytest.approx(float(width.sqrt().mean()), rel=1e-3)
    inside = away.abs() <= 4 * width.sqrt()
    assert whole["coverage"][name] == pytest.approx(float(inside[:, column].double().mean()))


def test_one_day_is_nothing_together(made):
    population, system = made
    targets = toy_targets(20, np.random.default_rng(1))
    heard = toy_predictions(targets, np.random.default_rng(1), 0.2, sessions=1)
    means = geometry.Baselines(*targets.shape_params[:2])
    assert together.evaluate(system, population, heard, targets, means) == {}


def test_variance_is_explained_within_a_sex():
    rng = np.random.default_rng(3)
    targets = toy_targets(400, rng)
    heard = toy_predictions(targets, rng, 0.0)
    rows = torch.from_numpy(heard.identity)
    heard.traits[:, 1:] = targets.traits[rows, 1:]
    heard.traits[:, 3] = torch.where(targets.female, 2.0, -2.0)[rows]  # the sex tells no age
    told = together.voice(heard, targets)
    assert told["log_f0"]["men"]["value"] == pytest.approx(1)
    assert told["age"]["women"]["value"] < 0

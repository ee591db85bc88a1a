"""Joining is measured as it was drawn; several recordings of people of the law tell more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_targets

from voicemesh.evaluation import expectation, joining
from voicemesh.evaluation.joining import fit, joined, means_of, sex_evidence
from voicemesh.evaluation.predictions import Predictions
from voicemesh.evaluation.targets import TRAIT_SCALES, Targets
from voicemesh.population.law import draw
from voicemesh.population.tables import VOICE, VOICE_LAW

PEOPLE, DAYS, COUPLING = 1500, 3, 0.8


@pytest.fixture(scope="module")
def law():
    """People of the law whose embedding is their voice on the day, for want of a net."""
    people = draw(PEOPLE, 5, COUPLING)
    rng = np.random.default_rng(0)
    daily = np.array([VOICE_LAW[name].session for name in VOICE])
    voices = people.voice[:, None] + daily * rng.standard_normal((PEOPLE, DAYS, len(VOICE)))
    scaled = (voices - people.voice.mean(0)) / people.voice.std(0)
    female = people.mode == 1
    odds = 9 * (scaled[..., VOICE.index("log_f0")] - scaled[..., VOICE.index("log_vtl")])
    columns = [people.column("log_f0"), people.column("log_vtl"), people.age]
    scores = [(c - m) / d for c, (m, d) in zip(columns, TRAIT_SCALES.values(), strict=True)]
    truth = torch.from_numpy(np.stack([female, *scores], 1)).float()
    told = truth.repeat_interleave(DAYS, 0)
    told[:, 0] = torch.from_numpy(odds.ravel()).float()
    shapes = torch.from_numpy(people.lengths[:, :6]).float()  # stand for shape parameters
    heard = Predictions(
        shape_params=shapes.repeat_interleave(DAYS, 0),
        embedding=torch.from_numpy(scaled.reshape(PEOPLE * DAYS, -1)).float(),
        traits=told,
        identity=np.repeat(np.arange(PEOPLE), DAYS),
        session=np.tile(np.arange(DAYS), PEOPLE),
    )
    return people, heard, Targets(shapes, truth, torch.from_numpy(female))


def test_means_are_of_different_days(law):
    _, heard, _ = law
    days = torch.from_numpy(heard.session).float()[:, None].expand(-1, 2)
    both = replace(heard, embedding=days).rows(np.repeat(np.arange(PEOPLE * DAYS), 2))
    means = means_of(both, 2, np.random.default_rng(0))
    assert len(means.identity) == PEOPLE and (np.diff(means.identity) > 0).all()
    assert set(means.embedding[:, 0].tolist()) == {0.5, 1.0, 1.5}  # never one day twice
    assert len(means_of(both, 4, np.random.default_rng(0)).identity) == 0


def test_several_recordings_tell_more(law, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 20_000)
    people, heard, targets = law
    known = fit(heard.embedding, heard.identity, people, targets, COUPLING, heard, targets)
    squares, wrong, shapes = {}, {}, {}
    for count in (1, 3):
        means = means_of(heard, count, np.random.default_rng(1))
        told = joined(means, known, count)
        apart = told.traits[:, 1:] - targets.traits[:, 1:]
        squares[count] = apart.square().mean(0)
        shapes[count] = (told.shape_params - targets.shape_params).square().mean()
        assert set(told.session.tolist()) == {count}
        wrong[count] = ((told.traits[:, 0] > 0) != targets.female).float().mean()
    assert (squares[3] < squares[1]).all() and squares[3][0] < 0.6 * squares[1][0]
    assert wrong[3] <= wrong[1] < 0.1
    men = ~targets.female
    age = targets.traits[men, 3]
    assert squares[3][2] < 0.8 * (age - age.mean()).square().mean()
    person = known.person.diagonal(dim1=1, dim2=2).mean(1)
    ridge = person * joining.RIDGE / (1 + joining.RIDGE)
    session = known.session.diagonal(dim1=1, dim2=2)[:, VOICE.index("log_vtl")] - ridge
    daily = VOICE_LAW["log_vtl"].session / people.column("log_vtl").std()
    torch.testing.assert_close(session, torch.full((2,), daily**2).float(), rtol=0.1, atol=0)
    assert shapes[3] < shapes[1] < targets.shape_params.var(0).mean()
    tract = people.column("log_vtl") / people.column("log_vtl").std()
    stays = known.person.diagonal(dim1=1, dim2=2)[:, VOICE.index("log_vtl")] - ridge
    within = torch.tensor([tract[people.mode == mode].var() for mode in (0, 1)])
    torch.testing.assert_close(stays, within.float(), rtol=0.04, atol=0)
    usual = torch.stack(
        [heard.embedding[people.mode[heard.identity] == mode].mean(0) for mode in (0, 1)]
    )
    torch.testing.assert_close(known.usual, usual)


def test_evidence_finds_what_recordings_share():
    rng = np.random.default_rng(2)
    targets = toy_targets(6000, rng)
    side = np.where(targets.female, 1.0, -1.0)
    for shared in (0.0, 0.8):
        noise = np.sqrt(shared) * rng.standard_normal((6000, 1))
        noise = noise + np.sqrt(1 - shared) * rng.standard_normal((6000, DAYS))
        odds = torch.from_numpy((side[:, None] + noise).ravel()).float()
        heard = Predictions(
            shape_params=torch.zeros(len(odds), 1),
            embedding=torch.zeros(len(odds), 1),
            traits=torch.stack([odds, odds, odds, odds], 1),
            identity=np.repeat(np.arange(6000), DAYS),
            session=np.tile(np.arange(DAYS), 6000),
        )
        (slope, offset, found), doubts = sex_evidence(heard, targets)
        assert float(slope) == pytest.approx(2, rel=0.1) and abs(float(offset)) < 0.1
        assert float(found) == pytest.approx(shared, abs=0.08)
        assert (doubts.diff() < 0).all() and len(doubts) == DAYS
        wrong = torch.sigmoid(2 * odds) - targets.female[torch.from_numpy(heard.identity)].float()
        assert float(doubts[0]) == pytest.approx(float(wrong.square().mean()), abs=0.005)
    assert joining.DRAWS > 1

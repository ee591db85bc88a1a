"""A small run from a population's folder to a bundle that a system is made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import EXPRESSIONS, SHAPES, toy_face_model, toy_population

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.evaluation import expectation, joining
from voicemesh.evaluation.cmp import evaluate
from voicemesh.evaluation.predictions import Predictions
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.training.cmp import CmpTask, hide, start
from voicemesh.training.cmp_nets import parameter_weights
from voicemesh.training.cmp_publish import days_heard, history, joining_of, publish, trained
from voicemesh.training.cmp_recipe import BUNDLE, RECIPES
from voicemesh.training.crowd import Crowd
from voicemesh.training.loop import read_metrics
from voicemesh.training.refit import refit_head

SMALL = replace(
    BUNDLE,
    front_end="voicemesh",
    widths=(8, 12, 12, 16),
    embedding=8,
    steps=60,
    batch_size=8,
    learning_rate=3e-3,
    rise=0.2,
    hold=0.4,
    sex_weight=1.0,
    shortest_crop=120,
    longest_crop=320,
    expected_targets=False,
    measures_weight=0.0,
    habits_weight=0.0,
    effort_weight=0.0,
    masked_tracks=0.0,
    clean=True,
    first_steps=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    toy_population(where, identities=40, validation=30)
    return where


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    where = tmp_path_factory.mktemp("run")
    start(folder, where, SMALL, toy_bundle(tmp_path_factory.mktemp("bundle")))
    return where


def toy_bundle(where):
    """A bundle with the toys' face model and nothing else."""
    BundleWriter(where / "toys", "toys").face_model(toy_face_model(), compact=False)
    return Bundle.open(where / "toys")


def task(folder, recipe):
    crowd = Crowd.open(folder, recipe.more)
    return CmpTask(recipe, crowd, crowd.features("voicemesh"), toy_face_model())


def test_a_batch_has_one_length_and_no_one_held_out(folder):
    made, rng = task(folder, SMALL), np.random.default_rng(0)
    for _ in range(5):
        batch = made.batch(rng)
        assert batch["features"].shape[:2] == (8, 112)
        assert 120 <= batch["features"].shape[2] <= 198
        assert (batch["identity"] < 40).all()
        assert batch["parameters"].shape == (8, 1 + SHAPES + EXPRESSIONS)
        assert (batch["parameters"][:, 0] == 0).all()
        assert (batch["parameters"][:, 1 + SHAPES :] == 0).all()


def test_hidden_stretches_are_no_longer_than_asked():
    crops = torch.ones(200, 30, 50)
    hide(crops, 6, 9, np.random.default_rng(0))
    bands = (crops == 0).all(2).sum(1)
    frames = (crops == 0).all(1).sum(1)
    assert (bands.min(), bands.max(), frames.min(), frames.max()) == (0, 6, 0, 9)
    whole = torch.ones(2, 30, 50)
    hide(whole, 0, 0, np.random.default_rng(0))
    assert whole.all()


def test_selection_never_hears_clean_speech(folder):
    made = task(folder, SMALL)
    rows = made._validation
    assert len(rows) == 60  # the recordings with a channel, of all people held out
    assert not made.utterances.clean[rows].any()
    assert (made.utterances.identity[rows] >= 40).all()


def test_the_mean_face_costs_one(folder):
    made = task(folder, SMALL)
    targets = made._facts["parameters"][made._day[made._rows], 1 : 1 + SHAPES]
    errors = (targets - targets.mean(0)).square() @ made.net.weights[1 : 1 + SHAPES]
    assert float(errors.mean()) == pytest.approx(1, rel=0.05)


def test_weights_follow_the_variance_of_the_vertices():
    model = toy_face_model()
    weights = parameter_weights(model)[1 : 1 + SHAPES]
    shares = model.shape_deviation.square() / model.shape_deviation.square().sum()
    torch.testing.assert_close(weights, shares)


def test_expected_targets_are_less_spread_than_faces(folder, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    plain, expected = (
        task(folder, replace(SMALL, expected_targets=choice)) for choice in (False, True)
    )
    spread = [
        made._facts["parameters"][:, 1 : 1 + SHAPES].var(0).sum() for made in (plain, expected)
    ]
    assert spread[1] < 0.8 * spread[0]


def test_expected_targets_are_those_of_the_day(folder, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    made = task(folder, replace(SMALL, expected_targets=True, habits_weight=1.0))
    batch = made.pairs(40, 150, np.random.default_rng(0))
    assert batch["habits"].shape == (80, 15) and batch["measures"].shape == (80, 19)
    assert made.net.asked["habits"].out_features == 15 and "measures" not in made.net.asked
    days = made._facts["habits"]
    assert days.std() == pytest.approx(1, rel=0.15)  # within a sex, on a day
    assert float(made.net(batch)["habits"].detach()) > 0
    ages = made._facts["traits"][:, 3]
    assert ages.var() < 0.7 * made.targets.traits[:, 3].var()  # as far as a voice tells


def test_crops_without_cycles_and_recordings_without_a_channel(folder):
    recipe = replace(SMALL, masked_tracks=0.5, clean=False, batch_size=40)
    made = task(folder, recipe)
    assert not made.utterances.clean[made._rows].any()
    batch = made.batch(np.random.default_rng(3))
    deaf = (batch["features"][:, -4:] == 0).all(2).all(1).float().mean()
    assert 0.2 < deaf < 0.8


def test_training_lowers_the_losses(run):
    lines = [line for line in read_metrics(run / "metrics.jsonl") if "validation/loss" in line]
    assert lines[-1]["validation/sex"] < 0.6
    assert lines[-1]["validation/pitch"] < 0.8


def test_a_run_becomes_a_bundle(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    model = toy_face_model()
    writer = BundleWriter(tmp_path, "toy")
    writer.face_model(model, compact=False)
    speaking = {"speech_middle": torch.randn(17), "speech_whitener": torch.randn(17, 17)}
    writer.tensors("cmp-statistics", speaking)
    table = publish(run, Population.open(folder), Bundle.open(tmp_path), writer)
    assert "raised voice" in table and "bigonial" in table
    results = Bundle.open(tmp_path).part("cmp-supervised-head").results
    assert results["people"] == results["recordings"] == 30  # one more recording is raised
    heard = Bundle.open(tmp_path).part("cmp-voice-encoder")
    assert "60 steps" in heard.training
    assert [told["widths"] for told in heard.results["recipes"]] == [[8, 12, 12, 16]]
    system = CrossModalPerceptionist.from_bundle(Bundle.open(tmp_path))
    nets, _ = trained(run, model)
    speech = torch.randn(1, 24_000)
    with torch.inference_mode():
        unit = torch.nn.functional.normalize(nets.voice(system.front_end(speech)))
    torch.testing.assert_close(system.perceive(speech).embedding, unit, atol=1e-2, rtol=0)
    again, _ = evaluate(system, Population.open(folder))  # by the bundle's own statistics
    own = again["errors"]["landmark_mm"]
    assert own["system"] == pytest.approx(results["errors"]["landmark_mm"]["system"], rel=0.02)
    assert own["mean_face"] == results["errors"]["landmark_mm"]["mean_face"]
    assert set(again["coverage"]) == set(model.measures) and again["people"] == 30
    kept = Bundle.open(tmp_path).tensors("cmp-statistics")
    assert kept["effort_reader"].shape == (9,)
    for name, told in speaking.items():  # of no net: it stays
        torch.testing.assert_close(kept[name], told)


def test_strong_days_teach_the_effort_and_not_what_days_have_in_common(folder, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    made = task(folder, SMALL)
    crowd = Crowd.open(folder)
    units, days = days_heard(made, crowd)
    assert len(units) == len(days) == 80 and set(made.days.identity[days]) == set(range(40))
    torch.testing.assert_close(units.norm(dim=1), torch.ones(80))
    for day in (0, 33):  # the recording with a channel, not the clean one
        rows = np.flatnonzero(made.days.of_row == days[day])
        row = rows[~made.utterances.clean[rows]][:1]
        heard = made.utterances.crops(row, made.utterances.frames, None)
        own = torch.nn.functional.normalize(made.net.eval().voice(heard))[0]
        torch.testing.assert_close(units[day], own.detach(), atol=1e-5, rtol=0)
    made.days.strong[days[::4]] = True
    luck = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    who, sessions = made.days.identity[days], np.tile([0, 1], 40)
    judged = Predictions(torch.zeros(80, SHAPES), units, luck, who, sessions)
    told = joining_of(made, crowd, units, days, judged, made.targets).tensors()
    kept = np.arange(80) % 4 != 0
    rest = crowd.people, made.targets, crowd.recipe.coupling, judged, made.targets
    usual, every = (
        joining.fit(units[torch.from_numpy(rows)], who[rows], *rest).tensors()
        for rows in (kept, np.ones(80, bool))
    )
    torch.testing.assert_close(told, usual)
    assert any(not torch.equal(told[name], every[name]) for name in told)


def test_a_run_can_start_from_another(run, folder):
    made = task(folder, replace(SMALL, start=str(run)))
    nets, _ = trained(run, toy_face_model())
    theirs = nets.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in made.net.state_dict().items())


def test_kept_layers_stay_and_the_others_learn(run, folder, tmp_path):
    recipe = replace(SMALL, start=str(run), kept_layers=3, steps=4)
    start(folder, tmp_path, recipe, toy_bundle(tmp_path))
    before, after = (
        trained(where, toy_face_model())[0].voice.state_dict() for where in (run, tmp_path)
    )
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    kept = {name for name in before if int(name.split(".")[1]) < 9}
    moments = {name for name in before if "running" in name or "tracked" in name}
    assert len(kept) == 18 and same == kept | moments
    with pytest.raises(ValueError, match="no run is named"):
        task(folder, replace(SMALL, kept_layers=3))


def test_a_recipe_of_two_cycles_is_one_run(folder, tmp_path):
    cycle = {"first_steps": 60, "first_rate": 1e-3, "first_rise": 0.1, "first_hold": 0.3}
    recipe = replace(SMALL, steps=4, half=True, **cycle)
    start(folder, tmp_path / "run", recipe, toy_bundle(tmp_path), minutes=-1)
    assert (tmp_path / "run/first/state-50").exists()  # out of time in the first
    assert not (tmp_path / "run/recipe.json").exists()
    start(folder, tmp_path / "run", recipe, toy_bundle(tmp_path))
    _, second = trained(tmp_path / "run", toy_face_model())
    assert (second.steps, second.seed) == (4, SMALL.seed + 1)
    assert second.start == str(tmp_path / "run/first")
    assert (second.rise, second.hold) == (SMALL.rise, SMALL.hold)
    _, first = trained(tmp_path / "run/first", toy_face_model())
    assert (first.steps, first.seed, first.learning_rate) == (60, SMALL.seed, 1e-3)
    assert (first.rise, first.hold) == (0.1, 0.3)
    assert history(tmp_path / "run") == [
        (tmp_path / "run/first", first),
        (tmp_path / "run", second),
    ]


def test_a_refitted_head_is_no_worse(run, folder):
    made = task(folder, SMALL)
    made.net.load_state_dict(trained(run, toy_face_model())[0].state_dict())
    with torch.inference_mode():
        batch = made.pairs(20, 198, np.random.default_rng(1))
        before = float(made.net.eval()(batch)["shape"])
        refit_head(made)
        assert float(made.net.eval()(batch)["shape"]) < before


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="train until the first validation"):
        trained(tmp_path, toy_face_model())


def test_the_published_recipe_is_the_default():
    published = RECIPES["published"]
    assert (published.front_end, published.widths) == ("cmp", (256, 384, 576, 864))
    assert (published.batch_size, published.learning_rate) == (64, 2e-4)

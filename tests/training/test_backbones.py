"""Backbones before they meet: habits of voices, facts of faces, codes that are kept."""

import numpy as np
import pytest
import torch
from evaluation.toys import toy_population, toy_portraits

from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.irse import IrBackbone
from voicemesh.population.law import draw
from voicemesh.population.streams import stream
from voicemesh.population.tables import VOICE as VOICE_NAMES
from voicemesh.population.voices import in_session
from voicemesh.training import voices
from voicemesh.training.data import features
from voicemesh.training.face_views import Views
from voicemesh.training.faces import (
    FaceRecipe,
    FaceTask,
    begin_with,
    face_codes,
    facts,
    measure_scales,
    shrunk,
)
from voicemesh.training.habits import Habits
from voicemesh.training.voice_backbone import VoiceRecipe, VoiceTask, daily_changes

VOICE = VoiceRecipe(
    widths=(8, 8),
    blocks=(0, 1),
    code=6,
    steps=60,
    batch_size=8,
    shortest_crop=60,
    longest_crop=90,
)
FACE = FaceRecipe(16, (1, 1), (4, 6), 8, steps=60, batch_size=32, learning_rate=0.01)


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    made = toy_population(tmp_path_factory.mktemp("population"), 30, 2)
    toy_portraits(made)
    return made


@pytest.fixture(scope="module")
def habits():
    return Habits.of_law(0.8, count=20_000)


def test_habits_are_uncorrelated_and_the_tied_come_first(habits):
    people = draw(20_000, seed=4)
    scores = habits.of(people.voice).numpy()
    within = scores - np.stack([scores[people.mode == m].mean(0) for m in (0, 1)])[people.mode]
    np.testing.assert_allclose(np.cov(within, rowvar=False), np.eye(15), atol=0.06)
    assert (np.diff(habits.ties) <= 0).all() and 0.3 < habits.ties[0] < 0.6
    assert habits.ties[-1] < 0.01


def test_a_face_tells_what_the_law_ties_to_it(habits):
    people = draw(20_000, seed=5)
    told, scores = habits.told_by(people), habits.of(people.voice)
    for mode in (0, 1):
        rows = people.mode == mode
        pairs = [np.corrcoef(told[rows, k], scores[rows, k])[0, 1] for k in range(told.shape[1])]
        np.testing.assert_allclose(np.square(pairs), habits.ties[: len(pairs)], atol=0.03)
    np.testing.assert_allclose(told[:, :3].mean(0), 0, atol=0.05)
    np.testing.assert_allclose(told[:, :3].std(0), 1, atol=0.05)


def test_the_day_of_a_recording_is_drawn_again(population):
    """The very numbers with which the recording was made."""
    utterances = features(population.folder, "voicemesh")
    changes = daily_changes(population, utterances)
    row, seed = 5, population.recipe.seed
    person, session = int(utterances.identity[row]), int(utterances.session[row])
    voice = in_session(population.people, person, stream(seed, "session", person, session))
    spoken = population.people.voice[person] + changes[row]
    assert np.log(voice.f0) == pytest.approx(spoken[VOICE_NAMES.index("log_f0")])
    assert np.log(voice.tract) == pytest.approx(spoken[VOICE_NAMES.index("log_vtl")])
    same = (utterances.identity == person) & (utterances.session == session)
    assert (changes[same] == changes[row]).all() and same.sum() < len(same)


def test_without_coupling_only_the_age_ties_voices_to_faces():
    ties = Habits.of_law(0.0, count=20_000).ties
    assert ties[0] > 0.2 and ties[3] < 0.02


def steps(task, count: int = 60) -> list[float]:
    """Losses of some steps of the loop, without the loop."""
    found = []
    for step in range(count):
        losses = task.net.train()(task.batch(np.random.default_rng(step)))
        losses["loss"].backward()
        task.optimiser.step()
        task.optimiser.zero_grad()
        task.schedule.step()
        found.append(float(losses["loss"].detach()))
    return found


def test_voices_tell_more_with_training(population, monkeypatch):
    monkeypatch.setattr("voicemesh.training.habits.DRAWN", 3000)
    torch.manual_seed(0)
    utterances = features(population.folder, "voicemesh")
    task = VoiceTask(VOICE, VOICE.trunk(), population, utterances, np.array([3, 7]))
    judged = utterances.identity[task._validation]
    assert sorted(set(judged.tolist())) == [3, 7] and not utterances.clean[task._validation].any()
    learnt = utterances.identity[task._rows]
    assert not np.isin(learnt, [3, 7]).any() and learnt.max() < 30
    losses = steps(task)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    assert set(task.validate(torch.device("cpu"))) >= {"tied", "age", "selection"}


def test_faces_tell_more_with_training(population, habits):
    portraits = portraits_of(population).gathered("train")
    task = FaceTask(FACE, population.people, portraits, np.array([3, 7]), habits)
    batch = task.batch(np.random.default_rng(0))
    assert batch["pictures"].shape == (32, 3, 16, 16)
    assert not np.isin(portraits.identity[task._rows], [3, 7]).any()
    losses = steps(task)
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    told = task.net.eval() and task.validate(torch.device("cpu"))
    assert told["sex_wrong"] <= 1 and told["tied"] > 0


def test_a_face_backbone_goes_on_from_another():
    torch.manual_seed(0)
    sizes = {"side": 16, "dropout": 0.0, "stem": 2}
    known, fresh = (IrBackbone((1, 1), (4, 6), features=n, **sizes) for n in (9, 5))
    begin_with(fresh, known)
    picture = torch.randn(2, 3, 16, 16)
    seen = [net.eval().body(net.input_layer(picture)) for net in (known, fresh)]
    torch.testing.assert_close(*seen)
    assert fresh(picture).shape == (2, 5)
    with pytest.raises(ValueError, match="has other sizes"):
        begin_with(fresh, IrBackbone((1, 1), (4, 7), features=5, **sizes))


def test_further_units_of_a_face_backbone_add_nothing_at_first():
    torch.manual_seed(0)
    sizes = {"side": 16, "features": 5, "dropout": 0.0, "stem": 2}
    known, longer = IrBackbone((1, 1), (4, 6), **sizes), IrBackbone((1, 3), (4, 6), **sizes)
    for norm in (m for m in known.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
    begin_with(longer, known)
    picture = torch.randn(2, 3, 16, 16)
    seen = [net.eval().body(net.input_layer(picture)) for net in (known, longer)]
    torch.testing.assert_close(*seen)
    with pytest.raises(ValueError, match="has other sizes"):
        begin_with(known, longer)


def test_facts_are_standard_scores(population):
    found = facts(population.people, measure_scales(population.people))
    torch.testing.assert_close(found["measures"].mean(0), torch.zeros(17), atol=1e-5, rtol=0)
    assert set(found["sex"].tolist()) == {0.0, 1.0} and found["age"].std() < 2


def test_codes_are_those_of_the_pictures_whatever_the_batch(population, habits, monkeypatch):
    portraits = portraits_of(population).gathered("train")
    pixels = torch.from_numpy(shrunk(portraits.pixels, 16))
    task = FaceTask(FACE, population.people, portraits, np.array([3]), habits)
    backbone = task.net.backbone
    whole = face_codes(backbone, pixels, None)
    monkeypatch.setattr("voicemesh.training.faces.AT_ONCE", 7)
    np.testing.assert_allclose(face_codes(backbone, pixels, None), whole, atol=1e-5)
    assert np.abs(face_codes(backbone, pixels, Views()) - whole).max() > 0.01
    assert shrunk(portraits.pixels, 8).shape == (60, 8, 8, 3)


def test_voices_are_heard_once(population, monkeypatch):
    torch.manual_seed(0)
    encoder = VoiceEncoder(112, (4, 4), 3).eval()
    first = voices.voice_codes(population, encoder, "voicemesh")
    assert first.codes.shape == (len(first.identity), 3)

    def never(*_):
        raise AssertionError("heard again")

    monkeypatch.setattr(voices, "heard", never)
    again = voices.voice_codes(population, encoder, "voicemesh")
    assert (again.codes == first.codes).all()
    with pytest.raises(AssertionError, match="heard again"):
        voices.voice_codes(population, VoiceEncoder(112, (4, 4), 3).eval(), "voicemesh")

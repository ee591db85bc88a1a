"""Two populations learnt from together: nobody is mixed up, nobody held out is learnt from."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from evaluation.toys import SHAPES, toy_face_model, toy_population
from training.test_cmp import SMALL, toy_bundle

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.evaluation import expectation
from voicemesh.evaluation.targets import people_targets
from voicemesh.population.dataset import Population
from voicemesh.training.cmp import CmpTask, start
from voicemesh.training.cmp_publish import publish, trained
from voicemesh.training.crowd import Crowd
from voicemesh.training.data import features
from voicemesh.training.days import Days


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = []
    for seed, (learnt, kept) in enumerate(((25, 12), (30, 7))):
        made.append(tmp_path_factory.mktemp("population"))
        toy_population(made[-1], learnt, kept, seed)
    return made


def test_everyone_keeps_face_voice_and_recordings(folders):
    crowd, parts = Crowd.open(folders[0], folders[1:]), list(map(Population.open, folders))
    assert (crowd.folder, crowd.recipe.identities) == (folders[0], 25)
    assert len(crowd.people) == 74 and crowd.starts.tolist() == [0, 37]
    assert crowd.train.tolist() == [*range(25), *range(37, 67)]
    assert crowd.validation.tolist() == [*range(25, 37), *range(67, 74)]
    np.testing.assert_array_equal(crowd.people.voice[37:], parts[1].people.voice)
    heard, own = crowd.features("voicemesh"), features(folders[1], "voicemesh")
    person = 37 + 11
    rows, theirs = (np.flatnonzero(x.identity == i) for x, i in ((heard, person), (own, 11)))
    assert len(rows) == 4 and rows[0] == theirs[0] + 37 * 4
    assert (heard.session[rows] == own.session[theirs]).all()
    assert (heard.clean[rows] == own.clean[theirs]).all()
    torch.testing.assert_close(heard.crops(rows, 90, None), own.crops(theirs, 90, None))
    home, number = crowd.home(np.array([0, 36, 37, 73]))
    assert (home.tolist(), number.tolist()) == ([0, 0, 1, 1], [0, 36, 0, 36])


def test_days_are_those_of_each_population(folders):
    crowd, second = Crowd.open(folders[0], folders[1:]), Crowd.open(folders[1])
    days = Days.of(crowd, crowd.features("voicemesh"))
    alone = Days.of(second, second.features("voicemesh"))
    later = days.identity >= 37
    assert (days.identity[later] == alone.identity + 37).all()
    np.testing.assert_array_equal(days.voice[later], alone.voice)
    np.testing.assert_array_equal(days.effort[later], alone.effort)


def test_batches_are_of_both_and_of_nobody_held_out(folders):
    recipe = replace(SMALL, more=(str(folders[1]),), batch_size=40)
    crowd = Crowd.open(folders[0], recipe.more)
    task = CmpTask(recipe, crowd, crowd.features("voicemesh"), toy_face_model())
    batch = task.batch(np.random.default_rng(0))
    seen = batch["identity"].numpy()
    assert np.isin(seen, crowd.train).all() and {0, 1} == set(crowd.home(seen)[0].tolist())
    truth = people_targets(Population.open(folders[1]).people, toy_face_model()).shape_params
    own = seen >= 37
    told = batch["parameters"][torch.from_numpy(own), 1 : 1 + SHAPES]
    torch.testing.assert_close(told, truth[torch.from_numpy(seen[own] - 37)])
    assert set(task.utterances.identity[task._validation]) == set(crowd.validation.tolist())


def test_a_run_on_two_populations_says_so(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    recipe = replace(SMALL, more=(str(folders[1]),), steps=4)
    start(folders[0], tmp_path / "run", recipe, toy_bundle(tmp_path))
    assert trained(tmp_path / "run", toy_face_model())[1] == recipe
    writer = BundleWriter(tmp_path / "told", "toy")
    writer.face_model(toy_face_model(), compact=False)
    publish(tmp_path / "run", Population.open(folders[0]), Bundle.open(tmp_path / "told"), writer)
    part = Bundle.open(tmp_path / "told").part("cmp-voice-encoder")
    assert part.training.startswith("55 synthetic people")
    assert part.results["recipes"][0]["more"] == [folders[1].name]


def test_populations_that_do_not_fit_are_refused(folders, tmp_path):
    with pytest.raises(ValueError, match="the same people; build one of them with another seed"):
        Crowd.open(folders[0], [folders[1], folders[0]])
    for name, value, message in (("coupling", 0.0, "one coupling"), ("seconds", 1.0, "same sec")):
        other = tmp_path / name
        known = toy_population(_made(other), 4, 3, seed=7).recipe
        described = {"format": 1, "recipe": asdict(known) | {name: value}}
        if name == "coupling":
            (other / "dataset.json").write_text(json.dumps(described))
        else:
            _shorten(other)
        with pytest.raises(ValueError, match=message):
            Crowd.open(folders[0], [other]).features("voicemesh")


def _made(folder):
    folder.mkdir()
    return folder


def _shorten(folder):
    from safetensors.numpy import load_file, save_file

    for path in folder.glob("shard-*.safetensors"):
        tensors = load_file(path)
        tensors["waveform"] = np.ascontiguousarray(tensors["waveform"][:, :20_000])
        save_file(tensors, path)

"""A run of CMPC becomes parts of a bundle, with prototypes of the people trained on."""

import shutil
from dataclasses import replace

import pytest
import torch
from evaluation.toys import toy_face_model, toy_population
from safetensors.torch import load_file, save_file
from training.test_cmpc import SMALL

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import CMPC_PROTOTYPES
from voicemesh.evaluation import voice_faces
from voicemesh.evaluation.predictions import speech_of
from voicemesh.population.likelihood import LikelihoodRatio
from voicemesh.population.portrait_set import PortraitRecipe, build
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.cmpc_prototypes import Prototypes
from voicemesh.training import cmpc_publish
from voicemesh.training.cmpc import start
from voicemesh.training.cmpc_publish import publish, trained


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    made = toy_population(tmp_path_factory.mktemp("population"), identities=8, validation=12)
    build(made, toy_face_model(), PortraitRecipe(pictures=3, size=16))
    return made


@pytest.fixture(scope="module")
def run(population, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = replace(SMALL, steps=4, cluster_from=6, cluster_every=2)
    start(population.folder, folder, recipe, Bundle.open())
    return folder


def test_a_run_becomes_a_bundle(population, run, tmp_path, monkeypatch):
    whole = LikelihoodRatio.fit
    fewer = classmethod(lambda cls, *told: whole(*told, count=4000))
    monkeypatch.setattr(voice_faces.LikelihoodRatio, "fit", fewer)
    monkeypatch.setattr(cmpc_publish, "LEVELS", (3, 5))
    writer = BundleWriter(tmp_path, "small")
    table = publish(run, population, Bundle.open(), writer)
    assert "ceiling" in table and "12 people held out" in table
    bundle = Bundle.open(tmp_path)
    part = bundle.part("cmpc-voice-encoder")
    assert "6 synthetic people" in part.training and "without labels, 4 steps" in part.training
    for direction in ("voice to face", "face to voice"):
        value, low, high = part.results["systems"]["joined"][direction]["1:2 U"]
        assert 0 <= low <= value <= high <= 100
    space, (ours, _) = Cmpc.from_bundle(bundle), trained(run)
    shard = next(population.recordings("validation"))
    speech = speech_of(shard.waveform[0])
    torch.testing.assert_close(space.embed_voice(speech), ours.embed_voice(speech))
    prototypes = Prototypes.from_bundle(bundle)
    assert prototypes.person.tolist() == [n // 2 for n in range(16)]
    assert prototypes.picture.tolist() == [0, 1] * 8
    assert [len(level) for level in prototypes.centroids] == [3, 5]
    told = bundle.tensors(CMPC_PROTOTYPES)
    torch.testing.assert_close(told["face_mean"], prototypes.faces.mean(0), atol=1e-3, rtol=0)
    assert told["voice_mean"].shape == (8,)


def test_a_begun_trunk_is_told(run):
    _, recipe = trained(run)
    plain = cmpc_publish.told(run, recipe, 8)
    assert "labels, 4 steps;" in plain and "trunk" not in plain
    begun = cmpc_publish.told(run, replace(recipe, start="bundle"), 8)
    assert "learnt the habits of voices with labels;" in begun


def test_nets_that_never_met_prototypes_are_told(run, tmp_path):
    tensors = load_file(run / "best.safetensors")
    assert tensors["clustered"]
    for name in ("recipe.json", "metrics.jsonl"):
        shutil.copy(run / name, tmp_path)
    save_file(tensors | {"clustered": torch.tensor(False)}, tmp_path / "best.safetensors")
    _, recipe = trained(tmp_path)
    assert "instance contrast alone" in cmpc_publish.told(tmp_path, recipe, 8)
    assert "instance contrast alone" not in cmpc_publish.told(run, recipe, 8)


def test_other_runs_are_refused(population, tmp_path):
    with pytest.raises(ValueError, match=r"holds no best\.safetensors"):
        trained(tmp_path)
    recipe = replace(SMALL, grid=0, voice_widths=(), front_end="cmpc", steps=1)
    start(population.folder, tmp_path, recipe, Bundle.open())
    with pytest.raises(ValueError, match="not of the small nets"):
        publish(tmp_path, population, Bundle.open(), BundleWriter(tmp_path / "out", "x"))

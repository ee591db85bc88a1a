"""From nothing to a face and its matches: the commands that build a bundle, at toy size."""

import json

import pytest
import soundfile
from bundles import babble, egg
from evaluation.toys import toy_population, toy_portraits

from voicemesh import cli
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation import expectation
from voicemesh.mesh import procedural
from voicemesh.population import likelihood
from voicemesh.training import habits, sss_population

RECIPES = {
    "cmp": "front_end=voicemesh widths=8,12,12,16 embedding=8 batch_size=8 shortest_crop=120"
    " longest_crop=320 first_steps=5 first_rise=0.3 first_hold=0.2 steps=6 rise=0.3 hold=0.2"
    " expected_targets=false measures_weight=0 habits_weight=0 effort_weight=0 masked_tracks=0"
    " clean=true half=false",
    "cmp-features": "widths=8,8,8,8 steps=3 batch_size=8 shortest_crop=120",
    "sss": "front_end=voicemesh voice_start= voice_steps=3 voice_widths=8,8 voice_blocks=0,1"
    " voice_code=8 face_steps=3 face_units=1,1 face_widths=4,6 face_code=8 side=16 kept_views=1"
    " features=8 embedding=6 reweighting_steps=10 main_steps=20 first_update=10 update_every=10"
    " validate_every=20 batch_size=16",
}


def ran(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0, words


@pytest.fixture
def toys(monkeypatch):
    """What takes minutes is a little: the head, and the law's draws."""
    monkeypatch.setattr(procedural, "grow", egg)
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    for module in (habits, likelihood, sss_population):
        monkeypatch.setattr(module, "DRAWN", 3000)


def test_a_bundle_is_built_from_nothing(tmp_path, toys, capsys):
    people, mine = tmp_path / "people", tmp_path / "mine"
    people.mkdir()
    toy_portraits(toy_population(people, identities=62, validation=20))
    ran("grow", mine, "--title", "Mine")
    nets = ["--data", people, "--bundle", mine]
    for system, recipe in RECIPES.items():
        ran("train", system, *nets, "--out", tmp_path / system, *recipe.split())
        ran("publish", system, tmp_path / system, *nets, "--out", mine)
    told = capsys.readouterr().out
    assert "raised voice" in told and "bizygomatic" in told and "sss, 1 heard" in told
    made = Bundle.open(mine)
    assert "11 steps" in made.part("cmp-voice-encoder").training
    assert made.part("cmp-feature-encoder").fitted_to == {
        "cmp-voice-encoder": made.part("cmp-voice-encoder").sha256
    }
    ran("gallery", people, "--out", mine / "gallery", "--bundle", mine, "--size", 16)

    soundfile.write(tmp_path / "voice.wav", babble(3.0), 16_000)
    seen = tmp_path / "portrait"
    ran("portray", tmp_path / "voice.wav", "--out", seen, "--bundle", mine, "--device", "cpu")
    report = json.loads((seen / "report.json").read_text())
    assert report["bundle"] == "Mine" and report["sex"]["nearest"] in ("female", "male")
    assert report["measurements"] and (seen / "mesh.glb").stat().st_size > 1000
    assert report["matches"]

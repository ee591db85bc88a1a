"""From nothing to a face: the commands that build a bundle, one after another, at toy size."""

import json

import soundfile
from bundles import babble, egg
from evaluation.toys import toy_population

from voicemesh import cli
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation import expectation
from voicemesh.mesh import procedural

CMP = (
    "front_end=voicemesh widths=8,12,12,16 embedding=8 batch_size=8 shortest_crop=120"
    " longest_crop=320 first_steps=5 first_rise=0.3 first_hold=0.2 steps=6 rise=0.3 hold=0.2"
    " expected_targets=false measures_weight=0 habits_weight=0 effort_weight=0 masked_tracks=0"
    " clean=true half=false"
).split()
FEATURES = "widths=8,8,8,8 steps=3 batch_size=8 shortest_crop=120".split()


def ran(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0, words


def test_a_bundle_is_built_from_nothing(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setattr(procedural, "grow", egg)  # the head takes minutes
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    people, mine = tmp_path / "people", tmp_path / "mine"
    people.mkdir()
    toy_population(people, identities=40, validation=30)
    ran("grow", mine, "--title", "Mine")
    nets = ["--data", people, "--bundle", mine]
    for system, recipe in (("cmp", CMP), ("cmp-features", FEATURES)):
        ran("train", system, *nets, "--out", tmp_path / system, *recipe)
        ran("publish", system, tmp_path / system, *nets, "--out", mine)
    told = capsys.readouterr().out
    assert "raised voice" in told and "bizygomatic" in told
    assert "11 steps" in Bundle.open(mine).part("cmp-voice-encoder").training

    soundfile.write(tmp_path / "voice.wav", babble(3.0), 16_000)
    seen = tmp_path / "portrait"
    ran("portray", tmp_path / "voice.wav", "--out", seen, "--bundle", mine, "--device", "cpu")
    report = json.loads((seen / "report.json").read_text())
    assert report["bundle"] == "Mine" and report["sex"]["nearest"] in ("female", "male")
    assert report["measurements"] and (seen / "mesh.glb").stat().st_size > 1000

    # Another voice encoder ends the net that learnt from the one before.
    ran("train", "cmp", *nets, "--out", tmp_path / "other", *CMP, "seed=3")
    ran("publish", "cmp", tmp_path / "other", *nets, "--out", mine)
    assert "cmp-feature-encoder leaves the bundle" in caplog.text
    assert "cmp-feature-encoder" not in Bundle.open(mine).parts

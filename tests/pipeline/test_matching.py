"""Matches of a pipeline: the gallery's own answers, with their baselines beside them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bundles import babble
from whole_bundles import PEOPLE, SPEAKER, write_whole_bundle

import voicemesh
from voicemesh.audio.recording import Recording
from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.gallery.leaning import SexAxis


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return voicemesh.load(write_whole_bundle(tmp_path_factory.mktemp("whole") / "b"), "cpu")


@pytest.fixture(scope="module")
def portrait(whole):
    return whole(Recording(babble(3.0), name="babble.wav"))


def test_matches_are_the_gallery_s_own(whole, portrait):
    matcher = whole.matcher
    assert matcher.names == ["sss", "cmpc"]
    for space in matcher.names:
        ranking = matcher.of_voice(portrait.speech, space, count=5)
        found = [match.similarity for match in ranking.matches]
        assert found == sorted(found, reverse=True) and len(found) == 5
        assert ranking.people == PEOPLE and ranking.chance == 5 / PEOPLE
        assert ranking.histogram.counts.sum() == PEOPLE
        assert ranking.histogram.edges[-1] == pytest.approx(found[0], abs=1e-6)
        assert ranking.truth is None and ranking.true_similarity is None


def test_sex_filters_and_is_the_baseline(whole, portrait):
    women = whole.matcher.of_voice(portrait.speech, "sss", sex="female")
    assert {match.entry.sex for match in women.matches} == {"female"}
    assert women.people == women.alike == PEOPLE // 2 and women.sex_alone == 1
    everyone = whole.matcher.of_voice(portrait.speech, "sss", heard="male", count=3)
    assert everyone.people == PEOPLE and everyone.alike == PEOPLE // 2
    assert everyone.sex_alone == 3 / everyone.alike


def test_matches_of_the_other_sex_are_contrary(whole, portrait):
    women = whole.matcher.of_voice(portrait.speech, "sss", sex="female", heard="male")
    assert women.contrary and women.report()["contrary_sex"]
    assert not whole.matcher.of_voice(portrait.speech, "sss", "female", "female").contrary
    assert not whole.matcher.of_voice(portrait.speech, "sss", "female").contrary
    half = replace(women, matches=women.matches[:2])
    man = replace(half.matches[0], entry=replace(half.matches[0].entry, sex="male"))
    assert not replace(half, matches=(man, half.matches[1])).contrary  # as many of one as of other


def test_a_space_that_hears_the_other_sex_is_led(whole, portrait, monkeypatch):
    matcher = whole.matcher
    told = matcher.spaces["sss"].embed_voice(torch.from_numpy(portrait.speech)).numpy()
    axis = SexAxis(told, {"female": 0.9, "male": -0.9})
    monkeypatch.setitem(matcher._axes, "sss", axis)
    kept = matcher.of_voice(portrait.speech, "sss", heard="female", count=PEOPLE)
    plain = matcher.of_voice(portrait.speech, "sss", count=PEOPLE)
    led = matcher.of_voice(portrait.speech, "sss", heard="male", count=PEOPLE)
    assert not kept.leaning and not plain.leaning and led.leaning
    assert [m.similarity for m in kept.matches] == [m.similarity for m in plain.matches]
    assert led.report()["led_to_sex"] and not kept.report()["led_to_sex"]
    names = [[match.entry.number for match in found.matches] for found in (kept, led)]
    assert names[0] != names[1]
    filtered = matcher.of_voice(portrait.speech, "sss", sex="female", heard="male")
    assert not filtered.leaning  # whoever asks for women gets them
    matcher._axes.clear()
    own = matcher.axis("cmpc")
    assert own is None or set(own.usual) == {"female", "male"}


def test_the_true_person_s_place_is_told(whole, portrait):
    ranking = whole.matcher.of_voice(portrait.speech, "sss", identity=SPEAKER, count=PEOPLE)
    rank, among = ranking.truth
    assert among == PEOPLE and ranking.matches[rank - 1].entry.identity == SPEAKER
    assert ranking.true_similarity == pytest.approx(ranking.matches[rank - 1].similarity, abs=1e-6)
    men = whole.matcher.of_voice(portrait.speech, "sss", "male", identity=SPEAKER)
    assert men.truth is None  # she is not among them
    stranger = whole.matcher.of_voice(portrait.speech, "sss", identity="nobody")
    assert stranger.truth is None


def test_a_face_finds_voices(whole):
    crop = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    ranking = whole.matcher.of_face(crop, "cmpc", seen="female")
    assert ranking.side == "voices"
    assert all(match.entry.voice[:4] == b"OggS" for match in ranking.matches)


def test_reports_hold_the_matches(whole, portrait, tmp_path):
    matched = whole.matched(portrait)
    assert [ranking.space for ranking in matched.matches] == ["sss", "cmpc"]
    paths = matched.save(tmp_path)
    told = json.loads(paths["json"].read_text())["matches"]
    assert len(told) == 2 and len(told[0]["matches"]) == 8
    assert {"identity", "similarity", "percentile", "unusual"} <= set(told[0]["matches"][0])
    assert {match.entry.sex for match in whole.matched(portrait, True).matches[0].matches} == {
        portrait.sex
    }


def test_a_gallery_of_other_nets_is_refused(whole, tmp_path):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(whole.bundle.folder, other)
    net = whole.bundle.net("sss-voice-encoder")
    net.fc[0].weight.data.add_(1)
    part = whole.bundle.part("sss-voice-encoder")
    BundleWriter(other, "other").net("sss-voice-encoder", net, part.arguments)
    with pytest.raises(ValueError, match="by another sss-voice-encoder"):
        _ = voicemesh.load(other, "cpu").matcher

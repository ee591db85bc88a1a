"""Real speech: the summary's arithmetic, and the way from files to rows."""

import json

import numpy as np
import pytest
import soundfile
import torch
from evaluation.toys import buzz, toy_face_model

from voicemesh.evaluation import speech
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.systems.cmp import CrossModalPerceptionist, front_end_of


def row(speaker, female, mesh, pitch, tracked, tract=15.0):
    return {
        "speaker": speaker,
        "female": female,
        "female_mesh": mesh,
        "pitch_hz": pitch,
        "tract_cm": tract,
        "tracked_hz": tracked,
    }


def test_the_summary_counts_clips_and_majorities():
    rows = [
        row("a", True, True, 200.0, 210.0),
        row("a", True, True, 190.0, 180.0),
        row("a", True, False, 150.0, 160.0, tract=16.5),
        row("b", False, True, 110.0, 100.0, tract=17.0),
        row("b", False, False, 120.0, float("nan"), tract=18.0),
    ]
    told = speech.summary(rows)
    assert told["sex_right"] == 0.6
    assert told["speakers"] == {"a": {"right": 2, "clips": 3}, "b": {"right": 1, "clips": 2}}
    assert told["speakers_right"] == 1  # half of the clips is no majority
    assert told["tract_women_cm"] == 15.5 and told["tract_men_cm"] == 17.5
    logs = np.log([[200, 190, 150, 110], [210, 180, 160, 100]])
    assert told["pitch_correlation"] == pytest.approx(np.corrcoef(logs)[0, 1])
    assert "a                  2 of 3" in speech.table({"summary": told})


def test_the_interval_is_of_speakers_and_groups_are_told_apart():
    rows = [row(f"s{k}", True, k >= 5, 200.0, None) | {"group": "calm"} for k in range(20)]
    rows += [row("s0", True, False, 200.0, None) | {"group": "loud"}] * 60
    told = speech.summary(rows)
    low, high = told["sex_right_interval"]
    # One speaker has most of the clips, all wrong: without him three quarters are right.
    assert low < told["sex_right"] == 15 / 80 < 0.6 < high
    assert told["groups"]["calm"] == {"right": 15, "clips": 20}
    assert told["women_right"] == 15 / 80 and told["men_right"] is None
    table = speech.table({"summary": told})
    assert "loud               0 of 60" in table and f"[{low:.1%}, {high:.1%}]" in table
    with pytest.raises(ValueError, match="No clip has 3 s of speech"):
        speech.summary([])


def test_a_table_names_clips(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("path,speaker,sex,group\na.wav,Ann,F,calm\nsub/b.wav,Bob,male,\n")
    assert speech.clips_of(table) == [
        speech.Clip(tmp_path / "a.wav", "Ann", True, "calm"),
        speech.Clip(tmp_path / "sub/b.wav", "Bob", False),
    ]
    table.write_text("path,speaker,sex\na.wav,Ann,x\n")
    with pytest.raises(ValueError, match=r"Line 2 of mine\.csv: sex is 'x'; write f or m"):
        speech.clips_of(table)
    table.write_text("path,sex\na.wav,f\n")
    with pytest.raises(ValueError, match=r"Line 2 of mine\.csv has no speaker"):
        speech.clips_of(table)
    table.write_text("path,speaker,sex\n")
    with pytest.raises(ValueError, match="names no clip"):
        speech.clips_of(table)


def test_the_summary_tells_how_far_pictures_agree():
    rows = [
        row("a", True, True, 200.0, 210.0) | {"female_picture": True},
        row("b", False, True, 110.0, 100.0) | {"female_picture": False},
        row("b", False, False, 120.0, 130.0) | {"female_picture": True},
        row("b", False, False, 120.0, 130.0) | {"female_picture": False},
    ]
    told = speech.summary(rows)
    assert told["picture_sex_right"] == 0.75 and told["picture_agrees"] == 0.5
    table = speech.table({"summary": told})
    assert "75.0% right, 50.0% the sex of the supervised mesh" in table
    assert "picture_agrees" not in speech.summary([row("a", True, True, 200.0, 210.0)])


def test_clips_are_heard_and_short_ones_left_out(tmp_path, rng):
    clips = []
    for number, seconds in enumerate((2.0, 6.0)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, buzz(np.log(130), rng, seconds), 16_000)
        clips.append(speech.Clip(path, "buzz", False))
    hiss = tmp_path / "hiss.wav"
    soundfile.write(hiss, 0.1 * rng.standard_normal(80_000), 16_000)
    clips.append(speech.Clip(hiss, "nobody", True))
    statistics = {
        "mean_male": torch.zeros(40),
        "mean_female": torch.full((40,), 50.0),
        "log_f0_scale": torch.tensor([5.0, 0.3]),
        "log_vtl_scale": torch.tensor([2.8, 0.1]),
        "age_scale": torch.tensor([40.0, 10.0]),
    }
    voice = VoiceEncoder(112, (8, 8), 16)
    system = CrossModalPerceptionist(
        front_end_of(voice),
        voice,
        SupervisedHead(16),
        toy_face_model(),
        VoiceTraits(16),
        statistics,
    )
    results = json.loads(json.dumps(speech.evaluate(system, clips)))
    assert [entry["path"] for entry in results["clips"]] == [str(clips[1].path)]
    assert len(results["refused"]) == 1 and "hiss.wav" in results["refused"][0]
    assert results["summary"]["sex_right"] == 1
    assert results["summary"]["pitch_correlation"] is None


def test_pitches_are_tracked_once(tmp_path, rng):
    path = tmp_path / "buzz.wav"
    soundfile.write(path, buzz(np.log(130), rng, 1.0), 16_000)
    cache = tmp_path / "pitches.json"
    clips = [speech.Clip(path, "buzz", False)]
    assert speech.tracked_pitches(clips, cache)[str(path)] == pytest.approx(130, rel=0.02)
    cache.write_text(json.dumps({str(path): 77.0}))
    assert speech.tracked_pitches(clips, cache) == {str(path): 77.0}

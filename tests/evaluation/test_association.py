"""The protocols on people made up: what chance, sex and identity reach, and what is refused."""

import numpy as np
import pytest

from voicemesh.evaluation import association
from voicemesh.evaluation.association import DIRECTIONS, KINDS, Side


def people(rng, count: int = 60):
    """Sex and age of people, and three voices and two faces of each, by number."""
    sex, age = np.arange(count) % 2, rng.uniform(18, 70, count)
    return sex, age, rng.permuted(np.repeat(np.arange(count), 3)), np.repeat(np.arange(count), 2)


def measured(voices: np.ndarray, faces: np.ndarray, drawn) -> dict:
    sex, age, speakers, sitters = drawn
    sides = Side(voices, speakers), Side(faces, sitters)
    return association.evaluate(*sides, sex, age, seed=4, negatives=4, resamples=50)


def test_embeddings_that_know_nobody_are_at_chance(rng):
    drawn = people(rng)
    found = measured(rng.normal(size=(180, 4)), rng.normal(size=(120, 4)), drawn)
    for direction in DIRECTIONS:
        for measure in ("matching", "verification"):
            for kind in KINDS:
                entry = found[direction][measure][kind]
                assert entry["low"] < entry["value"] < entry["high"]
                assert abs(entry["value"] - 0.5) < 0.12
        share = found[direction]["retrieval"]["value"] / found[direction]["retrieval chance"]
        assert 0.7 < share < 1.4


def test_embeddings_of_the_person_are_perfect(rng):
    drawn = people(rng)
    directions = rng.normal(size=(60, 30))
    found = measured(directions[drawn[2]], 3 * directions[drawn[3]], drawn)
    for direction in DIRECTIONS:
        assert [found[direction]["matching"][kind]["value"] for kind in KINDS] == [1, 1, 1]
        assert found[direction]["verification"]["free"]["value"] == pytest.approx(1)
        assert found[direction]["equal error rate"]["same sex"] == 0
        assert found[direction]["retrieval"]["value"] == pytest.approx(1)


def test_the_sex_oracle_gains_among_anybody_only(rng):
    drawn = people(rng)
    sex, age, speakers, sitters = drawn
    blank = np.zeros((180, 1)), np.zeros((120, 1))
    sides = [
        association.sex_oracle(Side(empty, owners), sex)
        for empty, owners in zip(blank, (speakers, sitters), strict=True)
    ]
    found = association.evaluate(*sides, sex, age, resamples=20)["voice to face"]
    assert found["matching"]["free"]["value"] == pytest.approx(0.5 + 0.5 * 30 / 59, abs=0.05)
    assert found["matching"]["same sex"]["value"] == 0.5
    assert found["verification"]["same sex and age"]["value"] == 0.5


def test_trials_hold_the_right_person_and_an_allowed_wrong_one(rng):
    sex, age, speakers, sitters = people(rng)
    probes, gallery = Side(np.zeros((180, 1)), speakers), Side(np.zeros((120, 1)), sitters)
    for kind in KINDS:
        rivals = association.rivals_of(sex, age, kind)
        trials = association.drawn(probes, gallery, rivals, rng, 5)
        assert trials.shape == (900, 3)
        probe, right, wrong = speakers[trials[:, 0]], sitters[trials[:, 1]], sitters[trials[:, 2]]
        assert (probe == right).all() and (probe != wrong).all()
        assert len(np.unique(trials[:, 1])) == 120  # every item has its turn
        if kind != "free":
            assert (sex[probe] == sex[wrong]).all()
        if kind == "same sex and age":
            assert np.abs(age[probe] - age[wrong]).mean() < 5


def test_intervals_narrow_with_more_people(rng):
    widths = []
    for count in (20, 320):
        sex, age, speakers, sitters = people(rng, count)
        signal = rng.normal(size=(count, 8))
        voices = Side(signal[speakers] + rng.normal(size=(3 * count, 8)), speakers)
        faces = Side(signal[sitters] + rng.normal(size=(2 * count, 8)), sitters)
        found = association.evaluate(voices, faces, sex, age)["face to voice"]
        for entry in (found["matching"]["free"], found["verification"]["free"]):
            assert entry["low"] < entry["value"] < entry["high"]
            widths.append(entry["high"] - entry["low"])
    assert widths[2] < 0.6 * widths[0] and widths[3] < 0.6 * widths[1]


def test_people_of_one_side_only_are_refused(rng):
    sex, age = np.zeros(3, int), np.ones(3)
    whole, half = Side(np.eye(3), np.arange(3)), Side(np.eye(3), np.array([0, 1, 1]))
    with pytest.raises(ValueError, match=r"1 of 3 people have no face, such as \[2\]"):
        association.evaluate(whole, half, sex, age)
    with pytest.raises(ValueError, match="Person 0 has nobody to be told apart from"):
        association.evaluate(whole, whole, np.arange(3), age)


def test_the_table_has_ours_chance_and_the_papers(rng):
    drawn = people(rng, 10)
    found = measured(rng.normal(size=(30, 4)), rng.normal(size=(20, 4)), drawn)
    lines = association.table({"voicemesh": found}, "population").splitlines()
    assert len(lines) == 1 + 2 * 3
    assert "1:2 GA" in lines[0] and "mAP" in lines[0]
    assert lines[2].split()[3:5] == ["chance", "population"]
    assert "87.2" in lines[3] and "VoxCeleb1, SSS's lists" in lines[3] and "-" in lines[3]
    assert len({len(row) for row in lines}) == 1

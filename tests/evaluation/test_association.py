"""The protocols on people made up: what chance, sex and identity reach, and what is refused."""

import numpy as np
import pytest

from voicemesh.evaluation import association, association_table, trials
from voicemesh.evaluation.association import DIRECTIONS, Side
from voicemesh.evaluation.trials import KINDS
from voicemesh.evaluation.verification import auc, equal_error_rate


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
        assert found[direction]["equal error rate"]["same sex"]["value"] == 0
        assert found[direction]["retrieval"]["value"] == pytest.approx(1)


def test_the_sex_oracle_gains_among_anybody_only(rng):
    sex, age, speakers, sitters = people(rng)
    scores = association.sex_oracle(speakers, sitters, sex)
    found = association.evaluate_scores(scores, speakers, sitters, sex, age, resamples=20)
    for told in found.values():
        free, alike = told["matching"]["free"], told["matching"]["same sex"]
        assert free["value"] == pytest.approx(0.5 + 0.5 * 30 / 59, abs=0.06)
        assert alike["value"] == pytest.approx(0.5, abs=0.1)
        assert told["verification"]["free"]["value"] == pytest.approx(0.75, abs=0.06)
        assert told["retrieval"]["value"] > 1.5 * told["retrieval chance"]


def test_trials_hold_the_right_person_and_an_allowed_wrong_one(rng):
    sex, age, speakers, sitters = people(rng)
    for kind in KINDS:
        rivals = trials.rivals_of(sex, age, kind)
        rows = trials.drawn(speakers, sitters, rivals, rng, 5)
        probe, right, wrong = speakers[rows[:, 0]], sitters[rows[:, 1]], sitters[rows[:, 2]]
        assert (probe == right).all() and (probe != wrong).all()
        if kind == "same sex and age":
            assert (sex[probe] == sex[wrong]).all()
            assert np.abs(age[probe] - age[wrong]).max() <= trials.YEARS
        else:
            assert rows.shape == (900, 3)
            assert len(np.unique(rows[:, 1])) == 120  # every item has its turn
            assert (sex[probe] == sex[wrong]).all() == (kind == "same sex")


def test_people_without_a_rival_of_their_age_are_left_out(rng):
    sex, age = np.zeros(4, int), np.array([20.0, 24, 26, 60])
    rivals = trials.rivals_of(sex, age, "same sex and age")
    assert rivals.counts.tolist() == [1, 2, 1, 0]
    rows = trials.drawn(np.arange(4), np.arange(4), rivals, rng, 2)
    assert set(rows[:, 0]) == {0, 1, 2}


def test_estimates_are_those_of_all_pairs(rng):
    values, labels = rng.integers(0, 9, 300).astype(float), rng.random(300) < 0.4
    owner, weights = rng.integers(0, 20, 300), rng.multinomial(20, np.full(20, 0.05), size=400)
    weights[0] = 1
    area, equal = association.roc_estimates(values, labels, owner, weights)
    assert area.value == auc(values, labels) and equal.value == equal_error_rate(values, labels)
    assert area.low < area.value < area.high and equal.low < equal.value < equal.high
    same, _ = association.roc_estimates(values, labels, owner, weights[:1])
    assert same.low == pytest.approx(same.value)


def test_intervals_narrow_with_more_people(rng):
    widths = []
    for count in (20, 320):
        sex, age, speakers, sitters = people(rng, count)
        signal = rng.normal(size=(count, 8))
        voices = Side(signal[speakers] + rng.normal(size=(3 * count, 8)), speakers)
        faces = Side(signal[sitters] + rng.normal(size=(2 * count, 8)), sitters)
        found = association.evaluate(voices, faces, sex, age)["face to voice"]
        for measure in ("matching", "verification", "equal error rate"):
            entry = found[measure]["free"]
            assert entry["low"] < entry["value"] < entry["high"]
            widths.append(entry["high"] - entry["low"])
    assert (np.array(widths[3:]) < 0.6 * np.array(widths[:3])).all()


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
    best = measured(np.eye(10)[drawn[2]], np.eye(10)[drawn[3]], drawn)
    results = {"voicemesh": found, "ceiling": best}
    lines = association_table.table(results, "population", {"voicemesh": ["ceiling"]}).splitlines()
    assert len(lines) == 1 + (4 + 2) + (4 + 1)
    assert "1:2 GA" in lines[0] and "mAP" in lines[0]
    assert lines[3].split()[3:5] == ["chance", "population"]
    assert lines[4].count("% of the way") == len(association_table.COLUMNS)
    assert "87.2" in lines[5] and "VoxCeleb1, SSS lists" in lines[5] and " - " in lines[5]
    assert len({len(row) for row in lines}) == 1


def test_the_way_to_the_ceiling_starts_at_chance(rng):
    drawn = people(rng, 10)
    best = measured(np.eye(10)[drawn[2]], np.eye(10)[drawn[3]], drawn)[DIRECTIONS[0]]
    assert association_table.way_to_ceiling(best, best) == pytest.approx([1] * 8)
    halfway = {"value": 0.75, "low": 0.7, "high": 0.8}
    half = {**best, "matching": dict.fromkeys(KINDS, halfway)}
    assert association_table.way_to_ceiling(half, best)[:3] == pytest.approx([0.5] * 3)
    nowhere = {"value": 0.51, "low": 0.4, "high": 0.6}
    level = {**best, "matching": dict.fromkeys(KINDS, nowhere)}
    assert association_table.way_to_ceiling(half, level)[:3] == [None] * 3

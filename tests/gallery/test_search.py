"""The search against comparing by hand: people, ties, filters, percentiles, ranks, calibration."""

from dataclasses import replace

import numpy as np
import pytest
from gallery.toys import entries, units, written

from voicemesh.gallery import calibration
from voicemesh.gallery.parts import NewEntry


@pytest.fixture
def people(rng):
    return entries(rng)


@pytest.fixture
def gallery(tmp_path, people):
    return written(tmp_path / "gallery", people)


def by_hand(people, unit, side, sex=None):
    """(similarity, number) of everyone's best entry, best first."""
    best = {}
    for number, entry in enumerate(people):
        if sex is None or entry.sex == sex:
            score = float(np.float32(entry.units["sss", side] @ unit))
            best[entry.identity] = max(best.get(entry.identity, (-2, 0)), (score, -number))
    return sorted(((s, -n) for s, n in best.values()), key=lambda found: (-found[0], found[1]))


@pytest.mark.parametrize("side", ["faces", "voices"])
@pytest.mark.parametrize("sex", [None, "female", "male"])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_matches_are_those_found_by_hand(gallery, people, rng, side, sex, count):
    (unit,) = units(rng, 1)
    told, found = by_hand(people, unit, side, sex), gallery.search(unit, "sss", side, count, sex)
    kept = min(count, len(told))
    assert found.numbers.tolist() == [number for _, number in told[:kept]]
    np.testing.assert_allclose(found.similarity, [score for score, _ in told[:kept]], rtol=1e-6)
    assert found.rank.tolist() == list(range(1, kept + 1))
    others = len(told) - 1
    np.testing.assert_allclose(found.percentile, 100 * (others - np.arange(kept)) / others)
    assert (found.people, found.chance) == (len(told), kept / len(told))


def test_ranks_are_those_found_by_hand(gallery, people, rng):
    (unit,) = units(rng, 1)
    for sex in (None, "male"):
        for rank, (_, number) in enumerate(by_hand(people, unit, "faces", sex), 1):
            found = gallery.rank(unit, "sss", "faces", people[number].identity, sex)
            assert found == (rank, 20 if sex is None else 9)
    with pytest.raises(
        ValueError, match="Nobody named 'p0' is among the faces of 'sss' that are m"
    ):
        gallery.rank(unit, "sss", "faces", "p0", "male")
    with pytest.raises(ValueError, match="Nobody named 'eve' is among the faces of 'sss' in 'toys"):
        gallery.rank(unit, "sss", "faces", "eve")


def test_equals_come_by_their_number(tmp_path, people):
    unit = people[4].units["sss", "faces"]
    same = [replace(p, units={("sss", "faces"): unit}) for p in people]
    gallery = written(tmp_path / "same", same)
    found = gallery.search(unit, "sss", count=5)
    assert found.numbers.tolist() == [0, 3, 6, 9, 12]
    assert found.percentile.tolist() == [0] * 5  # nobody is less similar
    assert gallery.rank(unit, "sss", "faces", "p3") == (4, 20)
    assert gallery.rank(unit, "sss", "faces", "p3", "male") == (2, 9)  # only men stand before


def test_people_whose_first_entry_lacks_a_side(tmp_path, rng):
    """Rows of a side, entries and people then go in three different orders."""
    ann, ben, cy = units(rng, 3)
    new = [
        NewEntry("ann", units={("sss", "voices"): ben}),  # she sounds as he looks
        NewEntry("ben", units={("sss", "faces"): ben}),
        NewEntry("ann", units={("sss", "faces"): ann}),
        NewEntry("cy", units={("sss", "faces"): cy}),
    ]
    gallery = written(tmp_path / "gallery", new)
    for number, (name, unit) in enumerate((("ben", ben), ("ann", ann), ("cy", cy)), 1):
        found = gallery.search(unit, "sss", count=3)
        assert found.numbers[0] == number and found.similarity[0] == pytest.approx(1)
        assert gallery.rank(unit, "sss", "faces", name) == (1, 3)
    np.testing.assert_allclose(gallery.strangers("sss", "faces"), [1], rtol=1e-6)


def test_strangers_tell_what_is_unusual(tmp_path, rng, people):
    """Unless probes are given, everyone's own voice is searched for among the others' faces."""
    gallery = written(tmp_path / "gallery", people)
    tops = []
    for entry in people:
        unit = entry.units["sss", "voices"]
        others = [p for p in people if p.identity != entry.identity]
        tops.append(max(float(p.units["sss", "faces"] @ unit) for p in others))
    np.testing.assert_allclose(gallery.strangers("sss", "faces"), np.sort(tops), rtol=1e-6)
    (unit,) = units(rng, 1)
    found = gallery.search(unit, "sss", count=20)
    np.testing.assert_allclose(
        found.unusual, [np.mean([top < score for top in tops]) for score in found.similarity]
    )
    for sex in ("female", "male"):  # among equals: probes and people of one sex
        alike = [p for p in people if p.sex == sex]
        tops = [
            max(
                float(p.units["sss", "faces"] @ e.units["sss", "voices"])
                for p in alike
                if p.identity != e.identity
            )
            for e in alike
        ]
        np.testing.assert_allclose(gallery.strangers("sss", "faces", sex), np.sort(tops), rtol=1e-6)


def test_probes_that_are_given_are_their_persons(tmp_path, rng, people):
    probes, (unit,) = units(rng, 2), units(rng, 1)
    told = [*people]
    told[4] = replace(people[4], probes={("sss", "faces"): probes})
    gallery = written(tmp_path / "told", told)
    others = np.array([p.units["sss", "faces"] for p in people if p.identity != "p1"])
    tops = np.sort((others @ probes.T).max(0))
    np.testing.assert_allclose(gallery.strangers("sss", "faces"), tops, rtol=1e-6)
    assert gallery.strangers("sss", "faces", "female") is None  # he is none
    assert gallery.search(unit, "sss", sex="female").unusual is None


def test_of_many_probes_some_are_taken_from_all_over(tmp_path, people, monkeypatch):
    whole = written(tmp_path / "whole", people).side("sss", "voices").vectors
    monkeypatch.setattr(calibration, "MOST", 4)
    faces = np.array([p.units["sss", "faces"] for p in people])
    tops = []
    for row in (0, 20, 39, 59):
        others = np.array([p.identity != people[row].identity for p in people])
        tops.append((faces[others] @ whole[row]).max())
    found = written(tmp_path / "some", people).strangers("sss", "faces")
    np.testing.assert_allclose(found, np.sort(tops), rtol=1e-6)


def test_without_another_side_nothing_is_calibrated(tmp_path, people, rng):
    faces = [replace(p, units={("sss", "faces"): p.units["sss", "faces"]}) for p in people]
    gallery = written(tmp_path / "faces", faces)
    (unit,) = units(rng, 1)
    assert gallery.search(unit, "sss").unusual is None
    with pytest.raises(ValueError, match="'sss' of 'toys' has no 'voices'; it has faces"):
        gallery.search(unit, "sss", "voices")


def test_nobody_and_a_single_person(tmp_path, people, rng):
    (unit,) = units(rng, 1)
    alone = written(tmp_path / "alone", people[:1]).search(unit, "sss")
    assert (alone.numbers.tolist(), alone.percentile.tolist(), alone.chance) == ([0], [100], 1)
    assert len(written(tmp_path / "none", people[:1]).search(unit, "sss", sex="male")) == 0


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"space": "cmpc"}, "has no space 'cmpc'; it has sss"),
        ({"side": "hands"}, "has no 'hands'; it has faces, voices"),
        ({"sex": "none"}, "No sex 'none' to compare; give female, male or None"),
        ({"unit": np.ones(7, np.float32)}, "has 6 values, the probe has 7"),
        ({"unit": np.ones(6, np.float32)}, r"The probe has length 2\.45; divide it by that"),
        ({"unit": np.full(6, np.nan, np.float32)}, "The probe has length nan"),
    ],
)
def test_questions_without_an_answer(gallery, rng, given, fault):
    with pytest.raises(ValueError, match=fault):
        gallery.search(**{"unit": units(rng, 1)[0], "space": "sss", **given})

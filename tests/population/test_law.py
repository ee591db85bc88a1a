"""The law: sizes, correlations, ties, and what must not be tied."""

from dataclasses import fields

import numpy as np
import pytest

from voicemesh.mesh.hair_styles import HairStyle
from voicemesh.mesh.landmarks import LENGTHS
from voicemesh.population import appearance, law
from voicemesh.population.appearance import APPEARANCE, AXES, STYLES, melanin_of, styles
from voicemesh.population.law import draw, length_loadings, voice_loadings
from voicemesh.population.streams import stream
from voicemesh.population.tables import LENGTH_LAW, VOICE


@pytest.fixture(scope="module")
def people():
    return draw(40_000, seed=3)


def in_modes(people, one, other):
    one = getattr(people, one) if isinstance(one, str) and hasattr(people, one) else one
    columns = [people.column(c) if isinstance(c, str) else c for c in (one, other)]
    return [
        np.corrcoef(columns[0][people.mode == m], columns[1][people.mode == m])[0, 1]
        for m in (0, 1)
    ]


def test_columns_of_the_law_are_those_of_the_head():
    assert tuple(LENGTH_LAW) == LENGTHS


def test_modes_are_even_and_ages_adult(people):
    assert abs((people.mode == 0).mean() - 0.5) < 1e-4
    assert people.age.min() >= 18 and people.age.max() == 80
    assert 40 < people.age.mean() < 44


@pytest.mark.parametrize("name", LENGTHS)
def test_sizes_at_thirty(people, name):
    law = LENGTH_LAW[name]
    young = people.column(name) - law.per_decade * (people.age - 30) / 10
    for mode in (0, 1):
        group = young[people.mode == mode]
        assert group.mean() == pytest.approx(law.mean[mode], abs=0.03 * law.deviation[mode])
        assert group.std() == pytest.approx(law.deviation[mode], rel=0.03)


SURVEYS = [
    ("head_circumference", "head_length", 0.75),
    ("head_circumference", "head_breadth", 0.60),
    ("bizygomatic", "head_breadth", 0.64),
    ("bizygomatic", "bigonial", 0.55),
    ("bizygomatic", "menton_sellion", 0.25),
    ("menton_sellion", "subnasale_sellion", 0.45),
    ("menton_sellion", "chin_height", 0.45),
    ("nose_breadth", "lip_length", 0.30),
    ("height", "head_circumference", 0.30),
    ("height", "menton_sellion", 0.28),
    ("height", "bizygomatic", 0.20),
    ("height", "ear_length", 0.17),
    ("interpupillary", "bizygomatic", 0.40),
    ("adiposity", "bizygomatic", 0.45),
    ("adiposity", "bigonial", 0.47),
    ("adiposity", "neck_circumference", 0.75),
    # What follows for voices at the default coupling.
    ("height", "log_vtl", 0.32),
    ("height", "log_f0", -0.07),
    ("log_f0", "log_vtl", -0.07),
]


@pytest.mark.parametrize("one, other, expected", SURVEYS)
def test_correlations_of_the_surveys(people, one, other, expected):
    assert in_modes(people, one, other) == pytest.approx([expected] * 2, abs=0.1)


def test_lengths_load_on_the_latents_as_the_table_says(people):
    for m in (0, 1):
        rows = people.mode == m
        per_decade = np.array([LENGTH_LAW[name].per_decade for name in LENGTHS])
        lengths = people.lengths[rows] - per_decade * (people.age[rows, None] - 30) / 10
        found = np.corrcoef(lengths, people.latents[rows], rowvar=False)[:18, 18:]
        table = np.array([LENGTH_LAW[name].loadings for name in LENGTHS])
        np.testing.assert_allclose(found, table, atol=0.035)


def test_every_quantity_has_a_stream_of_its_own(monkeypatch):
    labels = []
    for room in (law, appearance):
        monkeypatch.setattr(room, "stream", lambda *key: labels.append(key) or stream(*key))
    draw(2, seed=7)
    assert len(labels) == len(set(labels)) >= 12


def test_face_length_is_nose_and_lower_face(people):
    parts = people.column("subnasale_sellion") + people.column("subnasale_menton")
    assert (parts - people.column("menton_sellion")).std() < 2.0  # mm


def test_voices_have_their_published_means(people):
    for mode, hertz, centimetres in ((0, 115, 17.2), (1, 203, 14.9)):
        group = people.mode == mode
        f0, tract = (np.exp(people.column(name))[group] for name in ("log_f0", "log_vtl"))
        assert np.median(f0) == pytest.approx(hertz, rel=0.03)
        assert tract.mean() == pytest.approx(centimetres, rel=0.01)
    pooled = np.corrcoef(people.column("log_f0"), people.column("log_vtl"))[0, 1]
    assert pooled == pytest.approx(-0.76, abs=0.04)


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        (0, [0, -0.015, -0.025, 0.0275, 0.0625]),  # men's voices rise when they are old
        (1, [0, -0.0225, -0.0675, -0.135, -0.135]),  # women's fall, for a time
    ],
)
def test_pitch_follows_the_years(mode, change):
    age = np.array([30.0, 45, 55, 70, 80])
    voices = law.voice_of(np.zeros((5, len(VOICE))), np.full(5, mode), age)
    pitch = voices[:, VOICE.index("log_f0")]
    np.testing.assert_allclose(pitch - pitch[0], change, atol=1e-9)


def test_loadings_keep_unit_variance():
    assert (length_loadings() ** 2).sum(1) == pytest.approx(np.ones(18))
    assert (voice_loadings() ** 2).sum(1).max() < 1 / 1.3**2  # the strongest coupling allowed


def test_without_coupling_nothing_of_the_body_is_in_the_voice():
    people = draw(40_000, seed=5, coupling=0.0)
    bodies = np.column_stack([people.latents, *(people.column(name) for name in LENGTHS)])
    for mode in (0, 1):
        # Both follow the age, so it is taken out on either side.
        rows = people.mode == mode
        age = np.vander((people.age[rows] - 40) / 20, 4)
        sides = [table[rows] for table in (bodies, people.voice)]
        left = [side - age @ np.linalg.lstsq(age, side, rcond=None)[0] for side in sides]
        tie = np.corrcoef(*left, rowvar=False)[: bodies.shape[1], bodies.shape[1] :]
        assert np.abs(tie).max() < 4.5 / np.sqrt(rows.sum())


def test_looks_cannot_be_heard(people):
    x = np.column_stack([people.voice, np.ones(len(people))])
    for name in (*AXES, *APPEARANCE[:5]):
        target = people.column(name)
        left = target - x @ np.linalg.lstsq(x, target, rcond=None)[0]
        assert 1 - left.var() / target.var() < 0.003


@pytest.fixture(scope="module")
def worn(people):
    return dict(zip(STYLES, styles(3, people.mode, people.age).T, strict=True))


def test_styles_are_those_that_hair_knows(worn):
    assert STYLES == tuple(entry.name for entry in fields(HairStyle))
    for name, values in worn.items():
        lowest = {"parting": -1, "sweep": -1, "brows": 0.5}.get(name, 0)
        assert lowest <= values.min(), name
    for name in set(STYLES) - {"top", "sides", "back", "beard", "moustache", "brows"}:
        assert worn[name].max() <= 1, name


def test_styles_are_drawn_apart_and_person_by_person(people, monkeypatch):
    labels = []
    monkeypatch.setattr(law, "stream", lambda *key: labels.append(key) or stream(*key))
    monkeypatch.setattr(appearance, "stream", lambda *key: labels.append(key) or stream(*key))
    draw(2, seed=7)
    few = styles(7, people.mode[:5], people.age[:5])
    assert len(labels) == len(set(labels))
    np.testing.assert_array_equal(styles(7, people.mode[:9], people.age[:9])[:5], few)
    assert (styles(8, people.mode[:5], people.age[:5]) != few).any(axis=1).all()


def test_styles_cannot_be_heard_but_for_sex_and_age(people, worn):
    voices = np.column_stack([people.voice, people.accent.reshape(len(people), -1), people.higher])
    for mode in (0, 1):
        rows = people.mode == mode
        # Beards and bald heads follow the age in men, and so do voices: taken out on either side.
        age = np.vander((people.age[rows] - 48) / 30, 7)
        x = voices[rows] - age @ np.linalg.lstsq(age, voices[rows], rcond=None)[0]
        for name, values in worn.items():
            y = values[rows] - age @ np.linalg.lstsq(age, values[rows], rcond=None)[0]
            if y.var() > 1e-12:
                left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
                assert 1 - left.var() / y.var() < 2.2 * x.shape[1] / rows.sum(), name


def test_custom_and_physiology_of_hair(people, worn):
    men, women, old = people.mode == 0, people.mode == 1, people.age > 60
    for name in ("beard", "moustache", "stubble", "recession", "balding"):
        assert worn[name][women].max() == 0 < worn[name][men].max()
    for name in ("beard", "recession", "balding"):
        assert worn[name][men & old].mean() > 1.2 * worn[name][men & (people.age < 35)].mean()
    sides = worn["sides"]
    assert np.median(sides[women]) > 3 * np.median(sides[men])
    assert 0.1 < (sides[women] < 30).mean() < 0.4  # the distributions overlap
    assert 0.1 < (sides[men] > 40).mean() < 0.4
    for name in ("curl", "parting", "volume", "sweep"):
        apart = worn[name][men].mean() - worn[name][women].mean()
        assert abs(apart) < 0.05 * worn[name].std()


def test_coupling_moves_voices_and_nothing_else():
    one, other = draw(50, seed=1, coupling=0.0), draw(50, seed=1, coupling=1.0)
    for name, values in one.arrays().items():
        same = np.array_equal(values, other.arrays()[name])
        assert same == (name != "voice"), name


def test_a_longer_draw_begins_alike():
    short, long = draw(31, seed=9), draw(60, seed=9).take(np.arange(31))
    for name, values in short.arrays().items():
        np.testing.assert_array_equal(values, long.arrays()[name], name)


def test_skin_has_the_typology_angle_asked_for():
    blood = np.array([0.004, 0.008, 0.015, 0.008])
    melanin = melanin_of(np.array([13.0, -18.0, 53.0, 200.0]), blood)
    assert melanin == pytest.approx([0.40, 0.60, 0.03, 0.03])


def test_streams_differ_by_label_and_not_by_place():
    draws = {
        tuple(stream(*labels).integers(2**60, size=2))
        for labels in ((0, "a"), (0, "b"), (1, "a"), (0, "a", 1), (0, "a", 11), (0, "a1", 1))
    }
    assert len(draws) == 6
    assert stream(0, "a", 1).random() == stream(0, "a", 1).random()


def test_unknown_columns_are_named(people):
    with pytest.raises(ValueError, match="no quantity 'shoe_size'"):
        people.column("shoe_size")
    assert people.column("log_f0") is not None and len(VOICE) == people.voice.shape[1]


def test_ties_to_the_body_make_voices_no_more_different():
    free, tied = (draw(20_000, 3, coupling).voice for coupling in (0.0, 1.3))
    for mode in (0, 1):
        rows = draw(20_000, 3, 0.0).mode == mode
        ratio = tied[rows].std(0) / free[rows].std(0)
        np.testing.assert_allclose(ratio, 1, atol=0.03)


def test_accents_and_higher_formants_are_each_persons_own():
    people = draw(5000, 2)
    for factors, share in ((people.accent, 0.06), (people.higher, 0.03)):
        spread = np.log(factors).std(0)
        np.testing.assert_allclose(spread, share, rtol=0.05)
        assert np.log(factors).mean() == pytest.approx(0, abs=0.1 * share)

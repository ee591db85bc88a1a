"""The best reader, and the figures that the law lets it reach."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from voicemesh.mesh.landmarks import LENGTHS
from voicemesh.population.ceiling import ceiling, decoys, matching
from voicemesh.population.law import draw
from voicemesh.population.reader import Reader, explained, heard_voices, log_normal


@pytest.fixture(scope="module")
def default():
    return ceiling(0.8, count=40_000)


HEADS = [
    ("height", 0.11),
    ("menton_sellion", 0.10),
    ("subnasale_sellion", 0.08),
    ("bizygomatic", 0.045),
    ("bigonial", 0.065),
    ("nose_breadth", 0.055),
    ("interpupillary", 0.016),
]


@pytest.mark.parametrize("name, share", HEADS)
def test_shares_within_a_mode_are_small_and_there(default, name, share):
    for shares in (default.explained_large, default.explained_small):
        assert shares[name] == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    "name, share",
    [
        ("menton_sellion", 0.39),
        ("neck_circumference", 0.55),
        ("head_length", 0.33),
        ("bizygomatic", 0.30),
        ("bigonial", 0.26),
        ("interpupillary", 0.13),
        ("palpebral_length", 0.03),
    ],
)
def test_shares_over_both_modes(default, name, share):
    assert default.explained[name] == pytest.approx(share, abs=0.03)


def test_sex_is_nearly_always_heard(default):
    assert 0.985 < default.sex_accuracy < 1


def test_two_heads_are_told_apart_a_little(default):
    assert default.matching["free"] == pytest.approx(0.81, abs=0.02)
    assert default.matching["same mode"] == pytest.approx(0.66, abs=0.03)
    assert 0.57 < default.matching["same mode and age"] < 0.65


def test_without_coupling_heads_of_one_mode_and_age_are_alike():
    figures = matching(draw(30_000, seed=8, coupling=0.0))
    assert figures["same mode and age"] == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / 15_000))
    assert figures["free"] > 0.7  # the mode alone


def test_more_recordings_help():
    one, four = (ceiling(0.8, sessions, count=10_000) for sessions in (1, 4))
    for name in ("log_vtl", "menton_sellion", "age"):
        assert four.explained[name] > one.explained[name]


def test_decoys_are_others_of_the_right_kind():
    people = draw(5000, seed=2)
    found = decoys(people, seed=1)
    for kind, rows in found.items():
        assert (rows != np.arange(5000)).all() and len(set(rows)) == 5000
        same = (people.mode[rows] == people.mode).mean()
        assert same == pytest.approx(0.5, abs=0.03) if kind == "free" else same == 1
    ages = people.age[found["same mode and age"]] - people.age
    assert np.quantile(np.abs(ages), 0.98) < 0.5


def test_the_reader_finds_a_known_expectation():
    rng = np.random.default_rng(0)
    mode = np.repeat([0, 1], 20_000)
    x = rng.standard_normal((40_000, 2)) + 4 * mode[:, None]
    slope = np.where(mode == 0, 2.0, -1.0)
    y = (slope * x[:, 0] + 10 * mode + rng.standard_normal(40_000))[:, None]
    reader = Reader.fit(x, y, mode)
    probe = np.array([[0.5, -0.2], [4.3, 3.9]])
    assert reader.small(probe) == pytest.approx([0, 1], abs=1e-3)
    assert reader.predict(probe)[:, 0] == pytest.approx([1.0, 5.7], abs=0.1)
    assert reader.within(probe, 0)[1][0, 0] == pytest.approx(1.0, abs=0.05)
    # The truth carries evidence for itself, a far value against itself.
    assert reader.evidence(probe, np.array([[1.0], [40.0]])) @ [1, -1] > 0


def test_heard_voices_come_closer_with_recordings():
    voice = np.zeros((4000, 15))
    assert heard_voices(voice, 1, 0)[:, 0].std() == pytest.approx(0.055, rel=0.05)
    assert heard_voices(voice, 4, 0)[:, 0].std() == pytest.approx(0.0275, rel=0.05)


def test_shares_are_of_the_rows_asked_for():
    target = np.array([[1.0], [2.0], [3.0], [99.0]])
    predicted = np.array([[1.0], [2.0], [3.0], [0.0]])
    assert explained(target, predicted, np.array([True, True, True, False]))[0] == 1
    assert explained(target, np.full((4, 1), target.mean()))[0] == pytest.approx(0)


def test_densities_are_scipys():
    rng = np.random.default_rng(1)
    root = rng.standard_normal((3, 3))
    covariance, mean, x = root @ root.T + np.eye(3), rng.standard_normal(3), rng.random((5, 3))
    expected = multivariate_normal(mean, covariance).logpdf(x)
    np.testing.assert_allclose(log_normal(x, mean, covariance), expected)


def test_too_few_people_are_refused():
    with pytest.raises(ValueError, match="3 people of mode 0"):
        Reader.fit(np.zeros((6, 2)), np.zeros((6, 2)), np.array([0, 1] * 3))


def test_those_who_are_scored_are_not_fitted():
    # Fitted on everybody, 300 people of a mode would seem to explain several per cent by chance.
    shares = ceiling(coupling=0.0, count=600).explained_large
    assert np.mean([shares[name] for name in LENGTHS]) < 0.01

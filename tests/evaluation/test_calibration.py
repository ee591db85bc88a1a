"""Odds from similarities, and how unusual a best similarity is, where both are known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from voicemesh.evaluation import calibration
from voicemesh.evaluation.association import Side, cosines


def test_logistic_regression_is_that_of_scikit_learn(rng):
    labels = rng.random(900) < 0.3
    values = 0.2 + 0.1 * rng.standard_normal(900) + 0.08 * labels
    slope, offset = calibration.fitted(values, labels)
    theirs = LogisticRegression(C=1e8, class_weight="balanced", tol=1e-10)
    theirs.fit(100 * values[:, None], labels)
    assert slope == pytest.approx(100 * theirs.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(theirs.intercept_[0], rel=1e-3)


def test_odds_of_normal_scores_are_their_likelihood_ratio(rng):
    """Deviation 1 around 2 and around 0: log odds are 2 s - 2."""
    labels = np.arange(60_000) < 20_000
    slope, offset = calibration.fitted(rng.standard_normal(60_000) + 2 * labels, labels)
    assert (slope, offset) == (pytest.approx(2, abs=0.06), pytest.approx(-2, abs=0.08))


def test_pairs_without_overlap_get_finite_odds():
    labels = np.arange(40) < 20
    assert np.isfinite(calibration.fitted(np.where(labels, 1.0, 0.0), labels)).all()


def test_error_is_how_far_told_chances_are_from_shares(rng):
    odds = rng.standard_normal(50_000)
    labels = rng.random(50_000) < 1 / (1 + np.exp(-odds))
    assert calibration.expected_error(odds, labels) < 0.01
    assert calibration.expected_error(3 * odds, labels) > 0.08
    assert calibration.expected_error(np.full(50_000, 20.0), labels) == pytest.approx(0.5, abs=0.01)


def people(rng, count: int = 200):
    """Voices and faces that share half of what they are; three pictures of each person."""
    own = rng.standard_normal((count, 12))
    voices = own + rng.standard_normal((count, 12))
    sitters = np.repeat(np.arange(count), 3)
    faces = own[sitters] + rng.standard_normal((3 * count, 12))
    return Side(voices, np.arange(count)), Side(faces, sitters), np.arange(count) % 2


def test_odds_hold_on_other_people(rng):
    voices, faces, sex = people(rng)
    found = calibration.calibrated(voices, faces, sex, np.full(200, 40.0))
    assert found.odds.shape == (2, 2) and (found.odds[:, 0] > 0).all()
    assert (found.error < 0.08).all()
    assert found.arrays()["best_similarity"].shape == (3, 99)  # 10, 30 and 100 people


def test_best_similarities_grow_with_the_gallery(rng):
    voices, faces, sex = people(rng)
    found = calibration.calibrated(voices, faces, sex, np.full(200, 40.0))
    assert (np.diff(found.best, axis=1) >= 0).all()
    middle = found.best[:, 49]
    assert (np.diff(middle) > 0).all()
    scores = cosines(voices.embeddings, faces.embeddings)
    strangers = scores.reshape(200, 200, 3).max(2)
    strangers[np.arange(200), np.arange(200)] = -1
    ten = [np.median(strangers[:, rng.choice(200, 10)].max(1)) for _ in range(50)]
    assert middle[0] == pytest.approx(np.mean(ten), abs=0.02)

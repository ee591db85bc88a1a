"""Verification against scikit-learn; ties; scores that tell nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from voicemesh.evaluation import verification


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("digits", [9, 1, 0])  # fewer digits: more ties
def test_auc_and_eer_are_those_of_the_curve(rng, digits):
    labels = rng.random(400) < 0.4
    values = np.round(rng.normal(size=400) + labels, digits)
    assert verification.auc(values, labels) == pytest.approx(roc_auc_score(labels, values))
    false_positive, true_positive, _ = roc_curve(labels, values)
    place = np.nanargmin(np.abs(1 - true_positive - false_positive))
    assert verification.equal_error_rate(values, labels) == pytest.approx(false_positive[place])


def test_verification_of_one_kind_is_refused():
    for label in (True, False):
        with pytest.raises(ValueError, match="of 3 pairs are true; verification needs"):
            verification.auc(np.arange(3.0), np.full(3, label))


def test_scores_that_tell_nothing_give_chance():
    labels = np.arange(10) % 2 == 0
    assert verification.auc(np.ones(10), labels) == 0.5
    assert verification.auc(labels.astype(float), labels) == 1
    assert verification.equal_error_rate(labels.astype(float), labels) == 0


def test_scores_are_cosines(rng):
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    values = verification.scores(a, b, np.array([[2, 4], [0, 0]]))
    np.testing.assert_allclose(values, [cosine(a[2], b[4]), cosine(a[0], b[0])])

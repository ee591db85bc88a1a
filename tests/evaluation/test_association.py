"""Matching, verification and retrieval against loops and scikit-learn; ties; chance."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from voicemesh.evaluation import matching, retrieval, verification


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_hits_are_the_highest_cosine(rng):
    probes, candidates = rng.normal(size=(7, 5)), rng.normal(size=(9, 5))
    trials = np.column_stack(
        [rng.integers(7, size=30), rng.permuted(np.tile(range(9), (30, 1)), axis=1)]
    )
    trials = trials[:, :5]  # a probe, four candidates
    target = [
        np.argmax([cosine(probes[row[0]], candidates[c]) for c in row[1:]]) == 0 for row in trials
    ]
    np.testing.assert_array_equal(matching.hits(probes, candidates, trials), target)
    assert matching.accuracy(3 * probes, candidates, trials) == np.mean(target)


def test_ties_are_shared_and_equal_embeddings_score_chance():
    alike = np.ones((6, 3), np.float32)
    trials = np.array([[0, 1, 2, 3, 4], [1, 0, 5, 4, 3]])
    assert matching.accuracy(alike, alike, trials) == pytest.approx(0.25)
    mixed = alike.copy()
    mixed[2] = [1, 1, -1]
    assert matching.hits(alike, mixed, np.array([[0, 1, 2], [0, 2, 1]])).tolist() == [1, 0]


def test_zero_embeddings_are_no_nan():
    assert matching.accuracy(np.zeros((2, 3)), np.ones((2, 3)), np.array([[0, 0, 1]])) == 0.5


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


@pytest.mark.parametrize("coarse", [False, True])
def test_average_precision_is_that_of_scikit_learn(rng, coarse, monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK", 2)
    people = np.arange(6)
    probes, gallery = rng.normal(size=(12, 4)), rng.normal(size=(30, 4))
    if coarse:  # equal entries: ties
        gallery = np.repeat(gallery[:10], 3, axis=0)
    owners, kept = np.repeat(people, 2), rng.permuted(np.repeat(people, 5))
    ours = retrieval.average_precisions(probes, gallery, owners, kept)
    for i, probe in enumerate(probes):
        scores = matching.unit(probe[None])[0] @ matching.unit(gallery).T
        assert ours[i] == pytest.approx(average_precision_score(kept == owners[i], scores))


def test_average_precision_of_a_list():
    assert retrieval.average_precision(np.array([1, 0, 1])) == pytest.approx((1 + 2 / 3) / 2)
    with pytest.raises(ValueError, match="no average precision"):
        retrieval.average_precision(np.zeros(3, int))


def test_chance_is_the_mean_over_all_orders(rng):
    gallery = np.array([0, 0, 0, 1, 2, 2])
    orders = [rng.permutation(6) for _ in range(4000)]
    measured = np.mean(
        [
            [retrieval.average_precision((gallery[o] == p).astype(int)) for p in (0, 2)]
            for o in orders
        ]
    )
    assert retrieval.chance(np.array([0, 2]), gallery) == pytest.approx(measured, abs=0.01)
    assert retrieval.chance(np.array([1]), np.array([1])) == 1


def test_probes_that_have_nothing_in_the_gallery_are_refused():
    with pytest.raises(ValueError, match=r"1 identities of the probes .* \[7\]"):
        retrieval.average_precisions(np.eye(2), np.eye(2), np.array([0, 7]), np.array([0, 1]))

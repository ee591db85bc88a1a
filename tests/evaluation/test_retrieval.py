"""Retrieval against scikit-learn and its chance against random orders."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from voicemesh.evaluation import matching, retrieval


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

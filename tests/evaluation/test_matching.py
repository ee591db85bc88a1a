"""Matching against loops; ties; embeddings that tell nothing."""

import numpy as np
import pytest

from voicemesh.evaluation import matching


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

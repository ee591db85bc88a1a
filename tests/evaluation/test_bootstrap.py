"""Resampling people: known intervals, and people counted once."""

import numpy as np

from voicemesh.evaluation import bootstrap


def test_a_person_counts_once(rng):
    values = np.array([[1.0], [3.0], [10.0]])
    means = bootstrap.identity_means(values, np.array([4, 4, 9]))
    np.testing.assert_allclose(means, [[2.0], [10.0]])


def test_the_interval_of_a_mean_is_the_textbook_one(rng):
    values = rng.standard_normal(400)
    told = bootstrap.mean(values, bootstrap.resampled(400, rng, 4000))
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(told.value, values.mean())
    np.testing.assert_allclose([told.high - told.value, told.value - told.low], half, rtol=0.1)


def test_explained_is_one_minus_the_ratio(rng):
    errors, baseline = np.array([1.0, 2.0, 3.0]), np.array([4.0, 4.0, 4.0])
    told = bootstrap.explained(errors, baseline, bootstrap.resampled(3, rng, 50))
    assert told.value == 0.5
    assert 0.25 <= told.low < told.value < told.high <= 0.75


def test_an_estimate_is_told_with_its_interval():
    assert str(bootstrap.Estimate(0.5, 0.25, 0.875)) == "0.500 [0.250, 0.875]"

"""Confidence intervals by resampling people, never recordings or pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def identity_means(
    values: Float[np.ndarray, "rows k"], identity: Int64[np.ndarray, " rows"]
) -> Float[np.ndarray, "people k"]:
    """Means over the recordings of each person, persons ascending."""
    _, member, counts = np.unique(identity, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, member, values)
    return sums / counts[:, None]


def resampled(
    people: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Float[np.ndarray, "resamples people"]:
    """Weights of bootstrap samples: how often each person is drawn, over the number of people."""
    return rng.multinomial(people, np.full(people, 1 / people), size=resamples) / people


def mean(
    values: Float[np.ndarray, " people"], weights: Float[np.ndarray, "resamples people"]
) -> Estimate:
    """The mean over people.

    >>> weights = resampled(3, np.random.default_rng(0))
    >>> print(mean(np.array([1.0, 1.0, 1.0]), weights))
    1.000 [1.000, 1.000]
    """
    return _estimate(values.mean(), weights @ values)


def explained(
    errors: Float[np.ndarray, " people"],
    baseline: Float[np.ndarray, " people"],
    weights: Float[np.ndarray, "resamples people"],
) -> Estimate:
    """One minus the ratio of two means: the share of the baseline's (squared) error removed."""
    return _estimate(
        1 - errors.mean() / baseline.mean(), 1 - (weights @ errors) / (weights @ baseline)
    )


def _estimate(value: float, samples: Float[np.ndarray, " resamples"]) -> Estimate:
    low, high = np.quantile(samples, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))

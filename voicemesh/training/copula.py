"""The joint law of columns as N(0, I): ranks to normal scores, then whitened.

Values that many rows share stand for a range of scores. Where in it a row is follows from its
other columns and from chance, so that correlations are those of the ranges (extended rank
likelihood; Hoff, Annals of Applied Statistics 2007).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy.special import ndtr, ndtri

KNOTS = 513  # of each column's quantiles
NEVER = 1e-5  # deviation of a column that does not vary but for rounding
SWEEPS, FEW = 30, 4  # over all columns: to learn a law, to apply it
FARTHEST = 3.5  # scores
RIDGE = 0.01  # in the correlations
TINY = 1e-9  # share of a normal law

Scores = Float64[np.ndarray, "rows columns"]


@dataclass(frozen=True, eq=False)
class Copula:
    """Quantiles of columns and the correlations of their scores."""

    knots: Float32[np.ndarray, "columns knots"]  # values at even ranks, ascending
    correlation: Float64[np.ndarray, "columns columns"]

    @classmethod
    def of(cls, values: Float32[np.ndarray, "rows columns"], seed: int = 0) -> "Copula":
        """The law of samples."""
        constant = values.std(0) < NEVER * np.maximum(1.0, np.abs(values).max(0))
        values = np.where(constant, values.mean(0), values)
        knots = np.quantile(values, np.linspace(0, 1, KNOTS), axis=0, method="nearest").T
        law = cls(np.ascontiguousarray(knots, np.float32), np.eye(len(knots)))
        rng = np.random.default_rng(seed)
        low, high = law.ranges(values.astype(np.float32))
        scores = middle(low, high)
        for _ in range(SWEEPS):
            law = cls(law.knots, correlation_of(scores))
            law.swept(scores, low, high, rng)
        return cls(law.knots, correlation_of(scores))

    def z(
        self, values: Float32[np.ndarray, "rows columns"], rng: np.random.Generator | None = None
    ) -> Scores:
        """White scores of rows; those of ranges drawn by `rng`, else in the middle."""
        low, high = self.ranges(values)
        scores = middle(low, high)
        for _ in range(FEW):
            self.swept(scores, low, high, rng)
        power, axes = np.linalg.eigh(self.correlation)
        return scores @ (axes * power**-0.5 @ axes.T)

    def ranges(self, values: Float32[np.ndarray, "rows columns"]) -> tuple[Scores, Scores]:
        """Lowest and highest score of every value; the same but where many share it."""
        last = self.knots.shape[1] - 1
        low, high = np.empty(values.shape), np.empty(values.shape)
        for number, (knots, column) in enumerate(zip(self.knots, values.T, strict=True)):
            if knots[0] == knots[-1]:
                low[:, number], high[:, number] = -np.inf, np.inf
                continue
            left, right = (np.searchsorted(knots, column, side=side) for side in ("left", "right"))
            begin = left.clip(1, last)
            under, over = knots[begin - 1], knots[begin]
            share = ((column - under) / np.maximum(over - under, 1e-12)).clip(0, 1)
            between = (begin - 1 + share) / last
            shared = right - left > 1
            low[:, number] = ndtri(np.where(shared, left / last, between))
            high[:, number] = ndtri(np.where(shared, (right - 1) / last, between))
        exact = low == high
        for side in (low, high):
            side[exact] = side[exact].clip(-FARTHEST, FARTHEST)
        return low, high

    def swept(
        self, scores: Scores, low: Scores, high: Scores, rng: np.random.Generator | None
    ) -> None:
        """Draw every score of a range anew, given the others of its row, in place."""
        precision = np.linalg.inv(self.correlation)
        for number in np.flatnonzero((low < high).any(0)):
            rows = np.flatnonzero(low[:, number] < high[:, number])
            deviation = precision[number, number] ** -0.5
            others = scores[rows] @ precision[number] - scores[rows, number] / deviation**2
            mean = -others * deviation**2
            ends = ((side[rows, number] - mean) / deviation for side in (low, high))
            drawn = middle(*ends) if rng is None else inside(*ends, rng)
            scores[rows, number] = (mean + deviation * drawn).clip(-FARTHEST, FARTHEST)


def correlation_of(scores: Scores) -> Float64[np.ndarray, "columns columns"]:
    """Of scores whose variance is about 1."""
    return (scores.T @ scores / len(scores) + RIDGE * np.eye(scores.shape[1])) / (1 + RIDGE)


def inside(
    low: Float[np.ndarray, "*shape"], high: Float[np.ndarray, "*shape"], rng: np.random.Generator
) -> Float64[np.ndarray, "*shape"]:
    """Normal scores drawn between two ends."""
    return _quantile(low, high, rng.uniform(size=np.shape(low)))


def middle(
    low: Float[np.ndarray, "*shape"], high: Float[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """The median of a normal law between two ends."""
    return _quantile(low, high, np.float64(0.5))


def _quantile(
    low: Float[np.ndarray, "*shape"],
    high: Float[np.ndarray, "*shape"],
    share: Float[np.ndarray, "*shape"] | np.float64,
) -> Float64[np.ndarray, "*shape"]:
    """Of the normal law between two ends; taken on the side where its tail is thin."""
    flipped = np.asarray(low) > 0
    begin, end = np.where(flipped, -high, low), np.where(flipped, -low, high)
    first, last = ndtr(begin), ndtr(end)
    part = np.where(flipped, 1 - share, share)
    found = ndtri((first + part * (last - first)).clip(TINY, 1 - TINY)).clip(begin, end)
    return np.where(flipped, -found, found)

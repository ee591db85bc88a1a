"""What a similarity means: odds that voice and face belong together, and how unusual it is.

Odds are those at which a right and a wrong pair are equally likely beforehand. Similarities of
different nets cannot be compared; their odds can.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Integer

from .association import Side, cosines
from .trials import drawn, rivals_of

KINDS = ("free", "same sex")  # the wrong ones of the pairs: rows of the table of odds
NEWTON, RIDGE = 30, 1e-6  # steps, and what keeps separable pairs from endless odds
BINS = 15
LEVELS = tuple(np.round(np.linspace(0.01, 0.99, 99), 2).tolist())
SIZES = (10, 30, 100, 300, 1000)  # people in a gallery
GALLERIES = 20  # drawn of each size


@dataclass(frozen=True, eq=False)
class Calibration:
    """Odds from similarities, their error, and the best similarities among strangers."""

    odds: Float[np.ndarray, "kinds 2"]  # log odds = slope * similarity + offset
    error: Float[np.ndarray, " kinds"]  # expected calibration error, on people not calibrated on
    sizes: Int[np.ndarray, " sizes"]
    levels: Float[np.ndarray, " levels"]  # shares of voices
    best: Float[np.ndarray, "sizes levels"]  # similarity that so many voices' best stays below

    def arrays(self) -> dict[str, np.ndarray]:
        """All by name, ready for a file."""
        return {
            "odds": self.odds,
            "calibration_error": self.error,
            "gallery_sizes": self.sizes,
            "levels": self.levels,
            "best_similarity": self.best,
        }


def calibrated(
    voices: Side,
    faces: Side,
    sex: Integer[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
    seed: int = 0,
    negatives: int = 5,
) -> Calibration:
    """Calibrate on people that the nets were not trained on.

    The odds are those of all people; their error is that of odds that were calibrated on one half
    of the people and tried on the other, both ways.
    """
    rng = np.random.default_rng(seed)
    scores = cosines(voices.embeddings, faces.embeddings)
    halves = rng.permutation(len(sex)) % 2
    odds, errors = [], []
    for kind in KINDS:
        trials = drawn(voices.people, faces.people, rivals_of(sex, age, kind), rng, negatives)
        owners = np.tile(voices.people[trials[:, 0]], 2)
        told = [scores[trials[:, 0], trials[:, column]] for column in (1, 2)]
        values = np.concatenate(told).astype(np.float64)
        labels = np.arange(len(values)) < len(trials)
        odds.append(fitted(values, labels))
        tried = np.zeros(len(values))
        for half in (0, 1):
            own = halves[owners] == half
            slope, offset = fitted(values[own], labels[own])
            tried[~own] = slope * values[~own] + offset
        errors.append(expected_error(tried, labels))
    sizes = [size for size in SIZES if size < len(sex)]
    return Calibration(
        np.array(odds),
        np.array(errors),
        np.array(sizes, np.int64),
        np.array(LEVELS),
        best_among_strangers(scores, voices.people, faces.people, sizes, rng),
    )


def fitted(
    values: Float[np.ndarray, " pairs"], labels: Bool[np.ndarray, " pairs"]
) -> tuple[float, float]:
    """Slope and offset of logistic regression, right and wrong pairs weighing the same."""
    mean, deviation = values.mean(), values.std() + 1e-12
    x = np.stack([(values - mean) / deviation, np.ones_like(values)], 1)
    weight = np.where(labels, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    w = np.zeros(2)
    for _ in range(NEWTON):
        told = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (weight * (labels - told)) - RIDGE * w
        bend = (x * (weight * told * (1 - told))[:, None]).T @ x + RIDGE * np.eye(2)
        w = w + np.linalg.solve(bend, slope)
    return float(w[0] / deviation), float(w[1] - w[0] * mean / deviation)


def expected_error(
    log_odds: Float[np.ndarray, " pairs"], labels: Bool[np.ndarray, " pairs"], bins: int = BINS
) -> float:
    """Mean distance of told chances from shares that were right, over bins of equal counts."""
    chance = 1 / (1 + np.exp(-log_odds))
    groups = np.array_split(np.argsort(chance, kind="stable"), bins)
    apart = [len(g) * abs(chance[g].mean() - labels[g].mean()) for g in groups if len(g)]
    return float(sum(apart) / len(labels))


def best_among_strangers(
    scores: Float32[np.ndarray, "voices faces"],
    voice_people: Integer[np.ndarray, " voices"],
    face_people: Integer[np.ndarray, " faces"],
    sizes: Sequence[int],
    rng: np.random.Generator,
) -> Float[np.ndarray, "sizes levels"]:
    """Quantiles over voices of the best similarity among so many people, the own one left out.

    A person's similarity is the best one of the pictures.
    """
    people = int(face_people.max()) + 1
    by_person = np.full((len(scores), people), -np.inf, np.float32)
    for person in range(people):
        by_person[:, person] = scores[:, face_people == person].max(1, initial=-np.inf)
    by_person[np.arange(len(scores)), voice_people] = -np.inf
    rows = []
    for size in sizes:
        best = [
            by_person[:, rng.choice(people, size, replace=False)].max(1) for _ in range(GALLERIES)
        ]
        found = np.concatenate(best)
        rows.append(np.quantile(found[np.isfinite(found)], LEVELS))
    return np.array(rows).reshape(len(sizes), len(LEVELS))

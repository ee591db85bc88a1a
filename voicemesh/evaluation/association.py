"""Voice-face association by both papers' protocols, on queries drawn from any set of people."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer

from . import retrieval, verification
from .bootstrap import Estimate, mean
from .matching import unit
from .trials import KINDS, drawn, rivals_of

DIRECTIONS = ("voice to face", "face to voice")
TIES = 1e-3  # share of a score by which equal ones are put in a random order


@dataclass(frozen=True, eq=False)
class Side:
    """What one modality gave: an embedding per recording or picture, and whose it is."""

    embeddings: Float[np.ndarray, "items embedding"]
    people: Integer[np.ndarray, " items"]  # rows of the table of people


def evaluate(
    voices: Side,
    faces: Side,
    sex: Integer[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
    seed: int = 0,
    negatives: int = 3,
    resamples: int = 200,
) -> dict[str, Any]:
    """`evaluate_scores` of the cosines of embeddings."""
    scores = cosines(voices.embeddings, faces.embeddings)
    return evaluate_scores(
        scores, voices.people, faces.people, sex, age, seed, negatives, resamples
    )


def evaluate_scores(
    scores: Float[np.ndarray, "voices faces"],
    voice_people: Integer[np.ndarray, " voices"],
    face_people: Integer[np.ndarray, " faces"],
    sex: Integer[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
    seed: int = 0,
    negatives: int = 3,
    resamples: int = 200,
) -> dict[str, Any]:
    """Matching 1:2, verification and retrieval, both ways, with 95 % intervals over people.

    Every item is a probe; its right candidate is any item of the other side of the same person,
    and each of `negatives` wrong ones any item of another person of the kind. Verification takes
    the same pairs. The interval resamples the probes' people. The trials depend on the people and
    the seed alone, so that several systems are asked the same.

    Raises:
        ValueError: somebody has items on one side only, or nobody else to be told from.
    """
    check(voice_people, face_people, sex)
    results: dict[str, Any] = {}
    sides = (scores, voice_people, face_people), (scores.T, face_people, voice_people)
    for number, (told, probes, gallery) in enumerate(sides):
        rng = np.random.default_rng([seed, number])
        weights = rng.multinomial(len(sex), np.full(len(sex), 1 / len(sex)), size=resamples)
        found: dict[str, Any] = {"matching": {}, "verification": {}, "equal error rate": {}}
        for kind in KINDS:
            trials = drawn(probes, gallery, rivals_of(sex, age, kind), rng, negatives)
            owner = probes[trials[:, 0]]
            right, wrong = (told[trials[:, 0], trials[:, column]] for column in (1, 2))
            hits = np.where(right == wrong, 0.5, right > wrong)
            found["matching"][kind] = asdict(over_people(hits, owner, weights))
            values = np.concatenate([right, wrong])
            labels = np.arange(len(values)) < len(right)
            area, equal = roc_estimates(values, labels, np.tile(owner, 2), weights)
            found["verification"][kind] = asdict(area)
            found["equal error rate"][kind] = asdict(equal)
        precisions = retrieval.precisions(told, probes, gallery)
        found["retrieval"] = asdict(over_people(precisions, probes, weights))
        found["retrieval chance"] = retrieval.chance(probes, gallery)
        results[DIRECTIONS[number]] = found
    return results


def cosines(
    voices: Float[np.ndarray, "voices embedding"], faces: Float[np.ndarray, "faces embedding"]
) -> Float32[np.ndarray, "voices faces"]:
    """The score of every pair."""
    heard, seen = (unit(side).astype(np.float32) for side in (voices, faces))
    return heard @ seen.T


def sex_oracle(
    voice_people: Integer[np.ndarray, " voices"],
    face_people: Integer[np.ndarray, " faces"],
    sex: Integer[np.ndarray, " people"],
    seed: int = 0,
) -> Float32[np.ndarray, "voices faces"]:
    """Scores of one who knows the sex perfectly and nothing else, and orders by lot within it."""
    same = sex[voice_people][:, None] == sex[face_people]
    luck = np.random.default_rng(seed).random(same.shape, np.float32)
    return same.astype(np.float32) + TIES * luck


def over_people(
    values: Float[np.ndarray, " rows"],
    people: Integer[np.ndarray, " rows"],
    weights: Integer[np.ndarray, "resamples people"],
) -> Estimate:
    """The mean over people of each one's mean; people without a row do not count."""
    counts = np.bincount(people, minlength=weights.shape[1])
    some = np.flatnonzero(counts)
    means = np.bincount(people, values, minlength=weights.shape[1])[some] / counts[some]
    own = weights[:, some]
    own = own[own.any(1)]
    return mean(means, own / own.sum(1, keepdims=True))


def roc_estimates(
    values: Float[np.ndarray, " pairs"],
    labels: Bool[np.ndarray, " pairs"],
    owner: Integer[np.ndarray, " pairs"],
    weights: Integer[np.ndarray, "resamples people"],
) -> tuple[Estimate, Estimate]:
    """Area under the ROC and equal error rate, the intervals by drawing the probes' people anew."""
    order = np.argsort(-values, kind="stable")
    ties = np.r_[0, np.flatnonzero(np.diff(values[order])) + 1]
    true, person = labels[order], owner[order]
    samples = []
    for weight in weights[weights[:, np.unique(owner)].any(1)]:
        share = weight[person]
        hits = np.add.reduceat(np.where(true, share, 0), ties)
        alarms = np.add.reduceat(np.where(true, 0, share), ties)
        hit, alarm = np.cumsum(hits) / hits.sum(), np.cumsum(alarms) / alarms.sum()
        area = np.trapezoid(np.r_[0, hit], np.r_[0, alarm])
        samples.append((area, alarm[np.abs(1 - hit - alarm).argmin()]))
    measured = verification.auc(values, labels), verification.equal_error_rate(values, labels)
    bounds = np.quantile(samples, [0.025, 0.975], axis=0).T.tolist()
    area, equal = (Estimate(value, *ends) for value, ends in zip(measured, bounds, strict=True))
    return area, equal


def check(
    voice_people: Integer[np.ndarray, " voices"],
    face_people: Integer[np.ndarray, " faces"],
    sex: Integer[np.ndarray, " people"],
) -> None:
    """Refuse people without a voice or without a face."""
    for owners, name in ((voice_people, "voice"), (face_people, "face")):
        lacking = np.setdiff1d(np.arange(len(sex)), owners)
        if len(lacking):
            raise ValueError(
                f"{len(lacking)} of {len(sex)} people have no {name}, such as"
                f" {lacking[:3].tolist()}; leave them out"
            )

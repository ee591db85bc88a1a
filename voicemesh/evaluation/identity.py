"""How well a face network tells people apart that it never saw."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from .retrieval import check
from .verification import auc, equal_error_rate


@dataclass(frozen=True)
class Identified:
    """Verification of pairs of pictures, and finding a person by another picture."""

    people: int
    auc: float
    equal_error_rate: float
    first: float  # share of other pictures whose person's frontal picture is the most similar


def identified(
    features: Float[np.ndarray, "pictures d"],
    person: Integer[np.ndarray, " pictures"],
    frontal: Bool[np.ndarray, " pictures"],
) -> Identified:
    """Every other picture against all frontal ones, by the cosine of unit features.

    Raises:
        ValueError: there are no other pictures, or somebody has no frontal one.
    """
    gallery, probes = features[frontal], features[~frontal]
    if not len(probes) or not len(gallery):
        raise ValueError(
            f"{len(gallery)} frontal and {len(probes)} other pictures; both kinds are needed"
        )
    check(person[~frontal], person[frontal])
    scores = probes @ gallery.T
    same = person[~frontal][:, None] == person[frontal][None]
    right = same[np.arange(len(scores)), scores.argmax(1)]
    return Identified(
        people=len(np.unique(person)),
        auc=auc(scores.ravel(), same.ravel()),
        equal_error_rate=equal_error_rate(scores.ravel(), same.ravel()),
        first=float(right.mean()),
    )

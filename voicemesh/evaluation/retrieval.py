"""Retrieval: rank a whole gallery for a probe; mean average precision and what chance gives."""

import numpy as np
from jaxtyping import Float, Integer

from .matching import unit

BLOCK = 512  # probes whose scores are held at once


def average_precisions(
    probes: Float[np.ndarray, "probes embedding"],
    gallery: Float[np.ndarray, "gallery embedding"],
    probe_identities: Integer[np.ndarray, " probes"],
    gallery_identities: Integer[np.ndarray, " gallery"],
) -> Float[np.ndarray, " probes"]:
    """Average precision of the gallery's cosine ranking for each probe.

    Raises:
        ValueError: an identity of the probes is not in the gallery.
    """
    heard, seen = unit(probes), unit(gallery)
    check(probe_identities, gallery_identities)
    produced = np.zeros(len(probes))
    for start in range(0, len(probes), BLOCK):
        block = slice(start, start + BLOCK)
        scores = heard[block] @ seen.T
        produced[block] = precisions(scores, probe_identities[block], gallery_identities)
    return produced


def precisions(
    scores: Float[np.ndarray, "probes gallery"],
    probe_identities: Integer[np.ndarray, " probes"],
    gallery_identities: Integer[np.ndarray, " gallery"],
) -> Float[np.ndarray, " probes"]:
    """Average precision of each row of scores.

    Raises:
        ValueError: an identity of the probes is not in the gallery.
    """
    check(probe_identities, gallery_identities)
    produced = np.zeros(len(scores))
    for identity in np.unique(probe_identities):
        relevant = np.flatnonzero(gallery_identities == identity)
        for row in np.flatnonzero(probe_identities == identity):
            produced[row] = precision_of(scores[row], relevant)
    return produced


def check(
    probe_identities: Integer[np.ndarray, " probes"],
    gallery_identities: Integer[np.ndarray, " gallery"],
) -> None:
    """Refuse probes whose identity the gallery does not hold."""
    strangers = np.setdiff1d(probe_identities, gallery_identities)
    if len(strangers):
        raise ValueError(
            f"{len(strangers)} identities of the probes have nothing in the gallery, such as"
            f" {strangers[:3].tolist()}; leave their probes out"
        )


def precision_of(
    scores: Float[np.ndarray, " gallery"], relevant: Integer[np.ndarray, " relevant"]
) -> float:
    """Average precision of one ranking: mean over the relevant of hits so far over rank.

    Only the relevant are sorted; a tie counts whole at each of its members.
    """
    own = np.sort(scores[relevant])
    # Gallery entries that reach each relevant score: count those between neighbours, add up.
    between = np.bincount(np.searchsorted(own, scores, side="right"), minlength=len(own) + 1)
    reached = np.cumsum(between[::-1])[::-1][1:]  # scores >= own[i]
    first = np.searchsorted(own, own, side="left")
    return float(np.mean((len(own) - first) / reached))


def average_precision(labels: Integer[np.ndarray, " ranked"]) -> float:
    """Average precision of a ranked list of labels, 1 for relevant, best first.

    >>> average_precision(np.array([1, 0, 0, 1]))
    0.75

    Raises:
        ValueError: nothing is relevant.
    """
    found = np.flatnonzero(labels)
    if not len(found):
        raise ValueError("A ranking without any relevant entry has no average precision")
    return float(np.mean(np.arange(1, len(found) + 1) / (found + 1)))


def chance(
    probe_identities: Integer[np.ndarray, " probes"],
    gallery_identities: Integer[np.ndarray, " gallery"],
) -> float:
    """Mean average precision that random orders give in expectation, exactly."""
    names, sizes = np.unique(gallery_identities, return_counts=True)
    relevant = sizes[np.searchsorted(names, probe_identities)]
    total = len(gallery_identities)
    harmonic = (1 / np.arange(1, total + 1)).sum()
    # A relevant entry at rank k has, before it, (k - 1) (r - 1) / (n - 1) others on average.
    others = (relevant - 1) / max(1, total - 1)
    return float(np.mean((harmonic + others * (total - harmonic)) / total))

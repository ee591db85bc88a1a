"""Verification: do this voice and this face belong together?"""

import numpy as np
from jaxtyping import Bool, Float, Integer

from .matching import unit


def scores(
    a: Float[np.ndarray, "rows embedding"],
    b: Float[np.ndarray, "others embedding"],
    pairs: Integer[np.ndarray, "pairs 2"],
) -> Float[np.ndarray, " pairs"]:
    """Cosine of each pair (row of a, row of b)."""
    return np.einsum("pe,pe->p", unit(a)[pairs[:, 0]], unit(b)[pairs[:, 1]])


def auc(values: Float[np.ndarray, " pairs"], labels: Bool[np.ndarray, " pairs"]) -> float:
    """Chance that a true pair scores above a false one, ties by half: the area under the ROC.

    >>> auc(np.array([0.9, 0.4, 0.4]), np.array([True, True, False]))
    0.75

    Raises:
        ValueError: all pairs are true, or all false.
    """
    false_positive, true_positive = roc(values, labels, corners=False)
    return float(np.trapezoid(true_positive, false_positive))


def equal_error_rate(
    values: Float[np.ndarray, " pairs"], labels: Bool[np.ndarray, " pairs"]
) -> float:
    """False-positive rate where it is nearest to the false-negative rate.

    At the corners of the ROC and not between them, as scikit-learn's curve has it and the
    published figures are made.

    Raises:
        ValueError: all pairs are true, or all false.
    """
    false_positive, true_positive = roc(values, labels, corners=True)
    return float(false_positive[np.abs(1 - true_positive - false_positive).argmin()])


def roc(
    values: Float[np.ndarray, " pairs"], labels: Bool[np.ndarray, " pairs"], corners: bool
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """False and true positive rates from the strictest threshold to the laxest, from (0, 0) on.

    `corners` leaves out the points on a straight line between their neighbours.
    """
    true = int(labels.sum())
    if not 0 < true < len(labels):
        raise ValueError(
            f"{true} of {len(labels)} pairs are true; verification needs true and false ones"
        )
    order = np.argsort(-values, kind="stable")
    ranked, hit = values[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each tie
    true_positive = np.cumsum(hit)[last]
    false_positive = last + 1 - true_positive
    if corners and len(last) > 2:
        bends = np.diff(true_positive, 2).astype(bool) | np.diff(false_positive, 2).astype(bool)
        kept = np.r_[True, bends, True]
        true_positive, false_positive = true_positive[kept], false_positive[kept]
    rates = false_positive / (len(labels) - true), true_positive / true
    return np.r_[0.0, rates[0]], np.r_[0.0, rates[1]]

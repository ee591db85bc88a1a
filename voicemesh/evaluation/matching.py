"""Matching: which of N candidates belongs to the probe, from either modality to the other."""

import numpy as np
from jaxtyping import Float, Integer

Embeddings = Float[np.ndarray, "items embedding"]


def hits(
    probes: Float[np.ndarray, "probes embedding"],
    candidates: Float[np.ndarray, "candidates embedding"],
    trials: Integer[np.ndarray, "trials columns"],
) -> Float[np.ndarray, " trials"]:
    """1 where the cosine of the right candidate is the highest, 0 where another's is higher.

    A tie of the highest is shared evenly, so that embeddings that are all alike score chance.

    Args:
        trials: rows (probe, right candidate, wrong candidates ...) of row numbers.
    """
    heard, seen = unit(probes), unit(candidates)
    scores = np.stack(
        [np.einsum("te,te->t", heard[trials[:, 0]], seen[column]) for column in trials[:, 1:].T],
        axis=1,
    )
    right = scores[:, :1]
    shared = (scores == right).sum(1)
    return np.where((scores > right).any(1), 0.0, 1.0 / shared)


def accuracy(
    probes: Float[np.ndarray, "probes embedding"],
    candidates: Float[np.ndarray, "candidates embedding"],
    trials: Integer[np.ndarray, "trials columns"],
) -> float:
    """Share of the trials that `hits` counts; chance is 1 over the number of candidates.

    >>> voices, faces = np.eye(2), np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> accuracy(voices, faces, np.array([[0, 0, 1], [1, 1, 0]]))
    1.0
    """
    return float(hits(probes, candidates, trials).mean())


def unit(embeddings: Embeddings) -> Embeddings:
    """Rows at length 1; a zero row stays zero."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(lengths, np.finfo(embeddings.dtype).tiny)

"""How similar the best match of a stranger is: what makes a similarity unusual or not.

Similarities of different spaces do not compare, and in a large gallery somebody always fits. So
voices (or faces) whose person is left out of the comparison are searched for, and the similarity
of their best matches is kept.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from .search import Side

MOST = 1000  # probes per table


@dataclass(frozen=True, eq=False)
class Probes:
    """Embeddings to calibrate on, of people of the gallery or of others."""

    units: Float[np.ndarray, "probes d"]
    person: Int32[np.ndarray, " probes"]  # in the gallery, or -1
    sex: UInt8[np.ndarray, " probes"]  # as in its files


def strangers(
    side: Side, probes: Probes, filters: dict[str, int | None]
) -> dict[str, Float32[np.ndarray, " probes"]]:
    """For each filter the ascending similarities of the best match that is not the probe himself.

    A filter by sex is asked about probes of that sex: it is for comparing among equals.
    """
    found = {}
    for name, sex in filters.items():
        rows = np.arange(len(probes.units)) if sex is None else np.flatnonzero(probes.sex == sex)
        if len(rows) > MOST:
            rows = rows[np.linspace(0, len(rows) - 1, MOST).round().astype(int)]
        tops = [best_other(side, probes.units[row], int(probes.person[row]), sex) for row in rows]
        known = [top for top in tops if top is not None]
        if known:
            found[name] = np.sort(np.array(known, np.float32))
    return found


def best_other(
    side: Side, unit: Float[np.ndarray, " d"], person: int, sex: int | None
) -> float | None:
    """Similarity of the best match of somebody else."""
    matches = side.search(unit, 2, sex)
    rows = np.searchsorted(side.entries, matches.numbers)
    others = np.flatnonzero(side.person[rows] != person)
    return float(matches.similarity[others[0]]) if len(others) else None

"""Approximate search for large galleries: FAISS cells of 8-bit vectors, best rows compared anew.

A probe visits the cells nearest to it and no others. How many are needed is measured when the
index is built: the fewest at which the ten exact nearest are found often enough.

A million rows of 128 values (benchmarks/search.py, variance falling off with the rank, one thread):
built in 55 s, 0.9 GB of memory at most; 138 MB of index beside 256 MB of vectors; 568 of 4000 cells
visited for a recall@10 of 0.978, in 6.8 ms a probe.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

log = logging.getLogger(__name__)

NEIGHBOURS = 10  # whose recall is measured
CELLS_PER_ROOT = 4.0  # cells for every root of a row
TRAINED_ON = 64  # rows per cell that k-means sees
ROUNDS = 10  # of k-means
SEED = 1
AT_ONCE = 65_536  # rows added or compared together


@dataclass(frozen=True)
class Recall:
    """What the index of a gallery gives up, and what for."""

    cells: int
    visited: int  # cells per probe
    recall: float  # share of the ten exact nearest rows that are among the ten found
    probes: int  # on how many this was measured


class CellIndex:
    """Rows of a matrix of unit vectors, sorted into cells."""

    def __init__(self, index: object, visited: int) -> None:
        """Wrap a FAISS index that visits `visited` cells."""
        self.index, self.visited = index, visited

    @property
    def cells(self) -> int:
        """How many there are."""
        return self.index.nlist

    @classmethod
    def open(cls, path: Path, visited: int) -> "CellIndex":
        """Map an index from disk; its cells are read when they are visited."""
        import faiss

        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP), visited)

    def save(self, path: Path) -> None:
        """Write the index in FAISS's own format."""
        import faiss

        faiss.write_index(self.index, str(path))

    def nearest(
        self,
        units: Float[np.ndarray, "probes d"],
        count: int,
        allowed: Bool[np.ndarray, " rows"] | None = None,
        visited: int | None = None,
    ) -> Int64[np.ndarray, "probes count"]:
        """About the nearest `count` rows of each probe, best first; -1 where there are fewer."""
        import faiss

        settings = faiss.SearchParametersIVF(nprobe=visited or self.visited)
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            settings.sel = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits))
        probes = np.ascontiguousarray(units, np.float32)
        return self.index.search(probes, count, params=settings)[1]


def build(
    vectors: Float[np.ndarray, "rows d"],
    probes: Float[np.ndarray, "probes d"],
    least_recall: float = 0.97,
) -> tuple[CellIndex, Recall]:
    """Sort rows into cells and choose how many a probe visits.

    Args:
        probes: unit vectors like those that will be searched for.
        least_recall: of the ten nearest, on these probes.
    """
    import faiss

    begun = time.perf_counter()
    rows, width = vectors.shape
    cells = max(1, min(rows // 8, round(CELLS_PER_ROOT * rows**0.5)))
    chosen = np.random.default_rng(SEED).permutation(rows)[: cells * TRAINED_ON]
    means = faiss.Kmeans(
        width, cells, niter=ROUNDS, spherical=True, seed=SEED, min_points_per_centroid=1
    )
    means.train(vectors[np.sort(chosen)].astype(np.float32))
    centres = faiss.IndexFlatIP(width)
    centres.add(means.centroids)
    eight_bits = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(
        centres, width, cells, eight_bits, faiss.METRIC_INNER_PRODUCT
    )
    index.train(vectors[np.sort(chosen)].astype(np.float32))
    for start in range(0, rows, AT_ONCE):
        index.add(vectors[start : start + AT_ONCE].astype(np.float32))
    built = CellIndex(index, cells)
    exact = exact_nearest(vectors, probes, NEIGHBOURS)
    visited, recall = 4, 0.0
    while True:
        recall = recall_of(built, vectors, probes, exact, min(visited, cells))
        if recall >= least_recall or visited >= cells:
            break
        visited = -(-visited * 5 // 4)
    built.visited = min(visited, cells)
    log.info(
        "%d rows in %d cells in %.0f s; %d visited: recall %.3f",
        *(rows, cells, time.perf_counter() - begun, built.visited, recall),
    )
    return built, Recall(cells, built.visited, round(recall, 4), len(probes))


def recall_of(
    index: CellIndex,
    vectors: Float[np.ndarray, "rows d"],
    probes: Float[np.ndarray, "probes d"],
    exact: Int64[np.ndarray, "probes count"],
    visited: int,
) -> float:
    """Share of the exact nearest rows that are found, after the best have been compared anew."""
    found = index.nearest(probes, wider(exact.shape[1]), visited=visited)
    shares = []
    for unit, rows, true in zip(probes, found, exact, strict=True):
        rows = rows[rows >= 0]
        best = rows[np.lexsort((rows, -similarities(vectors, rows, unit)))][: len(true)]
        shares.append(np.isin(true, best).mean())
    return float(np.mean(shares))


def wider(count: int) -> int:
    """How many rows to take from 8-bit vectors so that the best `count` are among them."""
    return 8 * count + 32


def similarities(
    vectors: Float[np.ndarray, "rows d"],
    rows: Int64[np.ndarray, " chosen"],
    unit: Float[np.ndarray, " d"],
) -> Float32[np.ndarray, " chosen"]:
    """Cosines of some rows with a probe."""
    return vectors[rows].astype(np.float32) @ unit.astype(np.float32)


def exact_nearest(
    vectors: Float[np.ndarray, "rows d"], probes: Float[np.ndarray, "probes d"], count: int
) -> Int64[np.ndarray, "probes count"]:
    """The nearest rows by comparing all; equals by their number."""
    count = min(count, len(vectors))
    best = np.full((len(probes), 0), 0, np.float32)
    rows = np.zeros((len(probes), 0), np.int64)
    for start in range(0, len(vectors), AT_ONCE):
        part = vectors[start : start + AT_ONCE].astype(np.float32)
        scores = probes.astype(np.float32) @ part.T
        kept = np.argpartition(-scores, min(count, len(part)) - 1, 1)[:, :count]
        best = np.concatenate([best, np.take_along_axis(scores, kept, 1)], 1)
        rows = np.concatenate([rows, kept + start], 1)
        order = np.lexsort((rows, -best))[:, :count]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return rows

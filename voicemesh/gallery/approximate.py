"""Approximate search for large galleries: FAISS cells of 8-bit vectors, best rows compared anew.

A probe visits the cells nearest to it and no others. How many are needed is measured when the
index is built: the fewest at which the ten exact nearest are found often enough.

A million rows of 128 values (benchmarks/search.py, variance falling off with the rank, one thread):
built in 55 s, 0.9 GB of memory at most; 138 MB of index beside 256 MB of vectors; 568 of 4000 cells
visited for a recall@10 of 0.978, in 6.8 ms a probe.

An index is kept as arrays whose sizes are checked. FAISS's own files are never read: its readers
trust what a file says of itself, and a gallery may come from strangers.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Shaped

from .files import mapped, write

if TYPE_CHECKING:
    import faiss

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
    def open(cls, path: Path, visited: int, rows: int, width: int) -> "CellIndex":
        """Read an index of `rows` vectors of `width` values, as `save` wrote it.

        Raises:
            ValueError: it is none, or not of so many.
        """
        import faiss

        arrays = mapped(path)
        if flaw := flaw_of(arrays, rows, width):
            raise ValueError(f"{path} is no index of {rows} rows of {width} values: {flaw}")
        ends, numbers, codes = arrays["ends"], arrays["numbers"], arrays["codes"]
        index = empty_index(np.ascontiguousarray(arrays["centres"]))
        faiss.copy_array_to_vector(np.ascontiguousarray(arrays["scale"]), index.sq.trained)
        index.is_trained = True
        for cell, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
            own = [np.ascontiguousarray(array[start:end]) for array in (numbers, codes)]
            index.invlists.add_entries(cell, int(end - start), *map(faiss.swig_ptr, own))
        index.ntotal = rows
        return cls(index, visited)

    def save(self, path: Path) -> None:
        """Write the index as arrays: centres of cells, the scale of 8 bits, rows cell by cell."""
        import faiss

        index, lists = self.index, self.index.invlists
        sizes = [lists.list_size(cell) for cell in range(index.nlist)]
        numbers = np.empty(index.ntotal, np.int64)
        codes = np.empty((index.ntotal, index.d), np.uint8)
        start = 0
        for cell, size in enumerate(sizes):
            if size:
                part = slice(start, start + size)
                numbers[part] = faiss.rev_swig_ptr(lists.get_ids(cell), size)
                own = faiss.rev_swig_ptr(lists.get_codes(cell), size * index.d)
                codes[part] = own.reshape(size, index.d)
            start += size
        write(
            path,
            {
                "centres": index.quantizer.reconstruct_n(0, index.nlist),
                "scale": faiss.vector_to_array(index.sq.trained),
                "ends": np.cumsum(sizes, dtype=np.int64),
                "numbers": numbers,
                "codes": codes,
            },
        )

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


def empty_index(centres: Float32[np.ndarray, "cells d"]) -> "faiss.IndexIVFScalarQuantizer":
    """An index of these cells without rows."""
    import faiss

    cells, width = centres.shape
    nearest = faiss.IndexFlatIP(width)
    nearest.add(centres)
    kind = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(nearest, width, cells, kind, faiss.METRIC_INNER_PRODUCT)
    nearest.this.disown()  # it goes with the index
    index.own_fields = True
    return index


def flaw_of(arrays: Mapping[str, Shaped[np.ndarray, "..."]], rows: int, width: int) -> str:
    """What is wrong with the arrays of an index; nothing if they can be searched safely."""
    cells = len(arrays["ends"]) if "ends" in arrays and arrays["ends"].ndim == 1 else 0
    wanted = {
        "centres": (np.float32, (cells, width)),
        "scale": (np.float32, (2 * width,)),
        "ends": (np.int64, (cells,)),
        "numbers": (np.int64, (rows,)),
        "codes": (np.uint8, (rows, width)),
    }
    found = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    if found.keys() != wanted.keys():
        return f"it has {', '.join(sorted(found)) or 'no arrays'}"
    for name, (kind, shape) in wanted.items():
        if found[name] != (np.dtype(kind), shape):
            return f"{name} are {found[name][0]} of {found[name][1]}"
    ends, numbers = arrays["ends"], arrays["numbers"]
    if not cells or ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] != rows:
        return "its cells do not hold the rows"
    if not np.array_equal(np.sort(numbers), np.arange(rows)):
        return "its cells do not hold every row once"
    if not all(np.isfinite(arrays[name]).all() for name in ("centres", "scale")):
        return "some of its numbers are not finite"
    return ""


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
    index = empty_index(means.centroids)
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

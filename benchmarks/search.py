"""How fast galleries are searched, and at which recall; only the figures of one run compare.

The embeddings have the structure of trained ones: people around a common mean, three pictures of
each, the variance of their directions falling off with the rank, either as a power of it or as in
the embeddings of a gallery (`--like`). Uniform noise would have no neighbours to find.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.gallery import approximate
from voicemesh.gallery.approximate import CellIndex
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.search import EXACT_LIMIT, Side

WIDTH, PICTURES, COUNT = 128, 3, 10
WITHIN = 0.25  # variance of a person's pictures beside that of people
MEAN = 0.3  # squared length of the common mean beside the whole
PROBES, TUNING = 500, 200
AT_ONCE = 50_000  # people drawn together


def power_law(power: float) -> tuple[np.ndarray, float]:
    """Deviations of all directions, and the length of the mean."""
    spread = np.arange(1, WIDTH + 1) ** (-power / 2)
    return spread * np.sqrt((1 - MEAN) / (spread**2).sum() / (1 + WITHIN)), MEAN**0.5


def spectrum_like(folder: Path, space: str) -> tuple[np.ndarray, float]:
    """The same of the faces of a gallery."""
    faces = np.asarray(FolderGallery(folder).side(space, "faces").vectors, np.float64)
    mean = faces.mean(0)
    variance = np.linalg.eigvalsh(np.cov(faces.T))[::-1].clip(0)
    return np.sqrt(variance), float(np.linalg.norm(mean))


def generate(
    rows: int, spread: np.ndarray, length: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """`rows` unit vectors person by person, and further pictures of people among them."""
    rng, width = np.random.default_rng(seed), len(spread)
    mean = rng.standard_normal(width)
    mean = (mean * length / np.linalg.norm(mean)).astype(np.float32)
    kind = np.float16 if rows > EXACT_LIMIT else np.float32
    out, probes = np.zeros((rows, width), kind), np.zeros((0, width), np.float32)
    people = -(-rows // PICTURES)
    for start in range(0, people, AT_ONCE):
        count = min(AT_ONCE, people - start)
        person = rng.standard_normal((count, 1, width), np.float32)
        picture = rng.standard_normal((count, PICTURES + 1, width), np.float32)
        vectors = mean + spread.astype(np.float32) * (person + WITHIN**0.5 * picture)
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        flat = vectors[:, :PICTURES].reshape(-1, width)[: rows - start * PICTURES]
        out[start * PICTURES : start * PICTURES + len(flat)] = flat
        probes = np.concatenate([probes, vectors[: PROBES - len(probes), PICTURES]])
    return out, probes


def timed(run: Callable[[np.ndarray], object], probes: np.ndarray) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds of a probe, one at a time."""
    times = []
    for unit in probes:
        start = time.perf_counter()
        run(unit)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times)), float(np.percentile(times, 95))


def measure(rows: int, spread: np.ndarray, length: float) -> str:
    """Build a side, search it, and tell."""
    vectors, probes = generate(rows, spread, length)
    number = np.arange(rows, dtype=np.int32)
    side = Side(vectors, number, number // PICTURES, (number // PICTURES % 2 + 1).astype(np.uint8))
    told = f"{rows:>9,} rows of {vectors.shape[1]} values, {vectors.nbytes / 1e6:.0f} MB"
    if rows > EXACT_LIMIT:
        start = time.perf_counter()
        side.index, facts = approximate.build(vectors, probes[:TUNING])
        built = time.perf_counter() - start
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.safetensors"
            side.index.save(path)
            side.index = CellIndex.open(path, facts.visited, *vectors.shape)
            exact = approximate.exact_nearest(vectors, probes[TUNING:], COUNT)
            recall = approximate.recall_of(
                side.index, vectors, probes[TUNING:], exact, facts.visited
            )
            told += (
                f" + {path.stat().st_size / 1e6:.0f} MB of index, built in {built:.0f} s; "
                f"{facts.visited} of {facts.cells} cells: recall@{COUNT} {recall:.3f}"
            )
            return f"{told}; {speed(side, probes[TUNING:])}"
    return f"{told}, all compared; {speed(side, probes)}"


def speed(side: Side, probes: np.ndarray) -> str:
    """Milliseconds of a search for people, of all and of one sex."""
    side.search(probes[0], COUNT, None)
    everyone = timed(lambda unit: side.search(unit, COUNT, None), probes)
    women = timed(lambda unit: side.search(unit, COUNT, 1), probes[:100])
    return "{:.2f} ms a probe (95 %: {:.2f}); women only {:.2f} ms".format(*everyone, women[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 20_000, 100_000, 1_000_000])
    parser.add_argument("--power", type=float, default=1.0, help="of the rank: %(default)s")
    parser.add_argument("--like", type=Path, help="a gallery whose faces' spectrum is taken")
    parser.add_argument("--space", default="sss", help="of that gallery: %(default)s")
    given = parser.parse_args()
    law = spectrum_like(given.like, given.space) if given.like else power_law(given.power)
    for rows in given.rows:
        print(measure(rows, *law), flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

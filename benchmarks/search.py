"""How fast galleries are searched, and at which recall; only the figures of one run compare.

The embeddings have the structure of trained ones: identities around a common mean, three pictures
each, the variance of their directions falling off as a power of the rank. Trained voice encoders
of this project are flatter still (eight directions hold all variance); published face networks
fall off about as here.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from voicemesh.gallery import approximate

WIDTH, PICTURES = 128, 3
WITHIN = 0.25  # variance of an identity's pictures beside that of identities
MEAN = 0.3  # squared length of the common mean beside the whole


def generate(rows: int, power: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`rows` unit vectors (float16), and 500 further pictures of people among them."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, WIDTH + 1) ** (-power / 2)
    spread *= np.sqrt((1 - MEAN) / (spread**2).sum() / (1 + WITHIN))
    mean = rng.standard_normal(WIDTH).astype(np.float32)
    mean *= np.sqrt(MEAN) / np.linalg.norm(mean)
    people = -(-rows // PICTURES)
    out = np.zeros((rows, WIDTH), np.float16)
    probes = np.zeros((0, WIDTH), np.float32)
    step = 50_000
    for start in range(0, people, step):
        count = min(step, people - start)
        person = rng.standard_normal((count, 1, WIDTH), np.float32)
        picture = rng.standard_normal((count, PICTURES + 1, WIDTH), np.float32)
        vectors = mean + spread.astype(np.float32) * (person + np.sqrt(WITHIN) * picture)
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        flat = vectors[:, :PICTURES].reshape(-1, WIDTH)[: rows - start * PICTURES]
        out[start * PICTURES : start * PICTURES + len(flat)] = flat
        if len(probes) < 500:
            probes = np.concatenate([probes, vectors[: 500 - len(probes), PICTURES]])
    return out, probes


def median(run, probes: np.ndarray) -> float:
    """Milliseconds per probe, one at a time."""
    times = []
    for unit in probes:
        start = time.perf_counter()
        run(unit)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--power", type=float, default=1.0)
    given = parser.parse_args()
    vectors, probes = generate(given.rows, given.power)
    tuning, held_out = probes[:200], probes[200:]
    index, facts = approximate.build(vectors, tuning)
    print(facts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.faiss"
        index.save(path)
        index = approximate.CellIndex.open(path, facts.visited)
        exact = approximate.exact_nearest(vectors, held_out, 10)
        recall = approximate.recall_of(index, vectors, held_out, exact, facts.visited)

        def run(unit: np.ndarray) -> None:
            rows = index.nearest(unit[None], approximate.wider(10))[0]
            approximate.similarities(vectors, rows, unit)

        print(
            f"{given.rows} rows, power {given.power}: {median(run, held_out):.2f} ms a probe, "
            f"recall@10 {recall:.3f}, {path.stat().st_size / 1e6:.0f} MB of index beside "
            f"{vectors.nbytes / 1e6:.0f} MB of vectors"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

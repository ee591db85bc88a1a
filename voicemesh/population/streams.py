"""Named random streams: each purpose has its own, and none ever shifts another."""

import hashlib

import numpy as np


def stream(seed: int, *labels: str | int) -> np.random.Generator:
    """The random generator of one purpose, such as `stream(seed, "speech", identity, session)`.

    Streams are told apart by a hash of their labels and not by a counter, so that a new one leaves
    the old ones as they were and no two purposes share numbers.
    """
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *labels))).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))

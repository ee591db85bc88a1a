"""Published feature files: the log-mel of one voice as .npy, frames by 64 bands, standardised."""

from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float32

from .recording import UnusableRecording

SUFFIX = ".npy"
# All that NumPy raises on files that are no arrays, or damaged ones.
MALFORMED = (
    *(ValueError, EOFError, OSError, ArithmeticError, MemoryError, RecursionError),
    *(TokenError, BadZipFile),
)
MELS = 64
FRAME_RATE = 100.0  # Hz


def load(path: str | Path, limit: float = 60.0) -> Float32[np.ndarray, "mels frames"]:
    """The features of a file, at most `limit` seconds of them.

    Raises:
        UnusableRecording: there is no such file, or it holds anything else.
    """
    path = Path(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UnusableRecording(f"There is no file {path.name}.") from error
    except MALFORMED as error:
        raise UnusableRecording(f"{path.name} is no array of numbers.") from error
    shape = getattr(array, "shape", ())  # an archive of several arrays has none
    if len(shape) != 2 or shape[1] != MELS or not shape[0]:
        raise UnusableRecording(
            f"{path.name} is no feature file: frames by {MELS} bands are needed, it holds"
            f" {' by '.join(map(str, shape)) or 'something else'}."
        )
    if array.dtype.kind not in "fiu":
        raise UnusableRecording(f"{path.name} holds {array.dtype}, not numbers.")
    features = np.array(array[: int(limit * FRAME_RATE)], np.float32).T
    if not np.isfinite(features).all():
        raise UnusableRecording(f"{path.name} holds numbers that are not finite.")
    return np.ascontiguousarray(features)

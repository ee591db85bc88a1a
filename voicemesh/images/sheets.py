"""Sheets: many pictures of one size in one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8


def tiled(
    pixels: UInt8[np.ndarray, "pictures height width 3"], columns: int = 8
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Pictures row by row; places without one are white."""
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, 3), 255, np.uint8)
    whole[:count] = pixels
    grid = whole.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, 3)


def beside(
    blocks: Sequence[UInt8[np.ndarray, "height _ 3"]], gap: int = 12
) -> UInt8[np.ndarray, "height _ 3"]:
    """Sheets of one height side by side, with white between them."""
    white = np.full((len(blocks[0]), gap, 3), 255, np.uint8)
    parts = [part for block in blocks for part in (white, block)][1:]
    return np.concatenate(parts, 1)


def save(path: Path, sheet: UInt8[np.ndarray, "_ _ 3"]) -> None:
    """Write a sheet as the file's suffix says."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, quality=92)

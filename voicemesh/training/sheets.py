"""Sheets of samples: pictures of a batch in one file, to look at while a net learns."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from voicemesh.latent.projection import pixels_of


def sheet(
    images: Float[Tensor, "batch 3 height width"], columns: int = 8
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Images in [-1, 1] row by row; places without one are white."""
    pixels = pixels_of(images)
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, 3), 255, np.uint8)
    whole[:count] = pixels
    grid = whole.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, 3)


def save_sheet(path: Path, images: Float[Tensor, "batch 3 height width"], columns: int = 8) -> None:
    """Write a sheet as the file's suffix says."""
    Image.fromarray(sheet(images.detach(), columns)).save(path, quality=92)

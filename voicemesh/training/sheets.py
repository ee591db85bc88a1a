"""Sheets of samples: pictures of a batch in one file, to look at while a net learns."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from voicemesh.images.sheets import save, tiled
from voicemesh.latent.projection import pixels_of


def sheet(
    images: Float[Tensor, "batch 3 height width"], columns: int = 8
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Images in [-1, 1] row by row; places without one are white."""
    return tiled(pixels_of(images), columns)


def save_sheet(path: Path, images: Float[Tensor, "batch 3 height width"], columns: int = 8) -> None:
    """Write a sheet as the file's suffix says."""
    save(path, sheet(images.detach(), columns))

"""Face photographs: read, crop, align, and scale to what each net was trained on."""

import os
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

Picture = UInt8[np.ndarray, "_ _ 3"]  # rows, columns; R, G, B
MIDDLE = 127.5  # pixel value that becomes 0; 0 and 255 become -1 and 1
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # none that runs a program
SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .png .tif .tiff .webp".split())
PIXELS = 50_000_000  # of the largest photograph that is read
ARCFACE_POINTS = (  # eyes, nose tip, mouth corners in a picture of 112 x 112
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
# All that Pillow raises on files that are no pictures, or damaged ones.
MALFORMED = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)
COEFFICIENT_BITS = 11  # of OpenCV's fixed-point bilinear weights


class UnusablePhotograph(ValueError):
    """A photograph that cannot be used; the message holds the file's name and no folder."""


@dataclass(frozen=True)
class Convention:
    """How a net wants its pictures: the side in pixels, the channel order, the way to scale.

    `keep_aspect` scales to fit inside the square, bilinearly without widening (OpenCV's way);
    otherwise the picture is stretched to the square bicubically, widened where it shrinks
    (Pillow's way). What the picture then leaves free of the square is filled with grey (0).
    """

    side: int
    bgr: bool = False
    keep_aspect: bool = False


CONVENTIONS = {
    "sss": Convention(112, bgr=True, keep_aspect=True),
    "cmpc": Convention(224),
    "cmpc2": Convention(256),
}


def read(source: str | os.PathLike[str] | bytes, name: str | None = None) -> Picture:
    """A photograph upright, in R, G, B; transparent parts become white.

    Raises:
        UnusablePhotograph: no such file, no picture, or one of too many pixels.
    """
    name = name or ("The photograph" if isinstance(source, bytes) else Path(source).name)
    try:
        opened = BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(opened, formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise UnusablePhotograph(
                    f"{name} has {image.width} x {image.height} pixels; {PIXELS / 1e6:.0f} million"
                    " are the most that is read. Scale it down first."
                )
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits: Pillow would clip them to white
                deep = np.asarray(upright, np.float32) / 257
                upright = Image.fromarray(deep.clip(0, 255).astype(np.uint8))
            if "A" in upright.getbands() or "transparency" in upright.info:
                canvas = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(canvas, upright.convert("RGBA"))
            return np.asarray(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise UnusablePhotograph(f"There is no photograph {name}") from error
    except UnusablePhotograph:
        raise
    except (*MALFORMED, Image.DecompressionBombError) as error:
        raise UnusablePhotograph(f"{name} cannot be read as a picture") from error


def prepare(picture: Picture, convention: Convention) -> Float[Tensor, "3 side side"]:
    """One picture as a net's input: scaled to the square, in [-1, 1], channels first."""
    whole = scale(picture, convention)
    _, height, width = whole.shape
    square = torch.zeros(3, convention.side, convention.side)
    top, left = (convention.side - height) // 2, (convention.side - width) // 2
    square[:, top : top + height, left : left + width] = whole
    return square


def scale(picture: Picture, convention: Convention) -> Float[Tensor, "3 _ _"]:
    """`prepare` without the filling: a picture that keeps its aspect need not come out square."""
    side = convention.side
    if convention.keep_aspect:
        height, width = picture.shape[:2]
        longest = max(height, width)
        size = max(1, height * side // longest), max(1, width * side // longest)
        scaled = bilinear(picture, size)
    else:
        resized = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
        scaled = np.asarray(resized)
    if convention.bgr:
        scaled = scaled[:, :, ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(scaled, np.float32)).permute(2, 0, 1)
    return ((pixels - MIDDLE) / MIDDLE).contiguous()


def bilinear(picture: Picture, size: tuple[int, int]) -> Picture:
    """Scale to `size` (height, width), each pixel from its four neighbours and no more.

    In the fixed point of OpenCV, which the published pictures went through.
    """
    rows, row_weights = taps(picture.shape[0], size[0])
    columns, column_weights = taps(picture.shape[1], size[1])
    values = picture.astype(np.int32)
    wide = (values[:, columns] * column_weights[None, :, :, None]).sum(2)
    tall = ((wide[rows] >> 4) * row_weights[:, :, None, None]) >> 16
    return np.clip((tall.sum(1) + 2) >> 2, 0, 255).astype(np.uint8)


def taps(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """The two neighbours of every new position and their integer weights, at the edge one twice."""
    position = (np.arange(after) + 0.5) * (before / after) - 0.5
    first = np.floor(position).astype(np.int64)
    second_share = (position - first).astype(np.float32)
    second_share[(first < 0) | (first >= before - 1)] = 0
    first = first.clip(0, before - 1)
    second = (first + 1).clip(0, before - 1)
    whole = 1 << COEFFICIENT_BITS
    weights = np.rint(np.stack([1 - second_share, second_share], 1) * whole).astype(np.int32)
    return np.stack([first, second], 1), weights


def square(picture: Picture, centre: tuple[float, float], side: float) -> Picture:
    """A square crop about `centre` (x, y) in pixels; beyond the picture its edge is repeated.

    Raises:
        ValueError: the square does not touch the picture.
    """
    size = max(1, round(side))
    left, top = round(centre[0] - size / 2), round(centre[1] - size / 2)
    height, width = picture.shape[:2]
    if left >= width or top >= height or left + size <= 0 or top + size <= 0:
        raise ValueError(
            f"A square of {size} pixels about {centre} lies outside a picture of {width} x {height}"
        )
    rows = np.arange(top, top + size).clip(0, height - 1)
    columns = np.arange(left, left + size).clip(0, width - 1)
    return picture[rows[:, None], columns]


def middle(picture: Picture) -> Picture:
    """The largest square in the middle, for pictures that are face crops already."""
    height, width = picture.shape[:2]
    return square(picture, (width / 2, height / 2), min(height, width))


def align(
    picture: Picture,
    points: Float[np.ndarray, "points 2"],
    targets: Float[np.ndarray, "points 2"],
    side: int,
) -> Picture:
    """Turn, scale and move a picture so that `points` (x, y) come to lie on `targets`.

    The similarity is the least-squares one. The result is `side` pixels square; what lies beyond
    the picture is grey.
    """
    matrix = similarity(np.asarray(targets, np.float64), np.asarray(points, np.float64))
    image = Image.fromarray(picture)
    shrink = np.hypot(*matrix[0, :2])  # photograph pixels per result pixel
    if shrink > 2:  # a transform looks at four pixels only; average first what it would skip
        image = image.reduce(int(shrink))
        ratio = np.array([image.width / picture.shape[1], image.height / picture.shape[0]])
        matrix = matrix * ratio[:, None]
    turned = image.transform(
        (side, side),
        Image.Transform.AFFINE,
        tuple(matrix.ravel()),
        Image.Resampling.BILINEAR,
        fillcolor=(128, 128, 128),
    )
    return np.asarray(turned)


def similarity(
    points: Float[np.ndarray, "points 2"], targets: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "2 3"]:
    """The turn, scale and shift [2, 3] that brings `points` nearest to `targets`, no mirroring.

    Raises:
        ValueError: all points are one.
    """
    start, end = (p @ np.array([1, 1j]) for p in (points, targets))
    spread = np.abs(start - start.mean()) ** 2
    if not spread.sum():
        raise ValueError("At least two different points are needed to align a picture")
    turn = (np.conj(start - start.mean()) * (end - end.mean())).sum() / spread.sum()
    shift = end.mean() - turn * start.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])

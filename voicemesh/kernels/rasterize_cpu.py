"""The CPU form of `rasterize`: compiled row bands, each scanning all triangles for its own rows.

Bands share nothing, release the interpreter lock and use no thread pool of the compiler, so any
number of threads may call at once. Compiled on first use, then kept in the compiler's cache.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from .compiling import compiled
from .rasterize import EMPTY, EMPTY_DEPTH, Fragments

BAND_PIXELS = 160_000  # below this a second band costs more than it saves


def rasterize_cpu(
    vertices: Float32[Tensor, "v 3"],
    triangles: Int[Tensor, "t 3"],
    size: tuple[int, int],
    bands: int | None = None,
) -> Fragments:
    """`rasterize` of float32 tensors on the CPU, in `bands` threads; None chooses by image size."""
    height, width = size
    points = vertices.detach().contiguous().numpy()
    corners = triangles.to(torch.int32).contiguous().numpy()
    triangle = np.full(size, EMPTY, dtype=np.int32)
    weights = np.zeros((height, width, 3), dtype=np.float32)
    depth = np.full(size, EMPTY_DEPTH, dtype=np.float32)

    def draw(first: int, last: int) -> None:
        _draw_rows(points, corners, triangle, depth, first, last)
        _weigh_rows(points, corners, triangle, weights, first, last)

    if bands is None:
        bands = min(torch.get_num_threads(), 1 + height * width // BAND_PIXELS, 8)
    edges = _band_edges(points, height, bands)
    if len(edges) == 2:
        draw(0, height)
    else:
        with ThreadPoolExecutor(len(edges) - 1) as pool:
            list(pool.map(draw, edges[:-1], edges[1:]))
    return Fragments(*(torch.from_numpy(array) for array in (triangle, weights, depth)))


def interpolate_cpu(
    fragments: Fragments,
    triangles: Int[Tensor, "t 3"],
    attributes: Float32[Tensor, "v channel"],
) -> Float32[Tensor, "height width channel"]:
    """`interpolate` of float32 tensors on the CPU."""
    image = torch.zeros(*fragments.triangle.shape, attributes.shape[1])
    _interpolate(
        fragments.triangle.contiguous().numpy(),
        fragments.weights.contiguous().numpy(),
        triangles.to(torch.int32).contiguous().numpy(),
        attributes.detach().contiguous().numpy(),
        image.numpy(),
    )
    return image


def warm_up() -> None:
    """Compile, or load from the compiler's cache, before the first picture is asked for."""
    vertices = torch.tensor([[0.0, 0, 0], [0, 2, 0], [2, 0, 0]])
    triangles = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    interpolate_cpu(rasterize_cpu(vertices, triangles, (2, 2)), triangles, vertices)


def _band_edges(points: Float[np.ndarray, "v 3"], height: int, bands: int) -> list[int]:
    """Rows at which bands begin and end; equal shares of the rows that the mesh spans."""
    if bands < 2 or not len(points):
        return [0, height]
    rows = points[np.isfinite(points[:, 1]), 1]
    top, bottom = (rows.min(), rows.max()) if len(rows) else (0.0, 0.0)
    inner = np.linspace(top, bottom, bands + 1)[1:-1].round().clip(0, height)
    return sorted({0, *(int(edge) for edge in inner), height})


@compiled(nogil=True)
@no_type_check
def _draw_rows(points, triangles, triangle, depth, first, last):
    # Depth and nearest triangle of the rows first <= y < last. Loop invariants are lifted out
    # without changing the order of any rounding.
    width = depth.shape[1]
    zero, one = np.float32(0), np.float32(1)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ya, yb, yc = points[a, 1], points[b, 1], points[c, 1]
        top, bottom = min(ya, min(yb, yc)), max(ya, max(yb, yc))
        if not (top < last and bottom > first - 1):  # also refuses NaN
            continue
        xa, xb, xc = points[a, 0], points[b, 0], points[c, 0]
        left, right = min(xa, min(xb, xc)), max(xa, max(xb, xc))
        if not (left < width and right > -1):
            continue
        if not math.isfinite(xa + xb + xc + ya + yb + yc):
            continue
        x0, y0, x1, y1 = xc - xa, yc - ya, xb - xa, yb - ya
        d00, d01, d11 = x0 * x0 + y0 * y0, x0 * x1 + y0 * y1, x1 * x1 + y1 * y1
        determinant = d00 * d11 - d01 * d01
        inverse = zero if determinant == zero else one / determinant
        extent = right - left + bottom - top
        # Clipped before they become integers, which hold less than floats.
        top, bottom = max(top, np.float32(-1)), min(bottom, np.float32(last))
        left, right = max(left, np.float32(-1)), min(right, np.float32(width))
        row0, row1 = math.floor(top), math.ceil(bottom)
        column0, column1 = math.floor(left), math.ceil(right)
        longest = max(d00, d11)
        if determinant > np.float32(0.01) * longest * longest:
            # No sliver: rounding cannot move an edge by more than a thousandth of its length, so
            # samples farther than ten times that outside the corners need no test.
            slack = np.float32(0.01) * (one + extent)
            row0, row1 = max(row0, math.ceil(top - slack)), min(row1, math.floor(bottom + slack))
            column0 = max(column0, math.ceil(left - slack))
            column1 = min(column1, math.floor(right + slack))
        row0, row1 = max(row0, first), min(row1, last - 1)
        column0, column1 = max(column0, 0), min(column1, width - 1)
        if row0 > row1 or column0 > column1:
            continue
        za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
        for row in range(row0, row1 + 1):
            y2 = np.float32(row) - ya
            y02, y12 = y0 * y2, y1 * y2
            for column in range(column0, column1 + 1):
                x2 = np.float32(column) - xa
                d02, d12 = x0 * x2 + y02, x1 * x2 + y12
                u = (d11 * d02 - d01 * d12) * inverse
                v = (d00 * d12 - d01 * d02) * inverse
                if u >= zero and v >= zero and u + v < one:
                    z = (one - u - v) * za + v * zb + u * zc
                    if z > depth[row, column]:
                        depth[row, column] = z
                        triangle[row, column] = t


@compiled(nogil=True)
@no_type_check
def _weigh_rows(points, triangles, triangle, weights, first, last):
    # Corner weights of the triangles that stayed visible, by the arithmetic of _draw_rows.
    zero, one = np.float32(0), np.float32(1)
    for row in range(first, last):
        for column in range(triangle.shape[1]):
            t = triangle[row, column]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            xa, ya = points[a, 0], points[a, 1]
            x0, y0 = points[c, 0] - xa, points[c, 1] - ya
            x1, y1 = points[b, 0] - xa, points[b, 1] - ya
            d00, d01, d11 = x0 * x0 + y0 * y0, x0 * x1 + y0 * y1, x1 * x1 + y1 * y1
            determinant = d00 * d11 - d01 * d01
            inverse = zero if determinant == zero else one / determinant
            x2, y2 = np.float32(column) - xa, np.float32(row) - ya
            d02, d12 = x0 * x2 + y0 * y2, x1 * x2 + y1 * y2
            u = (d11 * d02 - d01 * d12) * inverse
            v = (d00 * d12 - d01 * d02) * inverse
            weights[row, column, 0] = one - u - v
            weights[row, column, 1] = v
            weights[row, column, 2] = u


@compiled(nogil=True)
@no_type_check
def _interpolate(triangle, weights, triangles, attributes, image):
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            t = triangle[row, column]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            w0, w1, w2 = weights[row, column, 0], weights[row, column, 1], weights[row, column, 2]
            for k in range(attributes.shape[1]):
                image[row, column, k] = (
                    w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]
                )

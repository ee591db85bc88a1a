"""Triton kernels of `rasterize`: depth and triangle in one 64-bit word, the largest wins.

Latency and atomics are the roof, not bytes: 48 a triangle, 28 a pixel of the image (8 of keys
cleared, 8 read, 20 written: 10 us for 1024 x 1024) and one 64-bit atomic for every pixel that a
triangle covers. Triangles as small as those of a mesh are drawn many a program; a triangle whose
box is wide waits in a queue, which a second kernel shares out by pieces of boxes, so that none
holds a program up.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from .rasterize import EMPTY_DEPTH, Fragments

TRIANGLES = 16  # per program: two triangles a lane, whose numbers fill its registers
WINDOW = 4  # pixels a side that a triangle's lanes cover at once
WIDE = 32  # pixels a side from which on a triangle's box is shared out
PIECE = (8, 64)  # pixels of a shared box that a program draws at once
SHARES = 16  # programs per shared box
PROGRAMS = 2048  # of the kernel that draws shared boxes
PIXELS = 512  # per program of the last kernel
LAST = tl.constexpr(0x7FFFFFFF)  # triangle t is stored as t ^ LAST: the first of equals wins
NOTHING = tl.constexpr(0xFFFFFFFF)  # low word of an empty pixel, above every stored triangle
FARTHEST = tl.constexpr(EMPTY_DEPTH)


@triton.jit
@no_type_check
def _ordered(depth):
    # The bits of a float as a signed integer of the same order; both zeros are one.
    bits = tl.where(depth == 0, 0.0, depth).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@triton.jit
@no_type_check
def _edges(vertices, a, b, c, live):
    # Corner p0, its edges (p2 - p0) and (p1 - p0), and what the barycentric formula needs of them.
    xa = tl.load(vertices + a * 3, mask=live, other=0.0)
    ya = tl.load(vertices + a * 3 + 1, mask=live, other=0.0)
    x1 = tl.load(vertices + b * 3, mask=live, other=0.0) - xa
    y1 = tl.load(vertices + b * 3 + 1, mask=live, other=0.0) - ya
    x0 = tl.load(vertices + c * 3, mask=live, other=0.0) - xa
    y0 = tl.load(vertices + c * 3 + 1, mask=live, other=0.0) - ya
    d00 = x0 * x0 + y0 * y0
    d01 = x0 * x1 + y0 * y1
    d11 = x1 * x1 + y1 * y1
    determinant = d00 * d11 - d01 * d01
    flat = determinant == 0
    inverse = tl.where(flat, 0.0, tl.div_rn(1.0, tl.where(flat, 1.0, determinant)))
    return xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse


@triton.jit
@no_type_check
def _coordinates(x2, y2, x0, y0, x1, y1, d00, d01, d11, inverse):
    # (u, v) of p0 + (x2, y2).
    d02 = x0 * x2 + y0 * y2
    d12 = x1 * x2 + y1 * y2
    return (d11 * d02 - d01 * d12) * inverse, (d00 * d12 - d01 * d02) * inverse


@triton.jit
@no_type_check
def _box(vertices, a, b, c, live, height, width):
    # The pixels that a triangle may cover, none if left > right.
    xa = tl.load(vertices + a * 3, mask=live, other=0.0)
    xb = tl.load(vertices + b * 3, mask=live, other=0.0)
    xc = tl.load(vertices + c * 3, mask=live, other=0.0)
    ya = tl.load(vertices + a * 3 + 1, mask=live, other=0.0)
    yb = tl.load(vertices + b * 3 + 1, mask=live, other=0.0)
    yc = tl.load(vertices + c * 3 + 1, mask=live, other=0.0)
    total = xa + xb + xc + ya + yb + yc
    # Clipped before they become integers, which hold less than floats.
    left = tl.minimum(tl.maximum(tl.minimum(xa, tl.minimum(xb, xc)), 0.0), width)
    right = tl.maximum(tl.minimum(tl.maximum(xa, tl.maximum(xb, xc)), width - 1.0), -1.0)
    top = tl.minimum(tl.maximum(tl.minimum(ya, tl.minimum(yb, yc)), 0.0), height)
    bottom = tl.maximum(tl.minimum(tl.maximum(ya, tl.maximum(yb, yc)), height - 1.0), -1.0)
    left, right = tl.floor(left).to(tl.int32), tl.ceil(right).to(tl.int32)
    top, bottom = tl.floor(top).to(tl.int32), tl.ceil(bottom).to(tl.int32)
    finite = total - total == 0
    live = live & finite & (left <= right) & (top <= bottom)
    return left, tl.where(live, right, left - 1), top, tl.where(live, bottom, top - 1)


@triton.jit
@no_type_check
def _draw(
    keys, t, row, column, inside, width,
    za, zb, zc, xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse,
):  # fmt: skip
    # Let triangles t have the pixels (row, column) that they cover and nothing nearer has.
    x2, y2 = column.to(tl.float32) - xa, row.to(tl.float32) - ya
    u, v = _coordinates(x2, y2, x0, y0, x1, y1, d00, d01, d11, inverse)
    z = (1.0 - u - v) * za + v * zb + u * zc
    inside = inside & (u >= 0) & (v >= 0) & (u + v < 1) & (z > FARTHEST)
    key = (_ordered(z).to(tl.int64) << 32) | (t ^ LAST).to(tl.int64)
    tl.atomic_max(keys + row.to(tl.int64) * width + column, key, mask=inside, sem="relaxed")


@triton.jit(do_not_specialize=["count", "height", "width"])
@no_type_check
def _draw_kernel(
    vertices,  # [v, 3] float32
    triangles,  # [t, 3] int32
    keys,  # [height, width] int64: ordered depth above, LAST - triangle below
    queue,  # [1 + t] int32: how many boxes are wide, and whose; out
    count,  # t
    height,
    width,
    TRIANGLES: tl.constexpr,
    WINDOW: tl.constexpr,
    WIDE: tl.constexpr,
):
    # One program per TRIANGLES triangles; lanes are triangles x window pixels, and the window
    # walks over the largest box of the block.
    t = tl.program_id(0) * TRIANGLES + tl.arange(0, TRIANGLES)
    live = t < count
    a = tl.load(triangles + t * 3, mask=live, other=0).to(tl.int64)
    b = tl.load(triangles + t * 3 + 1, mask=live, other=0).to(tl.int64)
    c = tl.load(triangles + t * 3 + 2, mask=live, other=0).to(tl.int64)
    left, right, top, bottom = _box(vertices, a, b, c, live, height, width)
    large = (right - left >= WIDE) | (bottom - top >= WIDE)
    waiting = tl.sum(large.to(tl.int32), 0)
    if waiting > 0:
        place = tl.atomic_add(queue, waiting, sem="relaxed") + tl.cumsum(large.to(tl.int32), 0)
        tl.store(queue + place, t, mask=large)
    live = live & (left <= right) & (large == 0)
    za = tl.load(vertices + a * 3 + 2, mask=live, other=0.0)[:, None]
    zb = tl.load(vertices + b * 3 + 2, mask=live, other=0.0)[:, None]
    zc = tl.load(vertices + c * 3 + 2, mask=live, other=0.0)[:, None]
    a, b, c = a[:, None], b[:, None], c[:, None]
    xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse = _edges(vertices, a, b, c, live[:, None])
    wide = tl.max(tl.where(live, right - left + 1, 0), 0)
    high = tl.max(tl.where(live, bottom - top + 1, 0), 0)
    lane = tl.arange(0, WINDOW * WINDOW)[None, :]
    for down in range(0, high, WINDOW):
        for across in range(0, wide, WINDOW):
            column = left[:, None] + across + lane % WINDOW
            row = top[:, None] + down + lane // WINDOW
            inside = live[:, None] & (column <= right[:, None]) & (row <= bottom[:, None])
            _draw(
                keys, t[:, None], row, column, inside, width,
                za, zb, zc, xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse,
            )  # fmt: skip


@triton.jit(do_not_specialize=["height", "width"])
@no_type_check
def _draw_wide_kernel(
    vertices,  # [v, 3] float32
    triangles,  # [t, 3] int32
    keys,  # [height, width] int64
    queue,  # [1 + t] int32
    height,
    width,
    SHARES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    # Every SHARES programs take one triangle of the queue after the other, each every SHARES-th
    # piece of ROWS x COLUMNS pixels of its box.
    each = tl.num_programs(0) // SHARES
    pixel = tl.arange(0, ROWS * COLUMNS)
    for place in range(tl.program_id(0) // SHARES, tl.load(queue), each):
        t = tl.load(queue + 1 + place)
        a = tl.load(triangles + t * 3).to(tl.int64)
        b = tl.load(triangles + t * 3 + 1).to(tl.int64)
        c = tl.load(triangles + t * 3 + 2).to(tl.int64)
        left, right, top, bottom = _box(vertices, a, b, c, a >= 0, height, width)
        za = tl.load(vertices + a * 3 + 2)
        zb = tl.load(vertices + b * 3 + 2)
        zc = tl.load(vertices + c * 3 + 2)
        xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse = _edges(vertices, a, b, c, a >= 0)
        across = tl.cdiv(right - left + 1, COLUMNS)
        pieces = across * tl.cdiv(bottom - top + 1, ROWS)
        for piece in range(tl.program_id(0) % SHARES, pieces, SHARES):
            column = left + piece % across * COLUMNS + pixel % COLUMNS
            row = top + piece // across * ROWS + pixel // COLUMNS
            inside = (column <= right) & (row <= bottom)
            _draw(
                keys, t, row, column, inside, width,
                za, zb, zc, xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse,
            )  # fmt: skip


@triton.jit(do_not_specialize=["pixels", "width"])
@no_type_check
def _resolve_kernel(
    vertices,  # [v, 3] float32
    triangles,  # [t, 3] int32
    keys,  # [height, width] int64
    triangle,  # [height, width] int32, out
    weights,  # [height, width, 3] float32, out
    depth,  # [height, width] float32, out
    pixels,  # height * width
    width,
    PIXELS: tl.constexpr,
):
    # One program per PIXELS pixels: unpack the winner, weigh its corners again.
    i = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = i < pixels
    low = tl.load(keys + i, mask=inside, other=NOTHING) & NOTHING
    live = inside & (low != NOTHING)
    t = tl.where(live, low ^ LAST, 0)
    a = tl.load(triangles + t * 3, mask=live, other=0).to(tl.int64)
    b = tl.load(triangles + t * 3 + 1, mask=live, other=0).to(tl.int64)
    c = tl.load(triangles + t * 3 + 2, mask=live, other=0).to(tl.int64)
    xa, ya, x0, y0, x1, y1, d00, d01, d11, inverse = _edges(vertices, a, b, c, live)
    x2 = (i % width).to(tl.float32) - xa
    y2 = (i // width).to(tl.float32) - ya
    u, v = _coordinates(x2, y2, x0, y0, x1, y1, d00, d01, d11, inverse)
    w = 1.0 - u - v
    za = tl.load(vertices + a * 3 + 2, mask=live, other=0.0)
    zb = tl.load(vertices + b * 3 + 2, mask=live, other=0.0)
    zc = tl.load(vertices + c * 3 + 2, mask=live, other=0.0)
    tl.store(triangle + i, tl.where(live, t, -1).to(tl.int32), mask=inside)
    # Weights as rows of four lanes of which three write: neighbours in memory, not three apart.
    corner = tl.arange(0, 4)[None, :]
    shares = tl.where(corner == 0, w[:, None], tl.where(corner == 1, v[:, None], u[:, None]))
    out = weights + i.to(tl.int64)[:, None] * 3 + corner
    shares = tl.where(live[:, None], shares, 0.0)
    tl.store(out, shares, mask=inside[:, None] & (corner < 3))
    tl.store(depth + i, tl.where(live, w * za + v * zb + u * zc, FARTHEST), mask=inside)


def rasterize_triton(
    vertices: Float[Tensor, "v 3"],
    triangles: Int[Tensor, "t 3"],
    size: tuple[int, int],
    block: int = TRIANGLES,
    window: int = WINDOW,
    pixels: int = PIXELS,
    programs: int = PROGRAMS,
) -> Fragments:
    """`rasterize` by three kernels in float32; the block sizes are powers of two."""
    height, width = size
    points = vertices.detach().float().contiguous()
    corners = triangles.int().contiguous()
    keys = torch.full(size, _empty_key(), dtype=torch.int64, device=points.device)
    triangle = torch.empty(size, dtype=torch.int32, device=points.device)
    weights = points.new_empty(height, width, 3)
    depth = points.new_empty(height, width)
    # Without contraction to fused multiply-adds the GPU rounds as every other form does.
    exact = {"enable_fp_fusion": False}
    with torch.cuda.device_of(points):
        if len(corners):
            queue = torch.zeros(1 + len(corners), dtype=torch.int32, device=points.device)
            mesh = points, corners, keys, queue
            grid = (triton.cdiv(len(corners), block),)
            _draw_kernel[grid](*mesh, len(corners), height, width, block, window, WIDE, **exact)
            if max(size) > WIDE:
                shares = min(SHARES, programs)
                _draw_wide_kernel[(programs,)](*mesh, height, width, shares, *PIECE, **exact)
        _resolve_kernel[(triton.cdiv(height * width, pixels),)](
            points, corners, keys, triangle, weights, depth, height * width, width, pixels, **exact
        )
    return Fragments(triangle, weights, depth)


def _empty_key() -> int:
    """The word of a pixel at EMPTY_DEPTH that no triangle has won."""
    bits = int(torch.tensor(EMPTY_DEPTH, dtype=torch.float32).view(torch.int32))
    return ((bits ^ 0x7FFFFFFF) << 32) | 0xFFFFFFFF

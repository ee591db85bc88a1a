"""Triton kernels of `bias_act`: one pass forward, one pass for all its gradients.

Memory is the roof: forward reads x and writes y (8 bytes a value in float32, 4 in half precision)
for five operations; backward reads the gradient, the side and, where the scale learns, x, and
writes the gradient by x (12 or 16 bytes). Vectors, noise maps and sums are small beside that.
"""

from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

TILE = 2048  # values per program and step: 16 a lane, so that enough reads are under way
PROGRAMS = 4096  # from so many on, a program of the gradient sums over several tiles
CHUNK = 16  # of which at most


@triton.jit
@no_type_check
def _tile(program, channels, space, blocks_s, blocks_c, ROWS, COLUMNS, LAST):
    # Item, places and channels of a program; neighbouring programs lie side by side in memory.
    if LAST:
        c = program % blocks_c
        s = program // blocks_c % blocks_s
    else:
        s = program % blocks_s
        c = program // blocks_s % blocks_c
    n = (program // (blocks_s * blocks_c)).to(tl.int64)
    return n, s, c * COLUMNS + tl.arange(0, COLUMNS)[None, :]


@triton.jit(do_not_specialize_on_alignment=["blocks_s", "blocks_c"])
@no_type_check
def _bias_act_kernel(
    x,  # [batch, space, channels] in this order of strides or with the last two exchanged
    bias,  # [channels] or None
    scale,  # [batch, channels] or None
    noise,  # [noises, space] or None
    strength,  # [1] or None
    side,  # like x: its sign tells the side; None for the result's own
    y,  # like x, out
    channels,
    space,
    noise_step,  # from the noise of an item to that of the next one; 0 if all share one map
    stride_s,
    stride_c,
    blocks_s,
    blocks_c,
    above: "fp64",  # m where the side is positive
    below: "fp64",
    SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    LAST: tl.constexpr,
):
    # One program per tile of ROWS places and COLUMNS channels of an item. Forward: y = m v with
    # v = scale x + noise + bias and m by the sign of v. With a side: m by that, which is the
    # gradient (x = dy, no noise nor bias) and the gradient of the gradient as well.
    n, block, c = _tile(tl.program_id(0), channels, space, blocks_s, blocks_c, ROWS, COLUMNS, LAST)
    s = block * ROWS + tl.arange(0, ROWS)[:, None]
    mask = (s < space) & (c < channels)
    place = n * space * channels + s.to(tl.int64) * stride_s + c.to(tl.int64) * stride_c
    v = tl.load(x + place, mask=mask, other=0.0).to(SUMS)
    if scale is not None:
        v *= tl.load(scale + n * channels + c, mask=c < channels, other=0.0).to(SUMS)
    if noise is not None:
        added = tl.load(noise + n * noise_step + s, mask=s < space, other=0.0).to(SUMS)
        v += added * tl.load(strength).to(SUMS)
    if bias is not None:
        v += tl.load(bias + c, mask=c < channels, other=0.0).to(SUMS)
    sign = v
    if side is not None:
        sign = tl.load(side + place, mask=mask, other=0.0).to(SUMS)
    v *= tl.where(sign > 0, tl.full((1, 1), above, SUMS), tl.full((1, 1), below, SUMS))
    tl.store(y + place, v.to(y.dtype.element_ty), mask=mask)


@triton.jit(
    do_not_specialize=["batch", "steps"],
    do_not_specialize_on_alignment=["blocks_s", "blocks_c"],
)
@no_type_check
def _gradient_kernel(
    gradient,  # of the result, like x
    side,  # the result, or None where both sides are alike
    x,  # or None where the scale wants no gradient
    scale,  # [batch, channels] or None
    noise,  # [noises, space] or None
    back,  # gradient by x, out
    partial,  # [blocks_s, 3, batch, channels]: sums of h, h x and h noise, out
    batch,
    channels,
    space,
    noise_step,
    stride_s,
    stride_c,
    blocks_s,
    blocks_c,
    steps,
    above: "fp64",
    below: "fp64",
    SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    LAST: tl.constexpr,
):
    # One program per `steps` tiles, one below the other: back = scale h with h = m gradient. Lanes
    # sum for themselves and meet once at the end; programs leave `partial`, which is added in one
    # fixed order.
    n, block, c = _tile(tl.program_id(0), channels, space, blocks_s, blocks_c, ROWS, COLUMNS, LAST)
    known = c < channels
    factor = tl.full((1, COLUMNS), 1.0, SUMS)
    if scale is not None:
        factor = tl.load(scale + n * channels + c, mask=known, other=0.0).to(SUMS)
    upper, lower = tl.full((1, 1), above, SUMS), tl.full((1, 1), below, SUMS)
    of_h = tl.zeros((ROWS, COLUMNS), SUMS)
    of_x = tl.zeros((ROWS, COLUMNS), SUMS)
    of_noise = tl.zeros((ROWS, COLUMNS), SUMS)
    for step in range(steps):
        s = (block * steps + step) * ROWS + tl.arange(0, ROWS)[:, None]
        mask = (s < space) & known
        place = n * space * channels + s.to(tl.int64) * stride_s + c.to(tl.int64) * stride_c
        h = tl.load(gradient + place, mask=mask, other=0.0).to(SUMS)
        if side is not None:
            sign = tl.load(side + place, mask=mask, other=0.0).to(SUMS)
            h *= tl.where(sign > 0, upper, lower)
        else:
            h *= upper
        of_h += h
        if x is not None:
            of_x += h * tl.load(x + place, mask=mask, other=0.0).to(SUMS)
        if noise is not None:
            added = noise + n * noise_step + s
            of_noise += h * tl.load(added, mask=s < space, other=0.0).to(SUMS)
        tl.store(back + place, (h * factor).to(back.dtype.element_ty), mask=mask)
    out = partial + (block.to(tl.int64) * 3 * batch + n) * channels + c
    tl.store(out, tl.sum(of_h, 0)[None, :], mask=known)
    if x is not None:
        tl.store(out + batch * channels, tl.sum(of_x, 0)[None, :], mask=known)
    if noise is not None:
        tl.store(out + 2 * batch * channels, tl.sum(of_noise, 0)[None, :], mask=known)


class _Layout(NamedTuple):
    """How the maps of one call lie in memory, and the tile that reads them in order."""

    format: torch.memory_format
    strides: tuple[int, int]  # of a place and of a channel
    rows: int
    columns: int
    last: bool  # whether channels lie side by side

    @classmethod
    def of(cls, like: Float[Tensor, "batch channel *space"], tile: int) -> "_Layout":
        channels, space = like.shape[1], max(1, like.shape[2:].numel())
        widest = triton.next_power_of_2(max(1, channels))
        nhwc = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
        nhwc = nhwc and not like.is_contiguous()
        if nhwc or space == 1:
            columns = min(widest, tile if space == 1 else 64)
            rows = min(triton.next_power_of_2(space), max(1, tile // columns))
            layout = torch.channels_last if nhwc else torch.contiguous_format
            return cls(layout, (channels, 1), rows, columns, True)
        rows = min(triton.next_power_of_2(space), tile)
        columns = min(widest, tile // rows)
        return cls(torch.contiguous_format, (1, space), rows, columns, False)

    def given(self, maps: Tensor | None) -> Tensor | None:
        return None if maps is None else maps.detach().contiguous(memory_format=self.format)

    def empty(self, like: Tensor) -> Tensor:
        return torch.empty(
            like.shape, dtype=like.dtype, device=like.device, memory_format=self.format
        )


def bias_act_triton(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None,
    slope: float,
    gain: float,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 *space"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
    side: Float[Tensor, "batch channel *space"] | None = None,
    tile: int = TILE,
) -> Float[Tensor, "batch channel *space"]:
    """`bias_act` by one kernel without its gradient; a `side` tells the side of the rectifier."""
    layout = _Layout.of(x, tile)
    result = layout.empty(x)
    if not x.numel():
        return result
    batch, channels, space = x.shape[0], x.shape[1], x.shape[2:].numel()
    blocks = triton.cdiv(space, layout.rows), triton.cdiv(channels, layout.columns)
    with torch.cuda.device_of(x):
        _bias_act_kernel[(batch * blocks[0] * blocks[1],)](
            layout.given(x),
            _vector(bias),
            _vector(scale),
            _vector(noise),
            _vector(strength),
            layout.given(side),
            result,
            channels,
            space,
            noise_step(noise),
            *layout.strides,
            *blocks,
            float(gain),
            float(gain * slope),
            _sums(x),
            layout.rows,
            layout.columns,
            layout.last,
        )
    return result


def bias_act_gradient_triton(
    gradient: Float[Tensor, "batch channel *space"],
    side: Float[Tensor, "batch channel *space"] | None,
    slope: float,
    gain: float,
    x: Float[Tensor, "batch channel *space"] | None,
    scale: Float[Tensor, "batch channel"] | None,
    noise: Float[Tensor, "noises 1 *space"] | None,
    tile: int = TILE,
    programs: int = PROGRAMS,
) -> tuple[Float[Tensor, "batch channel *space"], Float[Tensor, "sums batch channel"]]:
    """The gradient by x, and three sums over space: of h = m gradient, of h x and of h noise.

    Sums that nothing was given for mean nothing.
    """
    layout = _Layout.of(gradient if side is None else side, tile)
    back = layout.empty(gradient)
    batch, channels, space = *gradient.shape[:2], gradient.shape[2:].numel()
    wide = torch.promote_types(gradient.dtype, torch.float32)
    if not gradient.numel():
        return back, gradient.new_zeros(3, batch, channels, dtype=wide)
    tiles, across = triton.cdiv(space, layout.rows), triton.cdiv(channels, layout.columns)
    steps = min(CHUNK, tiles, max(1, batch * across * tiles // programs))
    chunks = triton.cdiv(tiles, steps)
    partial = gradient.new_empty(chunks, 3, batch, channels, dtype=wide)
    with torch.cuda.device_of(gradient):
        _gradient_kernel[(batch * across * chunks,)](
            layout.given(gradient),
            layout.given(side),
            layout.given(x),
            _vector(scale),
            _vector(noise),
            back,
            partial,
            batch,
            channels,
            space,
            noise_step(noise),
            *layout.strides,
            chunks,
            across,
            steps,
            float(gain),
            float(gain * slope),
            _sums(gradient),
            layout.rows,
            layout.columns,
            layout.last,
        )
    return back, partial[0] if chunks == 1 else partial.sum(0)


def _vector(values: Tensor | None) -> Tensor | None:
    """What is small beside the maps, as the kernel indexes it."""
    return None if values is None else values.detach().contiguous()


def noise_step(noise: Float[Tensor, "noises 1 *space"] | None) -> int:
    """Elements from the noise of an item to that of the next one."""
    return 0 if noise is None or len(noise) == 1 else noise[0].numel()


def _sums(maps: Float[Tensor, "batch channel *space"]) -> tl.dtype:
    """The precision that a program computes in."""
    return tl.float64 if maps.dtype == torch.float64 else tl.float32

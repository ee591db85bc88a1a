"""Triton kernels of `bias_act`: one pass forward, one pass for all its gradients."""

from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

TILE = 2048  # values per program and step
CHUNK = 16  # steps that one program sums over


@triton.jit
@no_type_check
def _scaled(x, bias, scale, noise, n, c, place, channels, space, noises, sums, s, mask):
    # scale x + noise + bias of a tile [s, c] of item n, in the precision of the sums.
    value = tl.load(x + place, mask=mask, other=0.0).to(sums)
    known = (c < channels)[None, :]
    if scale is not None:
        value *= tl.load(scale + n * channels + c[None, :], mask=known, other=0.0).to(sums)
    if noise is not None:
        inside = (s < space)[:, None]
        item = n % noises
        value += tl.load(noise + item * space + s[:, None], mask=inside, other=0.0).to(sums)
    if bias is not None:
        value += tl.load(bias + c[None, :], mask=known, other=0.0).to(sums)
    return value


@triton.jit
@no_type_check
def _bias_act_kernel(
    x,  # [batch, space, channels] in this order of strides or with the last two exchanged
    bias,  # [channels] or None
    scale,  # [batch, channels] or None
    noise,  # [noises, space], strength included, or None
    side,  # like x: its sign tells the side; None for the result's own
    y,  # like x, out
    channels,
    space,
    noises,
    stride_s,
    stride_c,
    above,  # m where the side is positive
    below,
    SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    # One program per tile of ROWS places and COLUMNS channels of an item. Forward: y = m v with
    # v = scale x + noise + bias and m by the sign of v. With a side: m by that, which is the
    # gradient (x = dy, no noise nor bias) and the gradient of the gradient as well.
    blocks = tl.cdiv(channels, COLUMNS)
    n = (tl.program_id(0) // blocks).to(tl.int64)
    c = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)
    s = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    mask = (s < space)[:, None] & (c < channels)[None, :]
    place = n * space * channels + s[:, None] * stride_s + c[None, :] * stride_c
    v = _scaled(x, bias, scale, noise, n, c, place, channels, space, noises, SUMS, s, mask)
    sign = v
    if side is not None:
        sign = tl.load(side + place, mask=mask, other=0.0).to(SUMS)
    tl.store(y + place, (v * tl.where(sign > 0, above, below)).to(y.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def _gradient_kernel(
    gradient,  # of the result, like x
    side,  # the result, or None where both sides are alike
    x,  # or None where the scale wants no gradient
    scale,  # [batch, channels] or None
    noise,  # [noises, space] or None
    back,  # gradient by x, out
    partial,  # [chunks, 3, batch, channels]: sums of h, h x and h noise, out
    batch,
    channels,
    space,
    noises,
    stride_s,
    stride_c,
    above,
    below,
    SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHUNK: tl.constexpr,
):
    # One program per CHUNK tiles, one below the other: back = scale h with h = m gradient. Sums of
    # chunks are added in a fixed order by who reads `partial`.
    blocks = tl.cdiv(channels, COLUMNS)
    n = (tl.program_id(0) // blocks).to(tl.int64)
    c = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)
    chunk = tl.program_id(1)
    known = c < channels
    of_h = tl.zeros((COLUMNS,), SUMS)
    of_x = tl.zeros((COLUMNS,), SUMS)
    of_noise = tl.zeros((COLUMNS,), SUMS)
    for step in range(CHUNK):
        s = (chunk * CHUNK + step) * ROWS + tl.arange(0, ROWS)
        mask = (s < space)[:, None] & known[None, :]
        place = n * space * channels + s[:, None] * stride_s + c[None, :] * stride_c
        h = tl.load(gradient + place, mask=mask, other=0.0).to(SUMS)
        if side is not None:
            sign = tl.load(side + place, mask=mask, other=0.0).to(SUMS)
            h *= tl.where(sign > 0, above, below)
        else:
            h *= above
        of_h += tl.sum(h, 0)
        if x is not None:
            of_x += tl.sum(h * tl.load(x + place, mask=mask, other=0.0).to(SUMS), 0)
        if noise is not None:
            inside = (s < space)[:, None]
            noise_here = noise + n % noises * space + s[:, None]
            of_noise += tl.sum(h * tl.load(noise_here, mask=inside, other=0.0).to(SUMS), 0)
        if scale is not None:
            h *= tl.load(scale + n * channels + c, mask=known, other=0.0).to(SUMS)[None, :]
        tl.store(back + place, h.to(back.dtype.element_ty), mask=mask)
    out = partial + (chunk * 3 * batch + n) * channels + c
    tl.store(out, of_h, mask=known)
    tl.store(out + batch * channels, of_x, mask=known)
    tl.store(out + 2 * batch * channels, of_noise, mask=known)


class _Layout(NamedTuple):
    """How the maps of one call lie in memory, and the tile that reads them in order."""

    format: torch.memory_format
    strides: tuple[int, int]  # of a place and of a channel
    rows: int
    columns: int

    @classmethod
    def of(cls, like: Float[Tensor, "batch channel *space"], tile: int) -> "_Layout":
        channels, space = like.shape[1], max(1, like.shape[2:].numel())
        nhwc = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
        nhwc = nhwc and not like.is_contiguous()
        if nhwc or space == 1:
            columns = min(triton.next_power_of_2(channels), 64)
            rows = min(triton.next_power_of_2(space), tile // columns)
            layout = torch.channels_last if nhwc else torch.contiguous_format
            return cls(layout, (channels, 1), rows, columns)
        rows = min(triton.next_power_of_2(space), tile)
        return cls(torch.contiguous_format, (1, space), rows, 1)

    def given(self, maps: Tensor | None) -> Tensor | None:
        return None if maps is None else maps.detach().contiguous(memory_format=self.format)


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
    result = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=layout.format)
    batch, channels, space = x.shape[0], x.shape[1], x.shape[2:].numel()
    if not x.numel():
        return result
    grid = (batch * triton.cdiv(channels, layout.columns), triton.cdiv(space, layout.rows))
    if noise is not None and strength is not None:
        noise = noise * strength
    with torch.cuda.device_of(x):
        _bias_act_kernel[grid](
            layout.given(x),
            None if bias is None else bias.detach().contiguous(),
            None if scale is None else scale.detach().contiguous(),
            None if noise is None else noise.detach().contiguous(),
            layout.given(side),
            result,
            channels,
            space,
            1 if noise is None else len(noise),
            *layout.strides,
            float(gain),
            float(gain * slope),
            _sums(x),
            layout.rows,
            layout.columns,
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
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "batch channel *space"], Float[Tensor, "sums batch channel"]]:
    """The gradient by x, and three sums over space: of h = m gradient, of h x and of h noise."""
    layout = _Layout.of(gradient if side is None else side, tile)
    batch, channels, space = *gradient.shape[:2], gradient.shape[2:].numel()
    wide = torch.promote_types(gradient.dtype, torch.float32)
    back = torch.empty(
        gradient.shape, dtype=gradient.dtype, device=gradient.device, memory_format=layout.format
    )
    chunks = triton.cdiv(space, layout.rows * chunk)
    partial = gradient.new_zeros(chunks, 3, batch, channels, dtype=wide)
    if gradient.numel():
        with torch.cuda.device_of(gradient):
            _gradient_kernel[(batch * triton.cdiv(channels, layout.columns), chunks)](
                layout.given(gradient),
                layout.given(side),
                layout.given(x),
                None if scale is None else scale.detach().contiguous(),
                None if noise is None else noise.detach().contiguous(),
                back,
                partial,
                batch,
                channels,
                space,
                1 if noise is None else len(noise),
                *layout.strides,
                float(gain),
                float(gain * slope),
                _sums(gradient),
                layout.rows,
                layout.columns,
                chunk,
            )
    return back, partial.sum(0)


def _sums(maps: Float[Tensor, "batch channel *space"]) -> tl.dtype:
    """The precision that a program computes in."""
    return tl.float64 if maps.dtype == torch.float64 else tl.float32

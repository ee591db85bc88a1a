"""Triton kernel of `upfirdn2d`: a gather that touches only the taps that meet a sample."""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .upfirdn2d import Resampling

BLOCK = 1024  # results per program


@triton.jit
@no_type_check
def _upfirdn2d_kernel(
    x,  # [planes, height, width, step]
    kernel,  # [taps_y, taps_x], turned round, in the precision of the sums
    y,  # [planes, out_height, out_width, step], out
    height,
    width,
    out_height,
    out_width,
    step,  # 1, or the channels where they come last
    before_y,
    before_x,
    turn_y,  # before_y modulo UP_Y, never negative
    turn_x,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    UP_Y: tl.constexpr,
    UP_X: tl.constexpr,
    DOWN_Y: tl.constexpr,
    DOWN_X: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # One program per BLOCK results of one plane. Result i meets tap t at sample (i DOWN + t -
    # before) / UP, where that is whole: tap (before - i DOWN) mod UP first, every UP-th after it.
    # Factors are constants of the compiler, so those of 1 and 2 leave no division behind.
    plane = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    live = place < out_height * out_width * step
    channel = place % step
    j = place // step % out_width
    i = place // step // out_width
    first_y = (turn_y + UP_Y - i * DOWN_Y % UP_Y) % UP_Y
    first_x = (turn_x + UP_X - j * DOWN_X % UP_X) % UP_X
    row = (i * DOWN_Y + first_y - before_y) // UP_Y  # exact, so its sign does not matter
    column = (j * DOWN_X + first_x - before_x) // UP_X
    source = x + plane * height * width * step + channel
    total = tl.zeros((BLOCK,), kernel.dtype.element_ty)
    for a in range((TAPS_Y + UP_Y - 1) // UP_Y):
        tap_y = first_y + a * UP_Y
        inside_y = live & (tap_y < TAPS_Y) & (row + a >= 0) & (row + a < height)
        for b in range((TAPS_X + UP_X - 1) // UP_X):
            tap_x = first_x + b * UP_X
            inside = inside_y & (tap_x < TAPS_X) & (column + b >= 0) & (column + b < width)
            sample = ((row + a) * width + column + b) * step
            value = tl.load(source + sample, mask=inside, other=0.0).to(total.dtype)
            total += value * tl.load(kernel + tap_y * TAPS_X + tap_x, mask=inside, other=0.0)
    out = y + plane * out_height * out_width * step + place
    tl.store(out, total.to(y.dtype.element_ty), mask=live)


def upfirdn2d_triton(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    axes: tuple[Resampling, Resampling],
    block: int = BLOCK,
) -> Float[Tensor, "batch channel out_height out_width"]:
    """`upfirdn2d` by one kernel without its gradient; half precision is summed in float32."""
    batch, channel, height, width = x.shape
    vertical, across = axes
    out_height = vertical.size(height, kernel.shape[0])
    out_width = across.size(width, kernel.shape[1])
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    source = x.detach().contiguous(memory_format=layout)
    shape = batch, channel, out_height, out_width
    filtered = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
    planes, step = (batch, channel) if last else (batch * channel, 1)
    size = out_height * out_width * step
    if not planes or not size:
        return filtered
    sums = torch.promote_types(x.dtype, torch.float32)
    taps = kernel.detach().to(x.device, sums).flip(0, 1).contiguous()
    with torch.cuda.device_of(source):
        _upfirdn2d_kernel[(planes, triton.cdiv(size, block))](
            source,
            taps,
            filtered,
            height,
            width,
            out_height,
            out_width,
            step,
            vertical.before,
            across.before,
            vertical.before % vertical.up,
            across.before % across.up,
            *kernel.shape,
            vertical.up,
            across.up,
            vertical.down,
            across.down,
            block,
        )
    return filtered

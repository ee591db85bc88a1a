"""Triton kernel of `upfirdn2d`, and of the `bias_act` behind it where no gradient is wanted.

Bytes: every sample is read and every result written once, 4 / up^2 + 4 a result in float32 against
2 taps / up^2 operations (32 for 4 x 4 taps). Yet what it takes to issue 16 gathers a result, with
their addresses and masks, would be the roof: a lane therefore works out ROWS results below each
other from registers, every sample it has loaded serves all of them (5.5 loads a result), and
pointers move on by a row. That is 53 instructions a result in float32 and 32 in half precision: on
an H200 0.95 and 1.2 times the bytes' time, 0.6 where the size changes; with `bias_act` behind 1.2
and 1.7, so there issue stays the roof (benchmarks/machine_code.py; not measured).
"""

from math import gcd
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .bias_act_triton import noise_step
from .upfirdn2d import Resampling

ROWS = 8  # results below each other, per lane
LANES = 128  # per program
LONG = 64  # taps from which on strips are short: their code is laid out whole


@triton.jit
@no_type_check
def within(i, size):
    # 0 <= i < size by one comparison: read as unsigned, what is below zero is above every size.
    return i.to(tl.uint32, bitcast=True) < size.to(tl.uint32)


@triton.jit(
    do_not_specialize=["planes", "height", "width", "out_height", "out_width", "noise_step"],
    do_not_specialize_on_alignment=["shift_y", "shift_x", "strips", "blocks"],
)
@no_type_check
def _upfirdn2d_kernel(
    x,  # [planes, height, width, step]
    kernel,  # [taps_y, taps_x], as the caller wrote it
    y,  # [planes, out_height, out_width, step], out
    bias,  # [channels] or None
    scale,  # [batch, channels] or None
    noise,  # [noises, out_height, out_width] or None
    strength,  # [1] or None
    planes,  # batch, or batch * channels where the channels come first
    channels,
    height,
    width,
    out_height,
    out_width,
    step,  # 1, or the channels where they come last
    noise_step,  # from the noise of an item to that of the next one; 0 if all share one map
    strips,  # of ROWS rows, per plane
    blocks,  # of COLUMNS columns, per row
    shift_y,  # floor(-before / UP): the sample of result 0 and tap PHASE
    shift_x,
    above: "fp64",  # gain, and gain * slope
    below: "fp64",
    PLAIN: tl.constexpr,  # whether both are 1
    LAST: tl.constexpr,  # whether the channels come last
    SUMS: tl.constexpr,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    UP_Y: tl.constexpr,
    UP_X: tl.constexpr,
    DOWN_Y: tl.constexpr,
    DOWN_X: tl.constexpr,
    PHASE_Y: tl.constexpr,  # -before modulo UP
    PHASE_X: tl.constexpr,
    ROWS: tl.constexpr,  # ROWS * DOWN_Y is a multiple of UP_Y: every strip begins at one phase
    STRIPS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    # One program per STRIPS strips of COLUMNS columns, a column being a place and its channel.
    # Result i meets tap t at sample (i DOWN + t - before) / UP, where that is whole. Along y all
    # of it is known to the compiler; along x it is the lane's first tap and every UP-th after it.
    place = tl.program_id(0) // blocks * STRIPS + tl.arange(0, STRIPS)[:, None]
    plane = place // strips
    strip = place % strips
    e = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    j = e // step
    c = e % step
    there, along = plane < planes, j < out_width
    live = there & along
    first = (UP_X - (j * DOWN_X + PHASE_X) % UP_X) % UP_X
    column = shift_x + (j * DOWN_X + PHASE_X + first) // UP_X
    row = strip * (ROWS * DOWN_Y // UP_Y) + shift_y
    LOADS: tl.constexpr = (TAPS_X + UP_X - 1) // UP_X
    weights = ()
    for t in tl.static_range(TAPS_Y):
        for b in tl.static_range(LOADS):
            if UP_X == 1:
                weight = tl.load(kernel + (TAPS_Y - 1 - t) * TAPS_X + TAPS_X - 1 - b)
            else:
                tap = first + b * UP_X
                turned = (TAPS_Y - t) * TAPS_X - 1 - tap
                weight = tl.load(kernel + turned, mask=tap < TAPS_X, other=0.0)
            weights += (weight.to(SUMS),)
    sums = ()
    for _ in tl.static_range(ROWS):
        sums += (tl.zeros((STRIPS, COLUMNS), SUMS),)
    # Pointers that move on by a row: one instruction, where a product of 64 bits takes six.
    source = x + plane.to(tl.int64) * height * width * step
    source += row.to(tl.int64) * width * step + (column * step + c)
    for q in tl.static_range(((ROWS - 1) * DOWN_Y + TAPS_Y - 1 + PHASE_Y) // UP_Y + 1):
        here = live & within(row + q, height)
        values = ()
        for b in tl.static_range(LOADS):
            inside = here & within(column + b, width)
            value = tl.load(source + b * step, mask=inside, other=0.0)
            values += (value.to(SUMS),)
        source += width * step
        added = ()
        for k in tl.static_range(ROWS):
            total = sums[k]
            if q * UP_Y >= k * DOWN_Y + PHASE_Y and q * UP_Y < k * DOWN_Y + PHASE_Y + TAPS_Y:
                for b in tl.static_range(LOADS):
                    total += values[b] * weights[(q * UP_Y - k * DOWN_Y - PHASE_Y) * LOADS + b]
            added += (total,)
        sums = added
    # Divided as 32 bits: 64 take a GPU ten times as long.
    n = plane if LAST else plane // channels
    channel = c if LAST else plane % channels
    if scale is not None:
        known = live if LAST else there
        factor = tl.load(scale + n * channels + channel, mask=known, other=0.0).to(SUMS)
    if bias is not None:
        added_bias = tl.load(bias + channel, mask=along if LAST else there, other=0.0).to(SUMS)
    if noise is not None:
        loudness = tl.load(strength).to(SUMS)
        map = noise + n.to(tl.int64) * noise_step + strip * ROWS * out_width + j
    upper, lower = tl.full((1, 1), above, SUMS), tl.full((1, 1), below, SUMS)
    result = y + plane.to(tl.int64) * out_height * out_width * step
    result += (strip * ROWS).to(tl.int64) * out_width * step + e
    for k in tl.static_range(ROWS):
        i = strip * ROWS + k
        stored = live & (i < out_height)
        total = sums[k]
        if scale is not None:
            total *= factor
        if noise is not None:
            total += tl.load(map, mask=stored, other=0.0).to(SUMS) * loudness
            map += out_width
        if bias is not None:
            total += added_bias
        if not PLAIN:
            total *= tl.where(total > 0, upper, lower)
        tl.store(result, total.to(y.dtype.element_ty), mask=stored)
        result += out_width * step


def upfirdn2d_triton(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    axes: tuple[Resampling, Resampling],
    bias: Float[Tensor, " channel"] | None = None,
    slope: float = 1.0,
    gain: float = 1.0,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 out_height out_width"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
    lanes: int = LANES,
) -> Float[Tensor, "batch channel out_height out_width"]:
    """`upfirdn2d`, and `bias_act` of its result, by one kernel without a gradient.

    Half precision is summed in float32 and rounded once.
    """
    batch, channels, height, width = x.shape
    vertical, across = axes
    out_height = vertical.size(height, kernel.shape[0])
    out_width = across.size(width, kernel.shape[1])
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    source = x.detach().contiguous(memory_format=layout)
    shape = batch, channels, out_height, out_width
    filtered = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
    if not filtered.numel():
        return filtered
    planes, step = (batch, channels) if last else (batch * channels, 1)
    period = vertical.up // gcd(vertical.up, vertical.down)
    # Eight channels a lane and all that follows need the registers of four rows.
    wanted = min(ROWS // 2 if last and scale is not None else ROWS, out_height)
    wanted = wanted if kernel.numel() < LONG else 1
    rows = -(-triton.next_power_of_2(wanted) // period) * period
    # Sixteen bytes a lane where the channels come last, two columns a lane where they do not.
    tile = lanes * (16 // x.element_size() if last else 2)
    columns = min(triton.next_power_of_2(out_width * step), tile if last else lanes)
    strips, blocks = triton.cdiv(out_height, rows), triton.cdiv(out_width * step, columns)
    given = [None if t is None else t.detach().contiguous() for t in (bias, scale, noise, strength)]
    with torch.cuda.device_of(source):
        _upfirdn2d_kernel[(triton.cdiv(planes * strips, tile // columns) * blocks,)](
            source,
            kernel.detach().to(x.device).contiguous(),
            filtered,
            *given,
            planes,
            channels,
            height,
            width,
            out_height,
            out_width,
            step,
            noise_step(noise),
            strips,
            blocks,
            -vertical.before // vertical.up,
            -across.before // across.up,
            float(gain),
            float(gain * slope),
            gain == slope == 1,
            last,
            tl.float64 if x.dtype == torch.float64 else tl.float32,
            *kernel.shape,
            vertical.up,
            across.up,
            vertical.down,
            across.down,
            -vertical.before % vertical.up,
            -across.before % across.up,
            rows,
            tile // columns,
            columns,
        )
    return filtered

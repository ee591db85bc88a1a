"""Triton kernel of a styled 3 x 3 convolution: style, product sums and all that follows in one.

No GPU has timed it, so `modulated_conv2d` takes it only where it is asked to.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .bias_act import Form, activate
from .bias_act_triton import bias_act_gradient_triton, bias_act_triton

PIXELS = 64  # of one item, per program
OUTS = 64  # channels of the result, per program
INS = 32  # channels of the input at once


@triton.jit
@no_type_check
def _styled_conv_kernel(
    x,  # [batch, height, width, channels]
    weight,  # [3, 3, channels, outs], in the precision of x
    style,  # [batch, channels]
    scale,  # [batch, outs] or None
    noise,  # [noises, height, width], strength included, or None
    bias,  # [outs] or None
    y,  # [batch, height, width, outs], out
    height,
    width,
    channels,
    outs,
    noises,
    above,  # gain, and gain * slope
    below,
    SUMS: tl.constexpr,
    PIXELS: tl.constexpr,
    OUTS: tl.constexpr,
    INS: tl.constexpr,
):
    # One program per PIXELS pixels of one item and OUTS channels: an implicit matrix product over
    # nine taps times all channels, y = m (scale sum(weight style x) + noise + bias).
    blocks = tl.cdiv(height * width, PIXELS)
    n = (tl.program_id(0) // blocks).to(tl.int64)
    pixel = tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS)
    out = tl.program_id(1) * OUTS + tl.arange(0, OUTS)
    i, j = pixel // width, pixel % width
    live = pixel < height * width
    known = out < outs
    total = tl.zeros((PIXELS, OUTS), SUMS)
    for tap in range(9):
        row, column = i + tap // 3 - 1, j + tap % 3 - 1
        inside = live & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        source = x + ((n * height + row) * width + column)[:, None] * channels
        for k in range(0, channels, INS):
            channel = k + tl.arange(0, INS)
            there = channel < channels
            values = tl.load(
                source + channel[None, :], mask=inside[:, None] & there[None, :], other=0.0
            )
            factor = tl.load(style + n * channels + channel, mask=there, other=0.0).to(SUMS)
            styled = (values.to(SUMS) * factor[None, :]).to(x.dtype.element_ty)
            taps = tl.load(
                weight + (tap * channels + channel)[:, None] * outs + out[None, :],
                mask=there[:, None] & known[None, :],
                other=0.0,
            )
            total = tl.dot(styled, taps, total, input_precision="ieee", out_dtype=SUMS)
    if scale is not None:
        total *= tl.load(scale + n * outs + out, mask=known, other=0.0).to(SUMS)[None, :]
    if noise is not None:
        here = noise + n % noises * height * width + pixel
        total += tl.load(here, mask=live, other=0.0).to(SUMS)[:, None]
    if bias is not None:
        total += tl.load(bias + out, mask=known, other=0.0).to(SUMS)[None, :]
    total *= tl.where(total > 0, above, below)
    place = y + (n * height * width + pixel)[:, None] * outs + out[None, :]
    tl.store(place, total.to(y.dtype.element_ty), mask=live[:, None] & known[None, :])


def styled_conv_triton(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel 3 3"],
    style: Float[Tensor, "batch channel"],
    scale: Float[Tensor, "batch out"] | None,
    bias: Float[Tensor, " out"] | None,
    noise: Float[Tensor, "noises 1 height width"] | None,
    strength: Float[Tensor, "1"] | None,
    slope: float,
    gain: float,
    blocks: tuple[int, int, int] = (PIXELS, OUTS, INS),
) -> Float[Tensor, "batch out height width"]:
    """A 3 x 3 convolution of x * style and the `bias_act` after it by one kernel, no gradient.

    Block sizes (pixels, outs, ins) are powers of two from 16 on; the result is channels-last.
    """
    batch, channels, height, width = x.shape
    outs, last = len(weight), torch.channels_last
    shape = batch, outs, height, width
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=last)
    if not y.numel():
        return y
    pixels, columns, ins = blocks
    if noise is not None and strength is not None:
        noise = (noise * strength).detach().contiguous()
    grid = (batch * triton.cdiv(height * width, pixels), triton.cdiv(outs, columns))
    with torch.cuda.device_of(x):
        _styled_conv_kernel[grid](
            x.detach().contiguous(memory_format=last),
            weight.detach().to(x.dtype).permute(2, 3, 1, 0).contiguous(),
            style.detach().contiguous(),
            None if scale is None else scale.detach().contiguous(),
            noise,
            None if bias is None else bias.detach().contiguous(),
            y,
            height,
            width,
            channels,
            outs,
            1 if noise is None else len(noise),
            float(gain),
            float(gain * slope),
            tl.float64 if x.dtype == torch.float64 else tl.float32,
            pixels,
            columns,
            ins,
            num_warps=8,  # four would spill
        )
    return y


def styled_conv(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel 3 3"],
    style: Float[Tensor, "batch channel"],
    scale: Float[Tensor, "batch out"] | None,
    bias: Float[Tensor, " out"] | None,
    noise: Float[Tensor, "noises 1 height width"] | None,
    strength: Float[Tensor, "1"] | None,
    slope: float,
    gain: float,
    blocks: tuple[int, int, int] = (PIXELS, OUTS, INS),
) -> Float[Tensor, "batch out height width"]:
    """`styled_conv_triton` with gradients of any order."""
    tensors = x, weight, style, scale, bias, noise, strength
    return _StyledConv.apply(*tensors, slope, gain, blocks)


class _StyledConv(torch.autograd.Function):
    """Forward in one kernel; backward by the single steps, whose convolution runs once more."""

    @staticmethod
    @no_type_check
    def forward(ctx, x, weight, style, scale, bias, noise, strength, slope, gain, blocks):
        y = styled_conv_triton(x, weight, style, scale, bias, noise, strength, slope, gain, blocks)
        ctx.save_for_backward(x, weight, style, scale, bias, noise, strength)
        ctx.settings = slope, gain
        return y

    @staticmethod
    @no_type_check
    def backward(ctx, gradient):
        given = ctx.saved_tensors
        slope, gain = ctx.settings
        graph, wants = torch.is_grad_enabled(), ctx.needs_input_grad[: len(given)]
        if not graph:
            given = [t if t is None else t.detach().requires_grad_(t.requires_grad) for t in given]
        with torch.enable_grad():
            # Views: one tensor may be made from another, and only direct ways count here.
            views = [t if t is None else t.view_as(t) for t in given]
            x, weight, style, scale, bias, noise, strength = views
            form = Form(bias_act_triton, bias_act_gradient_triton)
            z = activate(x, None, 1.0, 1.0, style, None, None, form)
            y = functional.conv2d(z, weight.to(x.dtype), padding=1)
            y = activate(y, bias, slope, gain, scale, noise, strength, form)
            wanted = [t for t, want in zip(views, wants, strict=True) if want]
            back = iter(torch.autograd.grad(y, wanted, gradient, create_graph=graph))
        found = [next(back) if want else None for want in wants]
        return *found, None, None, None

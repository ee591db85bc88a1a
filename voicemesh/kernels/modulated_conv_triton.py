"""Triton kernel of a styled 3 x 3 convolution: an implicit matrix product and all that follows.

Arithmetic is the roof of hundreds of channels: 18 operations a channel and result against 2 bytes
in and 2 out in half precision. At 64 it is the issue of instructions, 2.4 times the tensor cores'
time on an H200 (benchmarks/machine_code.py; not measured): nine short steps, then 64 results a
lane to rectify and store. Style and demodulation go into the weight, one for every item (as
published; 18 bytes a channel and result channel, written once), so that nothing stands between
memory and the tensor cores and filters of unit norm stay inside float16. The single steps read
and write maps six times where this reads and writes once: the gain is where channels are few.
"""

from functools import lru_cache
from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .bias_act import Form, activate
from .bias_act_triton import bias_act_gradient_triton, bias_act_triton, noise_step
from .upfirdn2d_triton import within

FILTERS = 1024  # weights of an item that a program of the first kernel makes


class Blocks(NamedTuple):
    """What one program takes at once; powers of two from 16 on."""

    pixels: int  # of one item
    outs: int  # channels of the result
    ins: int  # channels of the input
    warps: int = 4
    stages: int = 3

    def shared(self, size: int) -> int:
        """Bytes of shared memory that it needs for elements of `size` bytes."""
        return (self.pixels + self.outs) * self.ins * size * self.stages


CHOICES = (  # measured against each other the first time that a shape comes
    Blocks(128, 256, 64, 8, 4),  # more than 163 kB: from sm_90 on
    Blocks(128, 128, 64, 8, 4),
    Blocks(128, 128, 32, 8, 4),
    Blocks(256, 64, 64, 8, 3),
    Blocks(128, 64, 32, 4, 4),
    Blocks(128, 32, 32, 4, 4),
    Blocks(64, 64, 32, 4, 2),
)


@triton.jit
@no_type_check
def _filter_kernel(
    weight,  # [outs, channels, 9]
    style,  # [batch, channels]
    scale,  # [batch, outs] or None
    filters,  # [batch, outs, 9, channels], out
    channels,
    outs,
    SUMS: tl.constexpr,
    FILTERS: tl.constexpr,
):
    # One program per FILTERS weights of one item: filters = weight style scale, turned.
    blocks = tl.cdiv(outs * 9 * channels, FILTERS)
    n = (tl.program_id(0) // blocks).to(tl.int64)
    i = tl.program_id(0) % blocks * FILTERS + tl.arange(0, FILTERS)
    live = i < outs * 9 * channels
    channel, tap, out = i % channels, i // channels % 9, i // channels // 9
    value = tl.load(weight + (out * channels + channel) * 9 + tap, mask=live, other=0.0).to(SUMS)
    value *= tl.load(style + n * channels + channel, mask=live, other=0.0).to(SUMS)
    if scale is not None:
        value *= tl.load(scale + n * outs + out, mask=live, other=0.0).to(SUMS)
    place = filters + n * (outs * 9 * channels) + i
    tl.store(place, value.to(filters.dtype.element_ty), mask=live)


@triton.jit(do_not_specialize=["height", "width", "noise_step"])
@no_type_check
def _styled_conv_kernel(
    x,  # [batch, height, width, channels]
    filters,  # [batch, outs, 9, channels], in the precision of x
    noise,  # [noises, height, width] or None
    strength,  # [1] or None
    bias,  # [outs] or None
    y,  # [batch, height, width, outs], out
    height,
    width,
    channels,
    outs,
    noise_step,  # from the noise of an item to that of the next one; 0 if all share one map
    above: "fp64",  # gain, and gain * slope
    below: "fp64",
    SUMS: tl.constexpr,
    PRECISION: tl.constexpr,
    PIXELS: tl.constexpr,
    OUTS: tl.constexpr,
    INS: tl.constexpr,
):
    # One program per PIXELS pixels of one item and OUTS channels: a matrix product over nine taps
    # times all channels in one loop, y = m (sum(filters x) + noise + bias). Programs of the same
    # pixels are neighbours and find them in the cache.
    across, down = tl.cdiv(outs, OUTS), tl.cdiv(height * width, PIXELS)
    n = (tl.program_id(0) // (across * down)).to(tl.int64)
    pixel = tl.program_id(0) // across % down * PIXELS + tl.arange(0, PIXELS)
    out = tl.program_id(0) % across * OUTS + tl.arange(0, OUTS)
    i, j = pixel // width, pixel % width
    live = pixel < height * width
    known = out < outs
    source = x + (n * height * width + pixel)[:, None] * channels
    rows = filters + ((n * outs + out) * 9)[None, :] * channels
    blocks = tl.cdiv(channels, INS)
    total = tl.zeros((PIXELS, OUTS), SUMS)
    for step in range(9 * blocks):
        tap = step // blocks
        channel = step % blocks * INS + tl.arange(0, INS)
        there = channel < channels
        row, column = i + tap // 3 - 1, j + tap % 3 - 1
        inside = live & within(row, height) & within(column, width)
        shift = ((tap // 3 - 1) * width + tap % 3 - 1) * channels
        values = tl.load(
            source + shift + channel[None, :], mask=inside[:, None] & there[None, :], other=0.0
        )
        taps = tl.load(
            rows + tap * channels + channel[:, None],
            mask=there[:, None] & known[None, :],
            other=0.0,
        )
        total = tl.dot(values, taps, total, input_precision=PRECISION, out_dtype=SUMS)
    if noise is not None:
        here = noise + n * noise_step + pixel
        added = tl.load(here, mask=live, other=0.0).to(SUMS) * tl.load(strength).to(SUMS)
        total += added[:, None]
    if bias is not None:
        total += tl.load(bias + out, mask=known, other=0.0).to(SUMS)[None, :]
    upper, lower = tl.full((1, 1), above, SUMS), tl.full((1, 1), below, SUMS)
    total *= tl.where(total > 0, upper, lower)
    place = y + (n * height * width + pixel)[:, None] * outs + out[None, :]
    tl.store(place, total.to(y.dtype.element_ty), mask=live[:, None] & known[None, :])


@lru_cache(maxsize=16)
def _tuned(shared: int, size: int) -> triton.runtime.Autotuner:
    """The kernel with those choices of blocks that fit, the fastest found by the first launch."""
    configurations = [
        triton.Config(
            {"PIXELS": choice.pixels, "OUTS": choice.outs, "INS": choice.ins},
            num_warps=choice.warps,
            num_stages=choice.stages,
        )
        for choice in CHOICES
        if choice.shared(size) <= shared
    ]

    @no_type_check
    def quickly(call, quantiles):
        return triton.testing.do_bench(call, warmup=5, rep=20, quantiles=quantiles)

    key = ["height", "width", "channels", "outs", "PRECISION"]
    return triton.autotune(configurations, key, do_bench=quickly)(_styled_conv_kernel)


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
    blocks: Blocks | None = None,
) -> Float[Tensor, "batch out height width"]:
    """A 3 x 3 convolution of x * style and the `bias_act` after it by two kernels, no gradient.

    The result is channels-last. Float32 is multiplied as `torch.backends.cudnn` says for
    convolutions, which is TF32 unless it was told otherwise.
    """
    batch, channels, height, width = x.shape
    outs, last = len(weight), torch.channels_last
    y = torch.empty(
        (batch, outs, height, width), dtype=x.dtype, device=x.device, memory_format=last
    )
    if not y.numel():
        return y
    sums = tl.float64 if x.dtype == torch.float64 else tl.float32
    tf32 = x.dtype == torch.float32 and torch.backends.cudnn.conv.fp32_precision == "tf32"
    filters = x.new_empty(batch, outs, 9, channels)
    vectors = (None if t is None else t.detach().contiguous() for t in (noise, strength, bias))

    @no_type_check
    def grid(meta):
        down = triton.cdiv(height * width, meta["PIXELS"])
        return (batch * down * triton.cdiv(outs, meta["OUTS"]),)

    with torch.cuda.device_of(x):
        _filter_kernel[(batch * triton.cdiv(weight.numel(), FILTERS),)](
            weight.detach().contiguous(),
            style.detach().contiguous(),
            None if scale is None else scale.detach().contiguous(),
            filters,
            channels,
            outs,
            sums,
            FILTERS,
        )
        given = (
            x.detach().contiguous(memory_format=last),
            filters,
            *vectors,
            y,
            height,
            width,
            channels,
            outs,
            noise_step(noise),
            float(gain),
            float(gain * slope),
            sums,
            "tf32" if tf32 else "ieee",
        )
        if blocks is None:
            shared = torch.cuda.get_device_properties(x.device).shared_memory_per_block_optin
            _tuned(shared, x.element_size())[grid](*given)
        else:
            sizes = {"PIXELS": blocks.pixels, "OUTS": blocks.outs, "INS": blocks.ins}
            options = {"num_warps": blocks.warps, "num_stages": blocks.stages}
            _styled_conv_kernel[grid](*given, **sizes, **options)
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
    blocks: Blocks | None = None,
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

"""Convolutions whose input channels each item weighs by its own style: the block of StyleGAN2."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .bias_act import bias_act, bias_act_reference, check_activation, wants_gradient
from .launching import launches
from .upfirdn2d import resamplings, upfirdn2d, upfirdn2d_reference

FLOOR = 1e-8  # of power, before its root
FEW = 4  # channels that colours and their like have at most
LAST_PIXELS = {1: 128**2, 2: 32**2}  # from so many on, by `up`, CPUs convolve channels-last faster


def modulated_conv2d(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel taps taps"],
    style: Float[Tensor, "batch channel"],
    *,
    demodulate: bool = True,
    weight_gain: float = 1.0,
    power: Float[Tensor, "out channel"] | None = None,
    up: int = 1,
    fir: Float[Tensor, "taps_y taps_x"] | None = None,
    bias: Float[Tensor, " out"] | None = None,
    noise: Float[Tensor, "noises 1 out_height out_width"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
    slope: float = 1.0,
    gain: float = 1.0,
    implicit: bool = False,
) -> Float[Tensor, "batch out out_height out_width"]:
    """Convolve `x` with `weight_gain` * `weight` * `style`, then noise, bias and activation.

    With `demodulate` every item's filters are scaled to unit norm first. At the same resolution
    zeros pad `taps` // 2 a side; with `up` 2 a transposed convolution of stride 2 is followed by
    the filter `fir` (its gain of 4 included), and height and width double exactly. Noise, bias,
    slope and gain are those of `bias_act`; as they stand the result is linear.

    The weight is not multiplied per item: styles scale what goes in, the demodulation what comes
    out, and one ordinary convolution serves the batch. (A single map without gradients has its
    weight multiplied where that is smaller than the map.) `power` is `weight_power(weight)`, kept
    where the weight does not change. Styles and sums are float32 whatever `x` is, under autocast
    as well. Differentiable by every tensor but `fir`, twice and more; where nobody asks
    for a gradient, filtering on a GPU and all that follows it are one kernel.

    `implicit` runs a 3 x 3 convolution of CUDA tensors without `up` as one Triton kernel with all
    that follows. It is off unless asked for: no GPU has timed it against the library's own.

    Raises:
        ValueError: an even or oblong weight, a weight or a style of other channels than `x`, `up`
            other than 1 or 2, `fir` missing with `up` 2 or given without it, and what `bias_act`
            refuses.

    Source: rosinality/stylegan2-pytorch, model.py, ModulatedConv2d.
    """
    check(x, weight, style, up, fir)
    shape = len(x), len(weight), *(up * side for side in x.shape[2:])
    check_activation(shape, x.device, slope, gain, bias, None, noise, strength)
    then = {"bias": bias, "noise": noise, "strength": strength, "slope": slope, "gain": gain}
    if x.is_cuda and torch.is_autocast_enabled("cuda") and x.dtype != torch.float64:
        settings = {"demodulate": demodulate, "weight_gain": weight_gain, "power": power}
        half = x.to(torch.get_autocast_dtype("cuda"))
        with torch.autocast("cuda", enabled=False):
            settings |= {"up": up, "fir": fir, "implicit": implicit}
            return modulated_conv2d(half, weight, style, **settings, **then)
    style, scale = scales(x, weight, style, demodulate, weight_gain, power)
    if implicit and fir is None and launches(x) and weight.shape[-1] == 3:
        from .modulated_conv_triton import styled_conv

        return styled_conv(x, weight, style, scale, **then)
    if _colours(x, weight, up):
        from .modulated_conv_cpu import pointwise

        y = pointwise(x, (weight[:, :, 0, 0] * style[:, None]).to(x.dtype))
        return bias_act(y, scale=scale, spend=True, **then)
    z = x.contiguous(memory_format=_layout(x, up))
    if _foldable(x, weight, style):
        filters = (weight * style[0, :, None, None]).to(x.dtype)
    else:
        z, filters = bias_act(z, slope=1, gain=1, scale=style), weight.to(x.dtype)
    taps = weight.shape[-1]
    if fir is None:
        y = functional.conv2d(z, filters, padding=taps // 2)
    else:
        wide = functional.conv_transpose2d(z, filters.transpose(0, 1), stride=2)
        padding = fir_padding(taps, len(fir))
        if launches(x) and not wants_gradient(wide, scale, bias, noise, strength):
            from .upfirdn2d_triton import upfirdn2d_triton

            axes = resamplings(wide, fir, 1, 1, padding)
            return upfirdn2d_triton(wide, fir, axes, scale=scale, **then)
        y = upfirdn2d(wide, fir, padding=padding)
    return bias_act(y, scale=scale, spend=True, **then)


def weight_power(weight: Float[Tensor, "out channel taps taps"]) -> Float[Tensor, "out channel"]:
    """Sum of squares of every filter: what demodulation needs to know of a weight."""
    return weight.square().sum((2, 3))


def scales(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel taps taps"],
    style: Float[Tensor, "batch channel"],
    demodulate: bool,
    weight_gain: float,
    power: Float[Tensor, "out channel"] | None,
) -> tuple[Float[Tensor, "batch channel"], Float[Tensor, "batch out"] | None]:
    """What multiplies the input's channels and, unless nothing does, the output's."""
    precise = torch.promote_types(x.dtype, torch.float32)
    style, scale = style.to(precise) * weight_gain, None
    if demodulate:
        power = weight_power(weight) if power is None else power
        with torch.autocast(x.device.type, enabled=False):  # which would round the sums
            scale = (style.square() @ power.to(precise).T + FLOOR).rsqrt()
    if x.dtype == torch.float16:  # its largest number is 65504: the largest style waits outside
        largest = style.detach().abs().amax(1, keepdim=True).clamp(min=FLOOR)
        style = style / largest
        scale = largest.expand(-1, len(weight)) if scale is None else scale * largest
    return style, scale


def modulated_conv2d_reference(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel taps taps"],
    style: Float[Tensor, "batch channel"],
    demodulate: bool = True,
    weight_gain: float = 1.0,
    up: int = 1,
    fir: Float[Tensor, "taps_y taps_x"] | None = None,
    bias: Float[Tensor, " out"] | None = None,
    noise: Float[Tensor, "noises 1 out_height out_width"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
    slope: float = 1.0,
    gain: float = 1.0,
) -> Float[Tensor, "batch out out_height out_width"]:
    """`modulated_conv2d` as its definition reads, item by item with its own weight, in float64."""
    taps, maps = weight.shape[-1], []
    for item, of_item in zip(x.double(), style.double(), strict=True):
        filters = weight_gain * weight.double() * of_item[:, None, None]
        if demodulate:
            norm = filters.square().sum((1, 2, 3), keepdim=True) + FLOOR
            filters = filters * norm.rsqrt()
        if up == 1:
            maps.append(functional.conv2d(item[None], filters, padding=taps // 2))
        else:
            wide = functional.conv_transpose2d(item[None], filters.transpose(0, 1), stride=2)
            padding = fir_padding(taps, len(fir))
            axes = resamplings(wide, fir, 1, 1, padding)
            maps.append(upfirdn2d_reference(wide, fir, axes))
    whole = torch.cat(maps) if maps else x.new_zeros(0, len(weight), *(up * n for n in x.shape[2:]))
    return bias_act_reference(whole, bias, slope, gain, None, noise, strength).to(x.dtype)


def fir_padding(taps: int, fir_taps: int) -> tuple[int, int]:
    """Zeros around a map after a transposed convolution of stride 2 that make it exactly double."""
    beyond = (fir_taps - 2) - (taps - 1)
    return (beyond + 1) // 2 + 1, beyond // 2 + 1


def _layout(x: Float[Tensor, "batch channel height width"], up: int) -> torch.memory_format:
    """The order of channels that convolutions were measured to be faster in, on a CPU."""
    if x.is_cuda:
        last = x.dtype in (torch.float16, torch.bfloat16)  # what tensor cores read
    else:
        last = x.shape[2] * x.shape[3] >= LAST_PIXELS[up]
    return torch.channels_last if last else torch.contiguous_format


def _colours(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel taps taps"],
    up: int,
) -> bool:
    """Whether so few channels of one tap come out that a weight for each item costs nothing."""
    few = weight.shape[-1] == 1 and up == 1 and len(weight) <= FEW
    return few and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def _foldable(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel taps taps"],
    style: Float[Tensor, "batch channel"],
) -> bool:
    """Whether one pass over the weight does for a pass over the map."""
    return len(x) == 1 and not wants_gradient(x, weight, style) and weight.numel() < x.numel()


def check(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out channel taps taps"],
    style: Float[Tensor, "batch channel"],
    up: int,
    fir: Float[Tensor, "taps_y taps_x"] | None,
) -> None:
    """Refuse what the published convolution does not know, and what would be read outside."""
    if weight.shape[1] != x.shape[1] or style.shape != x.shape[:2]:
        raise ValueError(
            f"A weight of shape {list(weight.shape)} and a style of shape {list(style.shape)} for "
            f"maps of shape {list(x.shape)}; give a weight of {x.shape[1]} channels and a style "
            f"of {list(x.shape[:2])}"
        )
    if weight.shape[-1] % 2 == 0:
        raise ValueError(f"Weights have an odd number of taps a side, given {weight.shape[-1]}")
    if up not in (1, 2):
        raise ValueError(f"up is 1 or 2, given {up}")
    if (fir is None) != (up == 1):
        raise ValueError("The filter fir is for up = 2, and needed there; give both or neither")
    if fir is not None and fir.shape[0] != fir.shape[1]:
        raise ValueError(f"fir is square, given {tuple(fir.shape)}")

"""What follows a convolution: scale, noise, bias, leaky rectifier and gain in one pass."""

from collections.abc import Callable
from typing import NamedTuple, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .launching import launches

SLOPE = 0.2  # below zero
GAIN = 2**0.5  # keeps unit variance through the rectifier


class Form(NamedTuple):
    """One way to run `bias_act`."""

    run: Callable[..., Tensor]  # forward, or with a given side what is linear in the rest
    gradient: Callable[..., tuple[Tensor, Tensor]]  # by x, and sums over space for the others
    gradients: Callable[..., tuple[Tensor, ...]] | None = None  # and a sum over channels, for noise


def bias_act(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None = None,
    slope: float = SLOPE,
    gain: float = GAIN,
    *,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 *space"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
    spend: bool = False,
) -> Float[Tensor, "batch channel *space"]:
    """gain * leaky(scale * x + strength * noise + bias), negative values times `slope`.

    `scale` is the demodulation of a styled convolution; `noise`, of one map an item or one for
    all, comes with its learned `strength`. A slope of 1 leaves out the rectifier. Differentiable
    by every tensor, any number of times; the side of the rectifier is read from the output, where
    0 counts as negative. Half precision works in float32 and rounds once. CUDA tensors run as one
    Triton kernel, those of the CPU as compiled loops. `spend` tells the loops that nobody else
    needs `x`: the result may take its memory where nobody asks for a gradient.

    Raises:
        ValueError: a tensor of another shape or on another device than its place asks for (nothing
            is broadcast), `noise` without `strength` or the reverse, `gain` not positive or `slope`
            negative.

    Source: rosinality/stylegan2-pytorch, op/fused_act.py.
    """
    check_activation(x.shape, x.device, slope, gain, bias, scale, noise, strength)
    if launches(x):
        from .bias_act_triton import bias_act_gradient_triton, bias_act_triton

        form = Form(bias_act_triton, bias_act_gradient_triton)
    elif x.device.type != "cpu":
        return bias_act_plain(x, bias, slope, gain, scale, noise, strength)
    else:
        from .bias_act_cpu import bias_act_cpu, bias_act_gradient_cpu, bias_act_gradients_cpu

        if spend and not wants_gradient(x, bias, scale, noise, strength):
            return bias_act_cpu(x, bias, slope, gain, scale, noise, strength, spend=True)
        form = Form(bias_act_cpu, bias_act_gradient_cpu, bias_act_gradients_cpu)
    return activate(x, bias, slope, gain, scale, noise, strength, form)


def bias_act_reference(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None = None,
    slope: float = SLOPE,
    gain: float = GAIN,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 *space"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
) -> Float[Tensor, "batch channel *space"]:
    """`bias_act` as its definition reads, in float64."""
    given = (None if t is None else t.double() for t in (scale, noise, strength))
    bias = None if bias is None else bias.double()
    return bias_act_plain(x.double(), bias, slope, gain, *given).to(x.dtype)


def bias_act_plain(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None = None,
    slope: float = SLOPE,
    gain: float = GAIN,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 *space"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
) -> Float[Tensor, "batch channel *space"]:
    """`bias_act` by PyTorch's own operators, for devices that have no form of their own."""
    space = (1,) * (x.ndim - 2)
    value = x.to(torch.promote_types(x.dtype, torch.float32))
    if scale is not None:
        value = value * scale.reshape(*scale.shape, *space)
    if noise is not None and strength is not None:
        value = value + strength * noise
    if bias is not None:
        value = value + bias.reshape(-1, *space)
    return (gain * functional.leaky_relu(value, slope)).to(x.dtype)


def activate(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None,
    slope: float,
    gain: float,
    scale: Float[Tensor, "batch channel"] | None,
    noise: Float[Tensor, "noises 1 *space"] | None,
    strength: Float[Tensor, "1"] | None,
    form: Form,
) -> Float[Tensor, "batch channel *space"]:
    """One form of `bias_act` with its gradients."""
    return _BiasAct.apply(x, bias, scale, noise, strength, None, slope, gain, form)


class _BiasAct(torch.autograd.Function):
    """y = m (scale x + strength noise + bias), m = gain or gain * slope by the sign of `side`.

    `side` is the result itself, or a map of known sides: then the operation is linear, and
    h = m * gradient, which every gradient needs, is the operation again.
    """

    @staticmethod
    @no_type_check
    def forward(ctx, x, bias, scale, noise, strength, side, slope, gain, form):
        y = form.run(x, bias, slope, gain, scale, noise, strength, side)
        if slope == 1:
            side = None  # both sides are alike
        elif side is None:
            side = y.detach()
        ctx.save_for_backward(x if ctx.needs_input_grad[2] else None, scale, noise, strength, side)
        ctx.settings = slope, gain, form
        return y

    @staticmethod
    @no_type_check
    def backward(ctx, gradient):
        x, scale, noise, strength, side = ctx.saved_tensors
        _, of_bias, of_scale, of_noise, of_strength = ctx.needs_input_grad[:5]
        slope, gain, form = ctx.settings
        back = [None] * 9
        if not (of_bias or of_scale or of_noise or of_strength):
            back[0] = _BiasAct.apply(gradient, None, scale, None, None, side, *ctx.settings)
            return tuple(back)
        given = gradient, side, slope, gain, x, scale, noise
        if torch.is_grad_enabled() or (of_noise and form.gradients is None):
            h = _BiasAct.apply(gradient, None, None, None, None, side, *ctx.settings)
            back[0], sums = _by_parts(h, x, scale, noise)
            over = h.sum(1, keepdim=True)
        elif of_noise:
            back[0], sums, over = form.gradients(*given)
        else:
            back[0], sums = form.gradient(*given)
        if of_bias:
            back[1] = sums[0].sum(0)
        if of_scale:
            back[2] = sums[1]
        if of_noise:
            over = over.to(noise.dtype) * strength
            back[3] = over if len(noise) > 1 else over.sum(0, keepdim=True)
        if of_strength:
            back[4] = sums[2].sum().reshape(1)
        return tuple(back)


@no_type_check
def _by_parts(h, x, scale, noise):
    """What `Form.gradient` gives, from h by operations that have gradients themselves."""
    space = tuple(range(2, h.ndim))
    wide = of_x = h.to(torch.promote_types(h.dtype, torch.float32))
    if scale is not None:
        of_x = wide * scale.reshape(scale.shape + (1,) * len(space))
    products = [wide, *(None if factor is None else wide * factor for factor in (x, noise))]
    sums = [p.sum(space) if space and p is not None else p for p in products]
    return of_x.to(h.dtype), sums


def wants_gradient(*tensors: Tensor | None) -> bool:
    """Whether somebody may ask for a gradient by one of them."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def check_activation(
    shape: tuple[int, ...],
    device: torch.device,
    slope: float,
    gain: float,
    bias: Tensor | None,
    scale: Tensor | None,
    noise: Tensor | None,
    strength: Tensor | None,
) -> None:
    """Refuse what has no meaning, whose side the output would not tell, or who is read outside.

    Args:
        shape: of the maps that all the others belong to.
    """
    if gain <= 0 or slope < 0:
        raise ValueError(
            f"A positive gain and a slope of at least 0 are needed, given {gain} and {slope}"
        )
    if (noise is None) != (strength is None):
        raise ValueError("Noise and its strength come together; give both or neither")
    batch, channels, *space = shape
    if noise is not None and len(noise) not in (1, batch):
        raise ValueError(f"{len(noise)} noise maps for {batch} items; give 1 or {batch}")
    needed = {
        "bias": (bias, [channels]),
        "scale": (scale, [batch, channels]),
        "noise": (noise, [0 if noise is None else len(noise), 1, *space]),
        "strength": (strength, [1]),
    }
    for name, (given, sizes) in needed.items():
        if given is None:
            continue
        if list(given.shape) != sizes:
            raise ValueError(
                f"{name} of shape {list(given.shape)} for maps of shape {list(shape)}; "
                f"give one of {sizes}"
            )
        if given.device != device:
            raise ValueError(f"{name} on {given.device} for maps on {device}; move it there")

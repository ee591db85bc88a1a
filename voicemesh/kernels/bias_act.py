"""What follows a convolution: scale, noise, bias, leaky rectifier and gain in one pass."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SLOPE = 0.2  # below zero
GAIN = 2**0.5  # keeps unit variance through the rectifier


def bias_act(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None = None,
    slope: float = SLOPE,
    gain: float = GAIN,
    *,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 *space"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
) -> Float[Tensor, "batch channel *space"]:
    """gain * leaky(scale * x + strength * noise + bias), negative values times `slope`.

    `scale` is the demodulation of a styled convolution; `noise`, of one map an item or one for
    all, comes with its learned `strength`. A slope of 1 leaves out the rectifier. Differentiable
    by every tensor, any number of times; the side of the rectifier is read from the output, where
    0 counts as negative. Half precision works in float32 and rounds once.

    Raises:
        ValueError: `noise` without `strength` or the reverse, as many noise maps as fit neither
            one nor every item, `gain` not positive or `slope` negative.

    Source: rosinality/stylegan2-pytorch, op/fused_act.py.
    """
    check(x, slope, gain, noise, strength)
    return bias_act_reference(x, bias, slope, gain, scale, noise, strength)


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
    space = (1,) * (x.ndim - 2)
    value = x.double()
    if scale is not None:
        value = value * scale.double().reshape(*scale.shape, *space)
    if noise is not None and strength is not None:
        value = value + strength.double() * noise.double()
    if bias is not None:
        value = value + bias.double().reshape(-1, *space)
    return (gain * functional.leaky_relu(value, slope)).to(x.dtype)


def check(
    x: Float[Tensor, "batch channel *space"],
    slope: float,
    gain: float,
    noise: Float[Tensor, "noises 1 *space"] | None,
    strength: Float[Tensor, "1"] | None,
) -> None:
    """Refuse what has no meaning, or whose side the output would not tell."""
    if gain <= 0 or slope < 0:
        raise ValueError(
            f"A positive gain and a slope of at least 0 are needed, given {gain} and {slope}"
        )
    if (noise is None) != (strength is None):
        raise ValueError("Noise and its strength come together; give both or neither")
    if noise is not None and len(noise) not in (1, len(x)):
        raise ValueError(f"{len(noise)} noise maps for {len(x)} items; give 1 or {len(x)}")

"""Layers of StyleGAN2: weights scaled when they run, styles that scale activations.

The modulation scales activations, not weights: the same sums, one ordinary convolution for the
whole batch, and no weight gradient where weights are frozen.
Source: Karras et al., CVPR 2020; rosinality/stylegan2-pytorch, model.py, for keys and constants.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.kernels.bias_act import GAIN, SLOPE, bias_act
from voicemesh.kernels.modulated_conv import modulated_conv2d
from voicemesh.kernels.upfirdn2d import upfirdn2d

TAPS = (1.0, 3.0, 3.0, 1.0)  # of the only filter that was ever published
SMALLEST = 4  # side of the constant that every image grows from


def fir(gain: float = 1.0) -> Float[Tensor, "4 4"]:
    """The published low-pass filter; a gain of 4 keeps the brightness among stuffed zeros."""
    taps = torch.tensor(TAPS)
    return torch.outer(taps, taps) * (gain / taps.sum() ** 2)


class InputNormalisation(nn.Module):
    """Vectors of mean square 1."""

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        """The normalised vectors."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled when it runs, so that all learn at one rate."""

    def __init__(
        self, before: int, after: int, bias: float = 0.0, rate: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias))
        self.rate, self.scale, self.activate = rate, rate / math.sqrt(before), activate

    def forward(self, x: Float[Tensor, "batch before"]) -> Float[Tensor, "batch after"]:
        """The sums, rectified if so built."""
        if self.activate:
            return bias_act(functional.linear(x, self.weight * self.scale), self.bias * self.rate)
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution without bias, scaled likewise."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, side, side))
        self.scale = 1 / math.sqrt(before * side**2)
        self.stride, self.padding = stride, padding

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """The maps."""
        return functional.conv2d(
            x, self.weight * self.scale, stride=self.stride, padding=self.padding
        )


class Blur(nn.Module):
    """The low-pass filter, at half the rate, at the same or at twice it."""

    def __init__(self, padding: tuple[int, int], up: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", fir(gain))
        self.padding, self.up = padding, up

    def forward(
        self, x: Float[Tensor, "batch channel height width"], down: int = 1
    ) -> Float[Tensor, "batch channel _ _"]:
        """The filtered maps."""
        before, after = self.padding
        return upfirdn2d(x, self.kernel, self.up, down, (before, after, before, after))


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales, its output brought back to variance 1.

    `up` doubles the size: a transposed convolution, then the low-pass filter.
    """

    def __init__(
        self, before: int, after: int, side: int, style: int, up: bool = False, restore: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, after, before, side, side))
        self.modulation = EqualLinear(style, before, 1.0)
        self.gain = 1 / math.sqrt(before * side**2)
        self.up, self.restore = up, restore
        if up:
            self.blur = Blur((1, 1), gain=4.0)

    def forward(
        self, x: Float[Tensor, "batch before height width"], w: Float[Tensor, "batch style"], **then
    ) -> Float[Tensor, "batch after _ _"]:
        """The maps; `then` says what follows of bias, noise and rectifier."""
        with torch.autocast(w.device.type, enabled=False):  # styles keep their precision
            style = self.modulation(w.to(self.modulation.weight.dtype))
        return modulated_conv2d(
            x,
            self.weight[0],
            style,
            demodulate=self.restore,
            weight_gain=self.gain,
            up=1 + self.up,
            fir=self.blur.kernel if self.up else None,
            **then,
        )


class NoiseStrength(nn.Module):
    """How much of a noise map a layer takes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class ChannelBias(nn.Module):
    """Bias and rectifier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The rectified maps."""
        return bias_act(x, self.bias)


class StyledConv(nn.Module):
    """A modulated convolution, noise, bias, rectifier."""

    def __init__(self, before: int, after: int, style: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, after, 3, style, up)
        self.noise = NoiseStrength()
        self.activate = ChannelBias(after)

    def forward(
        self,
        x: Float[Tensor, "batch before height width"],
        w: Float[Tensor, "batch style"],
        noise: Float[Tensor, "_ 1 _ _"] | None,
    ) -> Float[Tensor, "batch after _ _"]:
        """The maps of the next layer; without noise its strength gets no gradient."""
        strength = None if noise is None else self.noise.weight
        return self.conv(
            x, w, bias=self.activate.bias, noise=noise, strength=strength, slope=SLOPE, gain=GAIN
        )


class ToRgb(nn.Module):
    """A layer's share of the image, on top of the smaller image so far."""

    def __init__(self, before: int, style: int, up: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConv(before, 3, 1, style, restore=False)
        if up:
            self.upsample = Blur((2, 1), up=2, gain=4.0)

    def forward(
        self,
        x: Float[Tensor, "batch before height width"],
        w: Float[Tensor, "batch style"],
        image: Float[Tensor, "batch 3 _ _"] | None = None,
    ) -> Float[Tensor, "batch 3 height width"]:
        """The image at this size, in float32 where the maps are of half precision."""
        y = self.conv(x, w, bias=self.bias.flatten())
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        return y if image is None else y + self.upsample(image)


class Constant(nn.Module):
    """What every image grows from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, SMALLEST, SMALLEST))

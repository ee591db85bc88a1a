"""The generator in bfloat16 by PyTorch's own operators: what trains it fastest on a CPU.

The same sums as `Generator.forward`, channels last, style, sums and colours in float32. What is
constant over a batch (bias and noise) joins the demodulation in one pass. CPUs that know bfloat16
(AVX512-BF16) need about half the time of float32; on others float32 is faster.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.kernels.bias_act import GAIN, SLOPE

from .stylegan2 import Generator
from .stylegan2_layers import ModulatedConv, StyledConv, ToRgb

FLOOR = 1e-8  # of power, before its root


def mapped(mapping: nn.Sequential, z: Float[Tensor, "batch style"]) -> Float[Tensor, "batch style"]:
    """The mapping's linear layers, without its normalisation."""
    for layer in list(mapping)[1:]:
        z = functional.linear(z, layer.weight * layer.scale, layer.bias * layer.rate)
        z = functional.leaky_relu(z, SLOPE) * GAIN
    return z


def half_images(
    generator: Generator,
    w: Float[Tensor, "batch style"],
    size: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> Float[Tensor, "batch 3 size size"]:
    """Images of w with the stored noise, in float32; `size` as of the generator."""
    noise = generator.stored_noise()
    first = generator.input.input.to(dtype).expand(len(w), -1, -1, -1)
    x = _styled(generator.conv1, first.contiguous(memory_format=torch.channels_last), w, noise[0])
    image = _coloured(generator.to_rgb1, x, w, None)
    for block, to_rgb in enumerate(generator.to_rgbs):
        if image.shape[2] == (size or generator.size):
            break
        for number in (2 * block, 2 * block + 1):
            x = _styled(generator.convs[number], x, w, noise[number + 1])
        image = _coloured(to_rgb, x, w, image)
    return image


def _convolved(
    conv: ModulatedConv, x: Float[Tensor, "batch before _ _"], style: Float[Tensor, "batch before"]
) -> Float[Tensor, "batch after _ _"]:
    x, weight = x * style.to(x.dtype)[:, :, None, None], conv.weight[0].to(x.dtype)
    if not conv.up:
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
    y = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    taps = conv.blur.kernel.to(x.dtype).expand(y.shape[1], 1, -1, -1)
    return functional.conv2d(y, taps, padding=1, groups=y.shape[1])


def _styled(
    layer: StyledConv,
    x: Float[Tensor, "batch before _ _"],
    w: Float[Tensor, "batch style"],
    noise: Float[Tensor, "1 1 _ _"],
) -> Float[Tensor, "batch after _ _"]:
    style = layer.conv.modulation(w) * layer.conv.gain
    power = layer.conv.weight[0].square().sum((2, 3))
    scale = GAIN * (style.square() @ power.T + FLOOR).rsqrt()
    rest = GAIN * (layer.activate.bias[None, :, None, None] + layer.noise.weight * noise)
    y = _convolved(layer.conv, x, style)
    scaled = torch.addcmul(rest.to(y.dtype), y, scale.to(y.dtype)[:, :, None, None])
    return functional.leaky_relu(scaled, SLOPE)


def _coloured(
    layer: ToRgb,
    x: Float[Tensor, "batch before _ _"],
    w: Float[Tensor, "batch style"],
    image: Float[Tensor, "batch 3 _ _"] | None,
) -> Float[Tensor, "batch 3 _ _"]:
    y = _convolved(layer.conv, x, layer.conv.modulation(w) * layer.conv.gain).float() + layer.bias
    y = y.contiguous()
    if image is None:
        return y
    # Between zeros beyond the edge, as the published filter sees them.
    padded = functional.pad(image, (1, 1, 1, 1))
    wide = functional.interpolate(padded, scale_factor=2, mode="bilinear", align_corners=False)
    return y + wide[:, :, 2:-2, 2:-2]

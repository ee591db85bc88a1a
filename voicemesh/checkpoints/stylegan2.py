"""StyleGAN2, its perceptual distance and VoiceStyle's clusters out of the published files."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Discriminator, Generator, published_widths
from voicemesh.nets.voicestyle import VoiceStart

from .association import size, without_fixed
from .store import Tensors, fill

NOISE_SEED = 0  # of the noise maps that the published file lacks
SIZE = 256  # published


def generator(tensors: Tensors, origin: str) -> nn.Module:
    """`g_ema` of any size; noise maps that the file lacks are drawn, always the same ones."""
    net = Generator(**generator_arguments(tensors))
    rng = torch.Generator().manual_seed(NOISE_SEED)
    drawn = {f"noises.noise_{n}": noise for n, noise in enumerate(net.fresh_noise(1, rng))}
    held = drawn.keys() & tensors.keys()
    return fill(net, tensors if held else drawn | tensors, origin)


def discriminator(tensors: Tensors, origin: str) -> nn.Module:
    """`d` of any size."""
    return fill(Discriminator(**discriminator_arguments(tensors)), tensors, origin)


def arguments_of_generator(net: nn.Module) -> dict[str, Any]:
    """Arguments of a generator, the rate of its mapping included, which no tensor tells."""
    assert isinstance(net, Generator)
    return {**generator_arguments(net.state_dict()), "mapping_rate": net.mapping_rate}


def generator_arguments(tensors: Tensors) -> dict[str, Any]:
    """Widths and mapping, read off the tensors."""
    depth = numbers(r"style\.(\d+)\.weight", tensors)
    blocks = numbers(r"convs\.(\d+)\.conv\.weight", tensors)[::2]
    first = size(tensors, "conv1.conv.weight", 1, 512)
    widths = [first, *(size(tensors, f"convs.{n}.conv.weight", 1, 512) for n in blocks)]
    return {
        "widths": tuple(widths) if blocks else published_widths(SIZE),
        "style": size(tensors, "style.1.weight", 1, 512),
        "depth": len(depth) or 8,
    }


def discriminator_arguments(tensors: Tensors) -> dict[str, Any]:
    """Widths, read off the tensors."""
    blocks = numbers(r"convs\.(\d+)\.conv2\.1\.weight", tensors)
    widths = [size(tensors, f"convs.{n}.conv2.1.weight", 0, 512) for n in reversed(blocks)]
    widths.append(size(tensors, "convs.0.0.weight", 0, 512))
    return {
        "widths": tuple(widths) if blocks else published_widths(SIZE),
        "hidden": size(tensors, "final_linear.1.weight", 1, 512),
    }


def mapping(tensors: Tensors, origin: str) -> nn.Module:
    """z to w alone, out of a generator's file."""
    style = size(tensors, "1.weight", 1, 512)
    depth = len(numbers(r"(\d+)\.weight", tensors)) or 8
    return fill(Generator((4,), style, depth).style, tensors, origin)


def lpips(tensors: Tensors, origin: str) -> nn.Module:
    """The perceptual distance; its backbone may have torchvision's keys, its scaling may lack."""
    net, renamed = Lpips(), dict(tensors)
    own = net.state_dict()
    layers = {key.split(".", 2)[2]: key for key in own if key.startswith("net.")}
    for key in [key for key in renamed if key.startswith("features.")]:
        place = key.removeprefix("features.")
        renamed[layers.get(place, key)] = renamed.pop(key)
    fixed = {key: own[key] for key in own if key.startswith("scaling_layer.")}
    return fill(net, fixed | without_fixed(renamed, fixed, origin), origin)


def numbers(pattern: str, tensors: Tensors) -> list[int]:
    """The numbers in the keys that match, in order."""
    found = (re.fullmatch(pattern, key) for key in tensors)
    return sorted(int(match[1]) for match in found if match)


def arguments_of_start(net: nn.Module) -> dict[str, Any]:
    """Sizes of the net that a voice's image starts from."""
    assert isinstance(net, VoiceStart)
    told, axes = net.directions.shape
    sizes = {"embedding": len(net.face_mean), "axes": axes, "told": told}
    return sizes | ({"traits": net.traits} if net.traits else {})


# Constructor arguments of each net.
ARGUMENTS: dict[type[nn.Module], Callable[[nn.Module], dict[str, Any]]] = {
    Generator: arguments_of_generator,
    Discriminator: lambda net: discriminator_arguments(net.state_dict()),
    Lpips: lambda net: {"stages": net.stages},
    VoiceStart: arguments_of_start,
}

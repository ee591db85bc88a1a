"""StyleGAN2, its perceptual distance and VoiceStyle's clusters out of the published files."""

import re
from typing import Any

import torch
from torch import nn

from voicemesh.nets.stylegan2 import Discriminator, Generator, published_widths

from .association import size
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


def numbers(pattern: str, tensors: Tensors) -> list[int]:
    """The numbers in the keys that match, in order."""
    found = (re.fullmatch(pattern, key) for key in tensors)
    return sorted(int(match[1]) for match in found if match)

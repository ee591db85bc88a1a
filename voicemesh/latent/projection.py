"""Inversion: the latents whose images come nearest to given pictures.

Published constants; unlike published, targets' features are computed once, nothing depends on
what else is in a batch, weights are frozen, and noise comes from a seed.
Source: audio-visual/voicestyle, generation/projector.py, after rosinality's.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.stylegan2 import Generator

from .losses import noise_regularity, normalise_noise
from .precision import Descent, lowered, rendered
from .statistics import Statistics

# What images are to come near to; whatever depends on the target alone is in it already.
Target = Callable[[Float[Tensor, "batch 3 _ _"]], Float[Tensor, " batch"]]


@dataclass(frozen=True)
class Course:
    """How fast a search moves, and how much its latents are shaken, from step to step."""

    steps: int = 300
    rate: float = 0.1  # of Adam, at most
    warm_up: float = 0.05  # share of the steps
    cool_down: float = 0.25
    shake: float = 0.05  # deviation of each coordinate in radii, at first
    calm: float = 0.75  # share of the steps after which nothing shakes

    def rate_at(self, step: int) -> float:
        """The rate of a step; that of the first is 0."""
        t = step / self.steps
        falling = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / self.cool_down))
        return self.rate * falling * min(1.0, t / self.warm_up)

    def shake_at(self, step: int) -> float:
        """Deviation, in radii, that is added to the latents at a step."""
        return self.shake * max(0.0, 1 - step / self.steps / self.calm) ** 2


INVERSION = Course()
REFINEMENT = Course(steps=100, rate=0.01)
NOISE_WEIGHT = 1e5


@dataclass(frozen=True)
class Options:
    """How to invert; the defaults are published."""

    course: Course = INVERSION
    w_plus: bool = False  # one style per layer
    noise: bool = True  # optimise noise maps too
    noise_weight: float = NOISE_WEIGHT
    prior: float = 0.0  # weight of the squared length of the whitened latent
    seed: int = 0
    half: torch.dtype | None = None  # of the nets


@dataclass(frozen=True, eq=False)
class Projection:
    """A step of an inversion."""

    step: int
    w: Float[Tensor, "batch *rows style"]
    noise: tuple[Float[Tensor, "batch 1 _ _"], ...]  # empty if it was not optimised
    loss: Float[Tensor, " batch"]


def project(
    generator: Generator,
    statistics: Statistics,
    target: Target,
    batch: int,
    options: Options = Options(),
    start: Float[Tensor, "batch style"] | None = None,
) -> Iterator[Projection]:
    """Search for `batch` latents under `target`, from `start` or the mean; yields every step.

    Stop whenever it is good enough. The generator's weights must not want gradients.
    """
    rng = torch.Generator().manual_seed(options.seed)
    device = generator.input.input.device
    first = statistics.mean.expand(batch, -1) if start is None else start
    if options.w_plus:
        first = generator.rows(first)
    w = first.detach().clone().requires_grad_()
    noise = []
    if options.noise:
        noise = [n.requires_grad_() for n in generator.fresh_noise(batch, rng)]
    adam = torch.optim.Adam([w, *noise], lr=options.course.rate)
    descent = Descent(adam, options.half)
    for step in range(options.course.steps):
        adam.param_groups[0]["lr"] = options.course.rate_at(step)
        shaken = w
        if deviation := options.course.shake_at(step) * float(statistics.radius):
            shaken = w + deviation * torch.randn(w.shape, generator=rng).to(device)
        image = rendered(generator, shaken, noise or None, options.half)
        with lowered(device, options.half):
            each = target(image).float()
        total = each.sum()
        if noise:
            total = total + options.noise_weight * per_image_regularity(noise)
        if options.prior:
            flat = w.flatten(0, -2)
            total = total + options.prior * statistics.whiten(flat).square().mean(1).sum()
        descent.step(total)
        for maps in noise:
            normalise_noise([maps[n : n + 1] for n in range(batch)])
        kept = tuple(maps.detach() for maps in noise)
        yield Projection(step, w.detach().clone(), kept, each.detach())


def per_image_regularity(noise: list[Float[Tensor, "batch 1 _ _"]]) -> Float[Tensor, ""]:
    """Sum of every image's own noise regularity."""
    images = range(len(noise[0]))
    return sum(noise_regularity([maps[n : n + 1] for maps in noise]) for n in images)


def prepared(
    pictures: list[UInt8[np.ndarray, "_ _ 3"]], side: int
) -> Float[Tensor, "batch 3 side side"]:
    """Pictures as targets: the shorter side to `side`, bilinearly, the middle, in [-1, 1]."""
    from PIL import Image

    found = []
    for picture in pictures:
        height, width = picture.shape[:2]
        factor = side / min(height, width)
        size = max(side, round(width * factor)), max(side, round(height * factor))
        scaled = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
        top, left = (size[1] - side) // 2, (size[0] - side) // 2
        found.append(scaled[top : top + side, left : left + side])
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 127.5 - 1


def block_means(image: Float[Tensor, "batch 3 _ _"], side: int) -> Float[Tensor, "batch 3 _ _"]:
    """Large images block by block as pictures of `side`; smaller ones as they are."""
    factor = image.shape[2] // side
    return functional.avg_pool2d(image, factor) if factor > 1 else image


def pixels_of(
    images: Float[Tensor, "batch 3 height width"],
) -> UInt8[np.ndarray, "batch height width 3"]:
    """Images in [-1, 1] as bytes, channels last; truncated, not rounded, as published."""
    scaled = (images.detach().clamp(-1, 1) + 1) / 2 * 255
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()

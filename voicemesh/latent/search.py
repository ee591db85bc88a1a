"""A search from a likely latent uphill in similarity, that stays among likely faces.

What is moved is the whitened latent, or the head that a generator was told where that is known,
held near its start and near the mean by a penalty that has a gradient (the published one has none),
against similarities of varied views, so that what rises is what a face looks like and not one net's
weakness. Noise maps stay as they are.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.stylegan2 import Generator

from .heads import Heads
from .losses import normalise_noise
from .precision import Descent, lowered, rendered
from .projection import NOISE_WEIGHT, REFINEMENT, Course, per_image_regularity
from .statistics import Statistics

# Images to how similar each is to what is looked for, a cosine.
Similarity = Callable[[Float[Tensor, "batch 3 _ _"]], Float[Tensor, " batch"]]


@dataclass(frozen=True)
class SearchOptions:
    """How far to go; the defaults are for small generators on a CPU."""

    steps: int = 30
    rate: float = 0.08  # of Adam, in deviations of the whitened latent
    stay: float = 0.4  # weight of the mean squared distance to the start
    likely: float = 0.02  # weight of the mean squared deviation
    views: int = 2  # varied looks at every image at every step
    axes: int = 0  # principal axes to move along; 0 is all
    seed: int = 0
    half: torch.dtype | None = None  # of the nets


@dataclass(frozen=True, eq=False)
class Found:
    """Where a search is: the images of all its candidates."""

    step: int  # 0 is the start
    w: Float[Tensor, "batch style"]
    images: Float[Tensor, "batch 3 size size"]
    similarity: Float[Tensor, " batch"]  # of the plain image


def climb(
    generator: Generator,
    statistics: Statistics,
    similarity: Similarity,
    start: Float[Tensor, "batch style"],
    options: SearchOptions = SearchOptions(),
    show_every: int = 1,
    heads: Heads | None = None,
) -> Iterator[Found]:
    """Climb from `start`; yields it, every `show_every`-th step and the last. Stop at any time.

    Each candidate comes out as the best of its steps by penalised similarity, and never less
    similar than it began. With `heads` a latent changes as the nearest head does that is moved.
    """
    rng = torch.Generator().manual_seed(options.seed)
    first = statistics.whiten(start)
    if options.axes:
        first[:, options.axes :] = 0  # in deviations, so that what is left is the mean
    begun_as = first if heads is None else heads.nearest(statistics, first)
    beside = None if heads is None else first - statistics.whiten(heads.w(begun_as))
    moved = torch.zeros_like(begun_as).requires_grad_()
    free = torch.ones_like(first)
    if options.axes:
        free[:, options.axes :] = 0
    adam = torch.optim.Adam([moved], lr=options.rate, betas=(0.8, 0.95))
    descent = Descent(adam, options.half)
    best, begun = None, torch.zeros(())
    for step in range(options.steps + 1):
        # From full rate to a tenth, along a cosine: the first step moves, unlike the published.
        share = step / max(1, options.steps)
        adam.param_groups[0]["lr"] = options.rate * (0.55 + 0.45 * math.cos(math.pi * share))
        place = begun_as + moved
        v = place if heads is None else statistics.whiten(heads.w(place)) + beside
        w = statistics.unwhiten(first + (v - first) * free)
        image = rendered(generator, w, None, options.half)
        with lowered(w.device, options.half):
            plain = similarity(image).float()
        penalty = options.stay * moved.square().mean(1) + options.likely * place.square().mean(1)
        worth = (plain - penalty).detach()
        if best is not None:  # never less similar than at the start, however likely
            worth = worth.where(plain >= begun, -math.inf)
        else:
            begun = plain.detach()
        now = (worth, w.detach(), image.detach(), plain.detach())
        best = now if best is None else kept_better(best, now)
        if step % show_every == 0 or step == options.steps:
            yield Found(step, *best[1:])
        if step == options.steps:
            return
        with lowered(w.device, options.half):
            looks = [similarity(varied(image, rng)).float() for _ in range(options.views)]
        gain = torch.stack([plain, *looks]).mean(0)
        descent.step((penalty - gain).sum())


def kept_better(best: tuple[Tensor, ...], now: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of two states, the better of each candidate, by the first entry."""
    better = now[0] > best[0]
    return tuple(
        torch.where(better.view(-1, *[1] * (old.ndim - 1)), new, old)
        for old, new in zip(best, now, strict=True)
    )


def varied(
    image: Float[Tensor, "batch 3 height width"], rng: torch.Generator
) -> Float[Tensor, "batch 3 height width"]:
    """The same face seen a little otherwise: moved, scaled, perhaps mirrored, lighter or darker."""
    batch = len(image)

    def uniform(low: float, high: float) -> Float[Tensor, " batch"]:
        return (low + (high - low) * torch.rand(batch, generator=rng)).to(image.device)

    scale, x, y = uniform(0.94, 1.04), uniform(-0.04, 0.04), uniform(-0.04, 0.04)
    mirror = uniform(-1, 1).sign()
    zero = torch.zeros_like(scale)
    rows = torch.stack([scale * mirror, zero, x, zero, scale, y], 1).unflatten(1, (2, 3))
    grid = functional.affine_grid(rows, list(image.shape), align_corners=False)
    seen = functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
    gain, offset = uniform(0.9, 1.1), uniform(-0.08, 0.08)
    return seen * gain[:, None, None, None] + offset[:, None, None, None]


def published_refinement(
    generator: Generator,
    statistics: Statistics,
    similarity: Similarity,
    start: Float[Tensor, "batch style"],
    course: Course = REFINEMENT,
    seed: int = 0,
    show_every: int = 20,
) -> Iterator[Found]:
    """VoiceStyle's own refinement, with an image every `show_every`-th step and of the last."""
    steps = published_steps(generator, statistics, similarity, start, course, seed)
    for step, (w, noise) in enumerate(steps):
        if step % show_every == 0 or step == course.steps:
            with torch.no_grad():
                image = generator(w, noise)
                yield Found(step, w, image, similarity(image))


def published_steps(
    generator: Generator,
    statistics: Statistics,
    similarity: Similarity,
    start: Float[Tensor, "batch style"],
    course: Course = REFINEMENT,
    seed: int = 0,
) -> Iterator[tuple[Float[Tensor, "batch style"], list[Float[Tensor, "batch 1 _ _"]]]]:
    """w and fresh noise maps, moved at published rates and weights: the start, then every step.

    Its latent regularisation is left out: it has no gradient. Each image has its own noise
    statistics, and noise comes from the seed.
    Source: audio-visual/voicestyle, generation/pipeline.py, optimize.
    """
    rng = torch.Generator().manual_seed(seed)
    w = start.detach().clone().requires_grad_()
    noise = [maps.requires_grad_() for maps in generator.fresh_noise(len(w), rng)]
    adam = torch.optim.Adam([w, *noise], lr=course.rate)
    yield w.detach().clone(), noise
    for step in range(course.steps):
        adam.param_groups[0]["lr"] = course.rate_at(step)
        deviation = course.shake_at(step) * float(statistics.radius)
        shaken = w + deviation * torch.randn(w.shape, generator=rng).to(w.device)
        distance = (1 - similarity(generator(shaken, noise))).sum()
        adam.zero_grad(set_to_none=True)
        (distance + NOISE_WEIGHT * per_image_regularity(noise)).backward()
        adam.step()
        for maps in noise:
            normalise_noise(list(maps.split(1)))
        yield w.detach().clone(), noise

"""Adaptive augmentation for discriminators (Karras et al., NeurIPS 2020): what one may not see.

Every image is warped and recoloured with a probability that follows how far the discriminator
overfits. Warps run at twice the resolution between low-pass filters, so nothing aliases.
Source: rosinality/stylegan2-pytorch, non_leaking.py; its quarter turns come out right here.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from voicemesh.kernels.upfirdn2d import upfirdn2d

# Low-pass filter of the sixth symlet, whose taps sum to sqrt(2): twice up, twice down is 4.
SYMLET = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
MARGIN = len(SYMLET) // 4  # pixels around the result that its filter reads
LUMA = (1 / math.sqrt(3),) * 3  # axis of grey

Maps = Float[Tensor, "batch 3 3"]
Colours = Float[Tensor, "batch 4 4"]
Images = Float[Tensor, "batch 3 height width"]


def augment(
    images: Images, probability: float, rng: torch.Generator, turns: bool = True
) -> Float[Tensor, "batch 3 height width"]:
    """Warp and recolour every image at random; differentiable by the images, twice.

    `turns` are quarter turns and free rotations, which faces do without where data is plenty.
    """
    batch, _, height, width = images.shape
    maps = random_maps(batch, (height, width), probability, rng, turns).to(images.device)
    colours = random_colours(batch, probability, rng).to(images.device)
    return recoloured(warped(images, maps), colours)


def random_maps(
    batch: int, size: tuple[int, int], p: float, rng: torch.Generator, turns: bool = True
) -> Float[Tensor, "batch 3 3"]:
    """Where each pixel of the result comes from, in pixels about the middle (x, y, 1).

    In this order, each with probability `p`: mirroring, quarter turns, whole-pixel shift, scale,
    rotation, stretch, rotation, shift.
    """

    def uniform(low: float, high: float, count: int = 1) -> Float[Tensor, "batch count"]:
        return low + (high - low) * torch.rand(batch, count, generator=rng)

    def normal(deviation: float, count: int = 1) -> Float[Tensor, "batch count"]:
        return deviation * torch.randn(batch, count, generator=rng)

    def some(share: float) -> Bool[Tensor, "batch 1"]:
        return torch.rand(batch, 1, generator=rng) < share

    height, width = size
    extent = torch.tensor([width, height])
    mirror = 1 - 2 * (some(p) & some(0.5)).float()
    whole = scaling(torch.cat([mirror, torch.ones_like(mirror)], 1))
    quarters = torch.randint(4, (batch, 1), generator=rng) * some(p)
    if turns:
        whole = rotation(quarters * (math.pi / 2)) @ whole
    shift = (uniform(-0.125, 0.125, 2) * extent).round() * some(p)
    whole = translation(shift) @ whole
    size_factor = torch.exp2(normal(0.2) * some(p))
    whole = scaling(size_factor.expand(-1, 2)) @ whole
    share = (1 - math.sqrt(1 - p)) * turns  # of each of two rotations: together p
    whole = rotation(uniform(-math.pi, math.pi) * some(share)) @ whole
    stretch = torch.exp2(normal(0.2) * some(p))
    whole = scaling(torch.cat([stretch, 1 / stretch], 1)) @ whole
    whole = rotation(uniform(-math.pi, math.pi) * some(share)) @ whole
    whole = translation(normal(0.125, 2) * extent * some(p)) @ whole
    return torch.linalg.inv(whole)


def random_colours(batch: int, p: float, rng: torch.Generator) -> Float[Tensor, "batch 4 4"]:
    """Colour maps: brightness, contrast, flip of the luma, hue, saturation, each with `p`."""

    def drawn(share: float, values: Float[Tensor, " batch"], idle: float) -> Float[Tensor, "b 1 1"]:
        chosen = torch.rand(batch, generator=rng) < share
        return torch.where(chosen, values, torch.full_like(values, idle))[:, None, None]

    def normal(deviation: float) -> Float[Tensor, " batch"]:
        return deviation * torch.randn(batch, generator=rng)

    unit = torch.eye(4).expand(batch, 4, 4)
    axis = torch.tensor([*LUMA, 0.0])
    grey = torch.outer(axis, axis)
    whole = unit.clone()
    whole[:, :3, 3:] = drawn(p, normal(0.2), 0.0)
    contrast = unit.clone()
    contrast[:, :3, :3] *= drawn(p, torch.exp2(normal(0.5)), 1.0)
    flips = (torch.rand(batch, generator=rng) < 0.5).float()
    flip = unit - 2 * grey * drawn(p, flips, 0.0)
    angle = drawn(p, (2 * torch.rand(batch, generator=rng) - 1) * math.pi, 0.0)
    cross = torch.zeros(4, 4)
    cross[:3, :3] = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    colour = torch.diag(torch.tensor([1.0, 1, 1, 0]))
    beside = torch.diag(torch.tensor([0.0, 0, 0, 1]))
    hue = grey + (colour - grey) * angle.cos() + cross * angle.sin() + beside
    factor = drawn(p, torch.exp2(normal(1.0)), 1.0)
    saturation = grey + (colour - grey) * factor + beside
    return saturation @ hue @ flip @ contrast @ whole


def warped(images: Images, maps: Maps) -> Float[Tensor, "batch 3 height width"]:
    """Each image through its map, mirrored at its edges, black beyond the mirror image."""
    _, _, height, width = images.shape
    left, right, top, bottom = reach(maps, height, width)
    padded = functional.pad(images, (left, right, top, bottom), mode="reflect")
    filtered = torch.tensor(SYMLET, dtype=images.dtype, device=images.device)
    taps = len(SYMLET)
    before, after = (taps + 1) // 2, (taps - 2) // 2
    doubled = upfirdn2d(padded, filtered[None], (2, 1), 1, (before, after, 0, 0))
    doubled = upfirdn2d(doubled, filtered[:, None], (1, 2), 1, (0, 0, before, after))
    # From the middle of the result, in its half pixels, to the middle of the doubled image.
    inner = torch.tensor([[(left - right) / 2, (top - bottom) / 2]], dtype=maps.dtype)
    half = torch.full((1, 2), 0.5, dtype=maps.dtype)
    moved = translation(inner.to(maps.device)) @ maps
    moved = scaling(4 * half).to(maps) @ moved @ scaling(half).to(maps)
    moved = translation(-half).to(maps) @ moved @ translation(half).to(maps)
    rows, columns = 2 * (height + 2 * MARGIN), 2 * (width + 2 * MARGIN)
    into = torch.tensor([[2 / doubled.shape[3], 2 / doubled.shape[2]]], dtype=maps.dtype)
    out = torch.tensor([[columns / 2, rows / 2]], dtype=maps.dtype)
    moved = scaling(into).to(maps) @ moved @ scaling(out).to(maps)
    shape = (len(images), 3, rows, columns)
    grid = functional.affine_grid(moved[:, :2].to(images.dtype), shape, align_corners=False)
    sampled = sample(doubled, grid)
    before, after = (taps - 1) // 2 - 2 * MARGIN, (taps - 2) // 2 - 2 * MARGIN
    turned = filtered.flip(0)
    halved = upfirdn2d(sampled, turned[None], 1, (2, 1), (before, after, 0, 0))
    return upfirdn2d(halved, turned[:, None], 1, (1, 2), (0, 0, before, after))


def reach(maps: Maps, height: int, width: int) -> tuple[int, int, int, int]:
    """Pixels to mirror left, right, above and below, enough for the batch's widest map."""
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = torch.tensor([[-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]]).to(maps)
    places = (maps @ corners.T)[:, :2].transpose(0, 1).flatten(1)
    furthest = torch.stack([-places.amin(1), places.amax(1)], 1)  # x: left, right; y: above, below
    extra = torch.tensor([[x], [y]]).to(maps)
    pixels = (furthest - extra + 2 * MARGIN).clamp(min=0).ceil()
    limits = torch.tensor([[width - 1], [height - 1]]).to(maps)
    left, right, top, bottom = torch.minimum(pixels, limits).int().flatten().tolist()
    return left, right, top, bottom


def sample(
    images: Float[Tensor, "batch 3 _ _"], grid: Float[Tensor, "batch rows columns 2"]
) -> Float[Tensor, "batch 3 rows columns"]:
    """Bilinear samples, zero outside."""
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def recoloured(images: Images, colours: Colours) -> Float[Tensor, "batch 3 height width"]:
    """Each image's colours (R, G, B, 1) through its map."""
    moved = torch.einsum("bij,bjhw->bihw", colours[:, :3, :3].to(images.dtype), images)
    return moved + colours[:, :3, 3, None, None].to(images.dtype)


def translation(shift: Float[Tensor, "batch 2"]) -> Float[Tensor, "batch 3 3"]:
    """Maps that move by (x, y)."""
    maps = torch.eye(3, dtype=shift.dtype, device=shift.device).repeat(len(shift), 1, 1)
    maps[:, :2, 2] = shift
    return maps


def scaling(factor: Float[Tensor, "batch 2"]) -> Float[Tensor, "batch 3 3"]:
    """Maps that scale x and y."""
    return torch.diag_embed(torch.cat([factor, torch.ones_like(factor[:, :1])], 1))


def rotation(angle: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 3 3"]:
    """Maps that turn by an angle in radians."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, one]
    return torch.cat(rows, 1).unflatten(1, (3, 3))


class Adaptive:
    """The probability: it rises while the discriminator is too sure of its real images.

    Every `every` batches the mean sign of their scores is held against `target`.
    """

    def __init__(self, target: float = 0.6, images: int = 500_000, every: int = 8) -> None:
        self.target, self.images, self.every = target, images, every
        self.probability, self._signs, self._seen, self._batches = 0.0, 0.0, 0, 0

    def update(self, scores: Float[Tensor, "batch 1"]) -> float:
        """The probability after the scores of one more batch of real images."""
        self._signs += float(scores.detach().sign().sum())
        self._seen += len(scores)
        self._batches += 1
        if self._batches == self.every:
            sure = self._signs / self._seen
            step = math.copysign(self._seen / self.images, sure - self.target)
            self.probability = min(1.0, max(0.0, self.probability + step))
            self._signs, self._seen, self._batches = 0.0, 0, 0
        return self.probability

    def state_dict(self) -> dict[str, float]:
        """What resuming needs."""
        return {
            "probability": self.probability,
            "signs": self._signs,
            "seen": self._seen,
            "batches": self._batches,
        }

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from there."""
        self.probability, self._signs = state["probability"], state["signs"]
        self._seen, self._batches = int(state["seen"]), int(state["batches"])

"""Views of face pictures to learn from: moved, mirrored, in another light, out of focus."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.images import MIDDLE


@dataclass(frozen=True)
class Views:
    """How far a view may be from its picture; zeros leave it as it is."""

    mirror: bool = True
    turn: float = 6.0  # degrees
    zoom: float = 0.06  # share of the size
    shift: float = 0.04  # share of the side
    light: float = 0.25  # of brightness, contrast and, by half, each colour
    blur: float = 0.5  # largest share of a picture averaged over 3 x 3 pixels
    noise: float = 0.03  # deviation, of a range from -1 to 1

    def scaled(self, strength: float) -> "Views":
        """Views so many times as far from their pictures."""
        return Views(
            self.mirror,
            **{
                entry.name: strength * getattr(self, entry.name)
                for entry in fields(self)
                if entry.name != "mirror"
            },
        )


def scaled(pixels: UInt8[Tensor, "batch side _ 3"]) -> Float[Tensor, "batch 3 side _"]:
    """Pictures as nets read them: in [-1, 1], channels first."""
    return (pixels.permute(0, 3, 1, 2).float() - MIDDLE) / MIDDLE


def viewed(
    pixels: UInt8[Tensor, "batch side _ 3"], views: Views
) -> Float[Tensor, "batch 3 side _"]:
    """A random view of each picture, drawn from PyTorch's generator."""
    return seen(pixels, views, random_moves(len(pixels), views, pixels.device))


def seen(
    pixels: UInt8[Tensor, "batch side _ 3"], views: Views, moves: Float[Tensor, "batch 2 3"]
) -> Float[Tensor, "batch 3 side _"]:
    """Pictures moved like this, in random light and focus."""
    size = [len(pixels), 3, *pixels.shape[1:3]]
    grid = functional.affine_grid(moves, size, False)
    image = functional.grid_sample(scaled(pixels), grid, "bilinear", "border", False)
    count = (len(image), 1, 1, 1)
    softness = views.blur * torch.rand(count, device=image.device)
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    image = image + softness * (functional.avg_pool2d(padded, 3, 1) - image)
    colour = 1 + views.light * signed((len(image), 3, 1, 1), image) / 2
    contrast = 1 + views.light * signed(count, image)
    image = image * contrast * colour + views.light * signed(count, image)
    return (image + views.noise * torch.randn_like(image)).clamp(-1, 1)


def random_moves(
    count: int, views: Views, device: torch.device | None = None
) -> Float[Tensor, "count 2 3"]:
    """Where a place of each view lies in its picture; both reach from -1 to 1."""
    like = torch.empty(0, device=device)
    angle = torch.deg2rad(views.turn * signed((count,), like))
    size = 1 + views.zoom * signed((count,), like)
    side = torch.ones(count, device=device)
    if views.mirror:
        side = 1 - 2.0 * torch.randint(2, (count,), device=device)
    shift = 2 * views.shift * signed((count, 2), like)
    cosine, sine = size * angle.cos(), size * angle.sin()
    rows = torch.stack([cosine * side, -sine, shift[:, 0], sine * side, cosine, shift[:, 1]], 1)
    return rows.view(-1, 2, 3)


def signed(shape: tuple[int, ...], like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Even between -1 and 1."""
    return 2 * torch.rand(shape, device=like.device) - 1

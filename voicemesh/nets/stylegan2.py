"""StyleGAN2 (Karras et al., CVPR 2020): mapping, generator and discriminator, keys as published.

A net is told by its widths, the channels at 4 x 4, 8 x 8, ... up to its size; `published_widths`
and `narrow_widths` list them. Source: rosinality/stylegan2-pytorch, model.py.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .stylegan2_layers import (
    SMALLEST,
    Blur,
    ChannelBias,
    Constant,
    EqualConv,
    EqualLinear,
    InputNormalisation,
    StyledConv,
    ToRgb,
)

GROUP = 4  # images whose deviation the discriminator looks at together
SILENT: tuple[Tensor, ...] = ()  # noise maps that add nothing
Widths = Sequence[int]


def published_widths(size: int, multiplier: int = 2) -> tuple[int, ...]:
    """512 channels up to 32 pixels, then 256, 128, ... times the multiplier."""
    return tuple(512 if side <= 32 else 16384 * multiplier // side for side in sides(size))


def narrow_widths(size: int, base: int, cap: int) -> tuple[int, ...]:
    """At most `cap` channels, and `base` shared by the pixels of a row."""
    return tuple(min(cap, base // side) for side in sides(size))


def sides(size: int) -> list[int]:
    """4, 8, ... up to the size.

    Raises:
        ValueError: the size is no power of two from 4 on.
    """
    if size < SMALLEST or size & (size - 1):
        raise ValueError(f"A size is a power of two of at least {SMALLEST}; {size} is not")
    return [2**power for power in range(2, size.bit_length())]


class Generator(nn.Module):
    """Gaussian z to w (`mapping`), w to images that are in [-1, 1] but for a few pixels.

    A layer of 3 x 3 or towards colours reads one row of w+; neighbours share some.
    """

    def __init__(
        self, widths: Widths, style: int = 512, depth: int = 8, mapping_rate: float = 0.01
    ) -> None:
        super().__init__()
        layers = (EqualLinear(style, style, 0.0, mapping_rate, True) for _ in range(depth))
        self.style = nn.Sequential(InputNormalisation(), *layers)
        self.input = Constant(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], style)
        self.to_rgb1 = ToRgb(widths[0], style, up=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for before, after in pairwise(widths):
            self.convs.append(StyledConv(before, after, style, up=True))
            self.convs.append(StyledConv(after, after, style))
            self.to_rgbs.append(ToRgb(after, style))
        self.widths, self.features, self.mapping_rate = tuple(widths), style, mapping_rate
        for number, noise in enumerate(self.fresh_noise(1)):
            self.noises.register_buffer(f"noise_{number}", noise)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return SMALLEST << (len(self.widths) - 1)

    @property
    def layers(self) -> int:
        """Rows of w+."""
        return 2 * len(self.widths)

    def mapping(self, z: Float[Tensor, "batch style"]) -> Float[Tensor, "batch style"]:
        """Gaussian vectors to styles."""
        return self.style(z)

    def stored_noise(self) -> list[Float[Tensor, "1 1 _ _"]]:
        """The noise maps that belong to the net, first layer first."""
        return [getattr(self.noises, f"noise_{n}") for n in range(1 + len(self.convs))]

    def fresh_noise(
        self, batch: int, rng: torch.Generator | None = None
    ) -> list[Float[Tensor, "batch 1 _ _"]]:
        """Gaussian noise maps, drawn on the CPU so that a seed means the same everywhere."""
        sizes = [SMALLEST << ((number + 1) // 2) for number in range(1 + len(self.convs))]
        drawn = (torch.randn(batch, 1, side, side, generator=rng) for side in sizes)
        return [noise.to(self.input.input.device) for noise in drawn]

    def rows(
        self, w: Float[Tensor, "batch style"] | Float[Tensor, "batch layers style"]
    ) -> Float[Tensor, "batch layers style"]:
        """w+ of w: every layer reads the same.

        Raises:
            ValueError: w+ of another number of rows.
        """
        w_plus = w[:, None].expand(-1, self.layers, -1) if w.ndim == 2 else w
        if w_plus.shape[1:] != (self.layers, self.features):
            raise ValueError(
                f"The generator reads {self.layers} styles of {self.features} values an image;"
                f" given {tuple(w.shape)}"
            )
        return w_plus

    def forward(
        self,
        w: Float[Tensor, "batch style"] | Float[Tensor, "batch layers style"],
        noise: Sequence[Float[Tensor, "_ 1 _ _"]] | None = None,
        size: int | None = None,
    ) -> Float[Tensor, "batch 3 size size"]:
        """Images of w or w+.

        Args:
            noise: one map per layer; the stored ones unless given, `SILENT` for none.
            size: of the images if they are to be smaller: the branches up to it alone.
        """
        styles = self.rows(w).unbind(1)
        maps: Sequence[Tensor | None] = self.stored_noise() if noise is None else noise
        maps = maps or [None] * (1 + len(self.convs))
        x = self.conv1(self.input.input.expand(len(w), -1, -1, -1), styles[0], maps[0])
        image = self.to_rgb1(x, styles[1])
        blocks = len(self.to_rgbs) if size is None else len(sides(size)) - 1
        for block, to_rgb in enumerate(self.to_rgbs[:blocks]):
            first = 2 * block
            x = self.convs[first](x, styles[first + 1], maps[first + 1])
            x = self.convs[first + 1](x, styles[first + 2], maps[first + 2])
            image = to_rgb(x, styles[first + 3], image)
        return image


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip, each halving the size after the low-pass filter."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(EqualConv(before, before, 3, padding=1), ChannelBias(before))
        self.conv2 = nn.Sequential(
            Blur((2, 2)), EqualConv(before, after, 3, stride=2), ChannelBias(after)
        )
        self.skip = nn.Sequential(Blur((1, 1)), EqualConv(before, after, 1))

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """Maps of half the size."""
        # Filtered at half the rate first, 1 x 1 after: published the other way round, same sums.
        skipped = self.skip[1](self.skip[0](x, down=2))
        return (self.conv2(self.conv1(x)) + skipped) / math.sqrt(2)


class Discriminator(nn.Module):
    """Images to one score each: high is real. It also sees how much images of a group differ."""

    def __init__(self, widths: Widths, hidden: int | None = None) -> None:
        """`widths` as of a generator; `hidden` values of the last layer but one, as many as the
        channels at 4 x 4 unless given."""
        super().__init__()
        hidden = hidden or widths[0]
        down = list(widths[::-1])
        stem = nn.Sequential(EqualConv(3, down[0], 1), ChannelBias(down[0]))
        blocks = (ResidualBlock(*pair) for pair in pairwise(down))
        self.convs = nn.Sequential(stem, *blocks)
        self.final_conv = nn.Sequential(
            EqualConv(widths[0] + 1, widths[0], 3, padding=1), ChannelBias(widths[0])
        )
        self.final_linear = nn.Sequential(
            EqualLinear(widths[0] * SMALLEST**2, hidden, activate=True), EqualLinear(hidden, 1)
        )
        self.widths = tuple(widths)

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch 1"]:
        """Scores, of no fixed range."""
        x = self.convs(image)
        x = torch.cat([x, group_deviation(x)], 1)
        return self.final_linear(self.final_conv(x).flatten(1))


def group_deviation(
    x: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Mean deviation within each image's group: those whose numbers are alike modulo the groups.

    Raises:
        ValueError: a batch that is not of whole groups.
    """
    batch, _, height, width = x.shape
    group = min(batch, GROUP)
    if batch % group:
        raise ValueError(f"A batch of {batch} images has no whole groups of {group}")
    apart = x.unflatten(0, (group, -1)).to(torch.promote_types(x.dtype, torch.float32))
    deviation = (apart.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).to(x.dtype)
    return deviation.repeat(group)[:, None, None, None].expand(-1, 1, height, width)


def mixed(
    first: Float[Tensor, "batch style"], second: Float[Tensor, "batch style"], start: int, rows: int
) -> Float[Tensor, "batch rows style"]:
    """w+ of the first style, and of the second from row `start` on."""
    whole = first[:, None].repeat(1, rows, 1)
    whole[:, start:] = second[:, None]
    return whole


def truncated(
    w: Float[Tensor, "batch *rows style"], mean: Float[Tensor, "*_ style"], psi: float
) -> Float[Tensor, "batch *rows style"]:
    """w drawn towards the mean: 1 leaves it, 0 is the mean."""
    return mean + psi * (w - mean)

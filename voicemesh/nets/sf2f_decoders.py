"""The face decoders of SF2F: by gated doublings, or as in its baseline.

Source: BAI-Yeqi/SF2F_PyTorch, models/face_decoders.py.
"""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

START = 4  # pixels of the side of the first map


class Grow(nn.Module):
    """A transposed convolution, rectified but for the last one."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """The larger map."""
        return self.model(x)


class TransposedDecoder(nn.Module):
    """Embedding to one image by transposed convolutions: the decoder of the baseline."""

    def __init__(
        self,
        embedding: int = 512,
        widths: Sequence[int] = (1024, 512, 256, 128, 64),
        channels: int = 3,
    ) -> None:
        super().__init__()
        first, *others = widths
        layers = [Grow(nn.ConvTranspose2d(embedding, first, START), nn.ReLU(inplace=True))]
        for before, after in zip(widths, others, strict=False):
            grow = nn.ConvTranspose2d(before, after, 4, 2, 1)
            layers.append(Grow(grow, nn.ReLU(inplace=True)))
        layers.append(Grow(nn.ConvTranspose2d(widths[-1], channels, 1)))
        self.model = nn.Sequential(*layers)

    def forward(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> tuple[Float[Tensor, "batch channels side side"], ...]:
        """The image, in a tuple of one."""
        return (self.picture(embedding),)

    def picture(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channels side side"]:
        """The image."""
        return self.model(embedding[:, :, None, None])


def doubling(before: int, after: int) -> nn.Sequential:
    """Twice the side, gated: half the channels are what the other half lets through."""
    convolution = nn.Conv2d(before, 2 * after, 3, 1, 1, bias=False)
    return nn.Sequential(
        nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(2 * after), nn.GLU(1)
    )


def colouring(width: int, channels: int) -> nn.Sequential:
    """Maps to colours."""
    # The option files say a slope of 0.1; what they say never arrives.
    return nn.Sequential(
        nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.01), nn.Conv2d(width, channels, 1)
    )


class GatedDecoder(nn.Module):
    """Embedding to an image of 64 pixels, or to one of 64 and one of 128.

    Args:
        widths: channels at 4 pixels and after each doubling of the side.
        large: channels of one more doubling, for a second image; 0 is none.
    """

    def __init__(
        self,
        embedding: int = 512,
        widths: Sequence[int] = (512, 256, 128, 64, 32),
        large: int = 0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        flat = 2 * widths[0] * START * START
        linear = nn.Linear(embedding, flat, bias=False)
        self.fc = nn.Sequential(linear, nn.BatchNorm1d(flat), nn.GLU(1))
        layers = nn.Sequential(*(doubling(before, after) for before, after in pairwise(widths)))
        self.large, low = large, colouring(widths[-1], channels)
        if large:
            self.up_low_layers, self.gnet_low = layers, low
            self.up_mid_layer = doubling(widths[-1], large)
            self.gnet_mid = colouring(large, channels)
        else:
            self.up_layers, self.gnet = layers, low

    def forward(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> tuple[Float[Tensor, "batch channels height width"], ...]:
        """Images from small to large."""
        maps = self.maps(embedding)
        if not self.large:
            return (self.gnet(maps),)
        return self.gnet_low(maps), self.gnet_mid(self.up_mid_layer(maps))

    def picture(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channels side side"]:
        """The largest image alone."""
        maps = self.maps(embedding)
        return self.gnet_mid(self.up_mid_layer(maps)) if self.large else self.gnet(maps)

    def maps(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch width height width_"]:
        """What the smaller image is coloured from."""
        first = self.fc(embedding).unflatten(1, (-1, START, START))
        return (self.up_low_layers if self.large else self.up_layers)(first)

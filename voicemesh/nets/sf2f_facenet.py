"""Inception-ResNet-V1, the face network that SF2F learns from and is measured by.

Keys are those of the weights that facenet-pytorch publishes.
Source: BAI-Yeqi/SF2F_PyTorch, models/inception_resnet_v1.py; Szegedy et al., AAAI 2017.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .sf2f import shown

SIDE = 140  # that a crop is stretched to; the weights were trained at 160
BOX = (0.235, 0.195, 0.765, 0.915)  # left, top, right, bottom of the face in a VGGFace2 picture
EPSILON = 1e-3  # of all norms


class Unit(nn.Module):
    """A convolution without bias, a norm, a rectifier."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=EPSILON)

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """The rectified maps."""
        return functional.relu(self.bn(self.conv(x)), inplace=not torch.is_grad_enabled())


class Residual(nn.Module):
    """Branches side by side, joined by one convolution and added, scaled down, to the input."""

    def __init__(
        self, branches: list[nn.Module], joined: int, width: int, scale: float, last: bool = False
    ) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)
        self.conv2d = nn.Conv2d(joined, width, 1)
        self.branches, self.scale, self.last = len(branches), scale, last

    def forward(
        self, x: Float[Tensor, "batch width height width_"]
    ) -> Float[Tensor, "batch width height width_"]:
        """The sum; rectified but for the last block."""
        parts = [getattr(self, f"branch{number}")(x) for number in range(self.branches)]
        added = x + self.scale * self.conv2d(torch.cat(parts, 1))
        return added if self.last else functional.relu(added)


class Reduction(nn.Module):
    """Strided branches and a maximum, side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = len(branches)
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)

    def forward(
        self, x: Float[Tensor, "batch width height width_"]
    ) -> Float[Tensor, "batch wider _ _"]:
        """Maps of half the side."""
        parts = [getattr(self, f"branch{number}")(x) for number in range(self.branches)]
        return torch.cat([*parts, functional.max_pool2d(x, 3, 2)], 1)


def block35() -> Residual:
    """Of 256 maps."""
    branches = [
        Unit(256, 32, 1),
        nn.Sequential(Unit(256, 32, 1), Unit(32, 32, 3, padding=1)),
        nn.Sequential(Unit(256, 32, 1), Unit(32, 32, 3, padding=1), Unit(32, 32, 3, padding=1)),
    ]
    return Residual(branches, 96, 256, 0.17)


def block17() -> Residual:
    """Of 896 maps."""
    wide, high = Unit(128, 128, (1, 7), padding=(0, 3)), Unit(128, 128, (7, 1), padding=(3, 0))
    branches = [Unit(896, 128, 1), nn.Sequential(Unit(896, 128, 1), wide, high)]
    return Residual(branches, 256, 896, 0.10)


def block8(last: bool = False) -> Residual:
    """Of 1792 maps."""
    wide, high = Unit(192, 192, (1, 3), padding=(0, 1)), Unit(192, 192, (3, 1), padding=(1, 0))
    branches = [Unit(1792, 192, 1), nn.Sequential(Unit(1792, 192, 1), wide, high)]
    return Residual(branches, 384, 1792, 1.0 if last else 0.20, last)


class Layers(NamedTuple):
    """What faces look like at four depths, and the features before the last linear map."""

    repeat_1: Float[Tensor, "batch 256 _ _"]
    repeat_2: Float[Tensor, "batch 896 _ _"]
    repeat_3: Float[Tensor, "batch 1792 _ _"]
    pooled: Float[Tensor, "batch 1792"]  # of unit length
    embedding: Float[Tensor, "batch 512"]  # of unit length


class FaceNet(nn.Module):
    """A face crop in about [-1, 1] to an embedding of unit length.

    Args:
        classes: identities to tell apart; the embedding is the same whatever they are.
    """

    def __init__(self, classes: int = 8631, dropout: float = 0.6) -> None:
        super().__init__()
        self.conv2d_1a = Unit(3, 32, 3, 2)
        self.conv2d_2a = Unit(32, 32, 3)
        self.conv2d_2b = Unit(32, 64, 3, padding=1)
        self.conv2d_3b = Unit(64, 80, 1)
        self.conv2d_4a = Unit(80, 192, 3)
        self.conv2d_4b = Unit(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(block35() for _ in range(5)))
        self.mixed_6a = Reduction(
            Unit(256, 384, 3, 2),
            nn.Sequential(Unit(256, 192, 1), Unit(192, 192, 3, padding=1), Unit(192, 256, 3, 2)),
        )
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(10)))
        self.mixed_7a = Reduction(
            nn.Sequential(Unit(896, 256, 1), Unit(256, 384, 3, 2)),
            nn.Sequential(Unit(896, 256, 1), Unit(256, 256, 3, 2)),
            nn.Sequential(Unit(896, 256, 1), Unit(256, 256, 3, padding=1), Unit(256, 256, 3, 2)),
        )
        self.repeat_3 = nn.Sequential(*(block8() for _ in range(5)))
        self.block8 = block8(last=True)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=EPSILON)
        self.logits = nn.Linear(512, classes)

    def forward(
        self, faces: Float[Tensor, "batch 3 height width"], stretched: bool = True
    ) -> Float[Tensor, "batch 512"]:
        """Embeddings; crops of any size are `stretched` to the one that is used as published."""
        return self.layers(faces, stretched).embedding

    def layers(
        self, faces: Float[Tensor, "batch 3 height width"], stretched: bool = True
    ) -> Layers:
        """Everything that the published loss and measures compare."""
        if stretched:
            faces = functional.interpolate(faces, (SIDE, SIDE), mode="bilinear", align_corners=True)
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(faces)))
        x = self.conv2d_4a(self.conv2d_3b(functional.max_pool2d(x, 3, 2)))
        first = self.repeat_1(self.conv2d_4b(x))
        second = self.repeat_2(self.mixed_6a(first))
        third = self.repeat_3(self.mixed_7a(second))
        features = self.block8(third).mean((2, 3))
        told = self.last_bn(self.last_linear(self.dropout(features)))
        return Layers(
            first, second, third, functional.normalize(features), functional.normalize(told)
        )


def prepared(
    image: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 rows columns"]:
    """The face of an image in ImageNet colours as the published loss and measures crop it."""
    height, width = image.shape[2:]
    left, top, right, bottom = (
        int(share * size) for share, size in zip(BOX, (width, height, width, height), strict=True)
    )
    scaled = ((shown(image) * 255).clamp(0, 255) - 127.5) / 128
    return scaled[:, :, top : bottom + 1, left : right + 1]

"""Networks of CMPC (Zhu et al., IJCAI 2022): two ResNet-34, one for voices, one for faces.

Keys are those of the published state dicts. There is no projection head: the one in the authors'
code is never called. Source: Cocoxili/CMPC and audio-visual/cmpc2, fv_resnet.py, fv_wrapper.py.
Two small nets of our own stand beside them; they say themselves what they read.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .cmp import VoiceEncoder


class BasicBlock(nn.Module):
    """Convolution, norm, ReLU, convolution, norm, plus the shortcut, ReLU."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """Maps of the next width."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNetEncoder(nn.Module):
    """Maps of any size to one vector, the mean over the plane: no value is below zero.

    The defaults are the published face network; the voice network has one input channel. A last
    width other than `embedding` is pooled to it, as published.
    """

    def __init__(
        self,
        channels: int = 3,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        embedding: int | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            layers: list[nn.Module] = []
            for number in range(count):
                layers.append(BasicBlock(before, width, 2 if stage and not number else 1))
                before = width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages = len(widths)
        self.embedding = embedding or before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised. A voice comes as one channel of mels by frames."""
        return functional.adaptive_avg_pool1d(self.maps(x).mean((2, 3)), self.embedding)

    def maps(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """What the last stage sees, before it is averaged."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x


class VoiceFacePair(nn.Module):
    """Both encoders, as the published checkpoints hold them."""

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        embedding: int | None = None,
    ) -> None:
        super().__init__()
        self.voice_subnet = ResNetEncoder(1, blocks, widths, embedding)
        self.face_subnet = ResNetEncoder(3, blocks, widths, embedding)

    def forward(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        image: Float[Tensor, "batch 3 height width"],
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Embeddings of voices and of faces, not normalised."""
        return self.voice_subnet(log_mel[:, None]), self.face_subnet(image)


class FeatureVoiceEncoder(nn.Module):
    """Small: a front end's frames through strided convolutions in time, the mean over frames.

    The embedding takes both signs, so that two voices can be as far apart as vectors can; the
    published one takes none below zero, where all cosines lie between 0 and 1.
    """

    def __init__(
        self,
        front_end: str = "voicemesh",
        channels: int = 112,
        widths: Sequence[int] = (128, 192, 288, 432),
        embedding: int = 128,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        whole = VoiceEncoder(channels, widths, embedding).model
        self.trunk, self.head = whole[:-1], whole[-1]

    def forward(
        self, features: Float[Tensor, "batch channel frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised."""
        return self.head(self.trunk(features)).mean(-1)


class GridFaceEncoder(nn.Module):
    """Small: residual stages, then a linear map that knows where on the picture a map was seen.

    A mean over the plane forgets the place of what it saw, and sizes are distances between places.
    The embedding takes both signs.

    Args:
        side: of the square pictures that the net is to be shown, in pixels.
        grid: rows and columns that the last maps are averaged to.
    """

    def __init__(
        self,
        side: int = 96,
        blocks: Sequence[int] = (1, 1, 1, 1),
        widths: Sequence[int] = (24, 48, 96, 160),
        grid: int = 3,
        embedding: int = 128,
    ) -> None:
        super().__init__()
        self.side, self.grid = side, grid
        self.trunk = ResNetEncoder(3, blocks, widths)
        self.project = nn.Linear(widths[-1] * grid**2, embedding)

    def forward(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised."""
        maps = functional.adaptive_avg_pool2d(self.trunk.maps(image), self.grid)
        return self.project(maps.flatten(1))

"""Networks of CMPC (Zhu et al., IJCAI 2022): two ResNet-34, one for voices, one for faces.

Keys are those of the published state dicts. There is no projection head: the one in the authors'
code is never called. Source: Cocoxili/CMPC and audio-visual/cmpc2, fv_resnet.py, fv_wrapper.py.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


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
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return functional.adaptive_avg_pool1d(x.mean((2, 3)), self.embedding)


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

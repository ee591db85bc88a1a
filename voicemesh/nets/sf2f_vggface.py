"""ResNet-50 of VGGFace2, whose certainty about generated faces is the VGGFace Score.

Keys are those of the published weights.
Source: BAI-Yeqi/SF2F_PyTorch, scripts/compute_vggface_score.py; Cao et al., FG 2018.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

SIDE = 224
MEAN = (131.0912, 103.8827, 91.4953)  # of R, G and B, from 0 to 255
EXPANSION = 4


class Bottleneck(nn.Module):
    """1 x 1 with the stride, 3 x 3, 1 x 1 four times as wide; added to the input."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = EXPANSION * width
        self.conv1 = nn.Conv2d(before, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample: nn.Module | None = None
        if stride > 1 or before != after:
            convolution = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(after))

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """The rectified sum."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class VggFace(nn.Module):
    """A picture of a face to logits of identities."""

    def __init__(
        self,
        classes: int = 8631,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages, before = len(blocks), widths[0]
        for number, (count, width) in enumerate(zip(blocks, widths, strict=True), 1):
            after, layers = EXPANSION * width, []
            for block in range(count):
                stride = 2 if number > 1 and not block else 1
                layers.append(Bottleneck(after if block else before, width, stride))
            setattr(self, f"layer{number}", nn.Sequential(*layers))
            before = after
        self.fc = nn.Linear(before, classes)

    def forward(
        self, faces: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of prepared faces."""
        return self.fc(self.maps(faces).mean((2, 3)))

    def maps(self, faces: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch _ _ _"]:
        """What is pooled."""
        x = torch.relu(self.bn1(self.conv1(faces)))
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        return x


def prepared(
    pixels: UInt8[Tensor, "batch 3 height width"], swapped: bool = False
) -> Float[Tensor, "batch 3 224 224"]:
    """RGB pictures as the published score feeds them, not cropped.

    The weights were trained on BGR, and the published score gives them RGB all the same; with
    `swapped` they get what they were trained on.
    """
    centred = pixels.float() - pixels.new_tensor(MEAN, dtype=torch.float32)[:, None, None]
    if swapped:
        centred = centred.flip(1)
    return functional.interpolate(centred, (SIDE, SIDE), mode="bilinear", align_corners=True)

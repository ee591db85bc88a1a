"""IR and IR-SE face backbones: residual units with or without squeeze-and-excitation.

IR-50 is the face network of Seeking the Shape of Sound (which calls it SE-ResNet-50), IR-SE50 the
identity network of VoiceStyle. Keys are those of the published state dicts.
Source: ArcFace (Deng et al., CVPR 2019); ZhaoJ9014/face.evoLVe, TreB1eN/InsightFace_Pytorch.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Scale every channel by a gate that looks at the mean of all of them."""

    def __init__(self, width: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, width // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(width // reduction, width, 1, bias=False)

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The scaled maps."""
        gate = self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class QuickPReLU(nn.PReLU):
    """The same function of twice the speed on a CPU, forwards and backwards."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """What is below zero, times each channel's own factor."""
        return x - (1 - self.weight)[:, None, None].to(x.dtype) * x.clamp(max=0)


class ResidualUnit(nn.Module):
    """Norm, convolution, PReLU, strided convolution, norm (, gate); the sum is not rectified."""

    def __init__(self, before: int, after: int, stride: int, reduction: int | None) -> None:
        super().__init__()
        if before == after:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)  # x[:, :, ::stride, ::stride]
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )
        layers = [
            nn.BatchNorm2d(before),
            nn.Conv2d(before, after, 3, 1, 1, bias=False),
            QuickPReLU(after),
            nn.Conv2d(after, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
        ]
        gate = [] if reduction is None else [SqueezeExcitation(after, reduction)]
        self.res_layer = nn.Sequential(*layers, *gate)

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """Both branches added."""
        return self.shortcut_layer(x) + self.res_layer(x)


class IrBackbone(nn.Module):
    """A square face picture in [-1, 1] to features, not normalised.

    The defaults are IR-50; IR-SE50 has `reduction` 16 and `dropout` 0.6. Every stage halves the
    picture, the first one too; `stem` divides its side before all of them (1 as published).
    """

    def __init__(
        self,
        units: Sequence[int] = (3, 4, 14, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        side: int = 112,
        features: int = 512,
        reduction: int | None = None,
        dropout: float = 0.5,
        stem: int = 1,
    ) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stem, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            QuickPReLU(widths[0]),
        )
        body: list[nn.Module] = []
        before, left = widths[0], -(-side // stem)
        for count, width in zip(units, widths, strict=True):
            for number in range(count):
                body.append(ResidualUnit(before, width, 1 if number else 2, reduction))
                before = width
            left = -(-left // 2)
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(before * left**2, features),
            nn.BatchNorm1d(features),
        )
        self.apply(xavier)

    def forward(self, image: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch features"]:
        """Features of each picture, in the channel order that the weights were trained on."""
        return self.output_layer(self.body(self.input_layer(image)))


def xavier(module: nn.Module) -> None:
    """Start a convolution or linear layer uniformly by Xavier, its bias at zero."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""SynergyNet (Wu, Xu, Neumann, 3DV 2021) as Cross-Modal Perceptionist uses it: a face to its 3DMM.

Re-implemented from its description; keys are those of the published state dicts, without the
second names that those give most tensors. Source: choyingw/Cross-Modal-Perceptionist, network.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

CROP = 120  # pixels of the side of the square that the regressor looks at
POSE = 12  # numbers of a 3 x 4 matrix, row by row: scaled rotation, then offset
IMAGE_TOP = 127.0  # y of the mesh, which points up, is row IMAGE_TOP - y of the crop
# Expansion, channels, blocks, stride of the first block.
STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
STEM, POOLED = 32, 1280
MIDDLE = 8  # the block whose output is distilled
WHOLE = 8  # channels; narrower nets have multiples of it


class Regression(NamedTuple):
    """What the regressor says of faces, and two views of how it came to it."""

    params: Float[Tensor, "batch params"]  # pose, shape, expression, texture; whitened
    pooled: Float[Tensor, "batch pooled"]  # 1280 as published
    middle: Float[Tensor, "batch middle height width"]  # 64 channels at a sixteenth of the image


class Pose(NamedTuple):
    """A weak perspective: pixels of the crop per micrometre, rotation, offset in pixels."""

    scale: Float[Tensor, " batch"]
    rotation: Float[Tensor, "batch 3 3"]  # unit rows, as published not made orthogonal
    offset: Float[Tensor, "batch 3"]

    @classmethod
    def of(cls, numbers: Float[Tensor, "batch 12"]) -> "Pose":
        """The pose of the first parameters, no longer whitened."""
        matrix = numbers.unflatten(1, (3, 4))
        rows = matrix[:, :, :3]
        scale = (rows[:, 0].norm(dim=1) + rows[:, 1].norm(dim=1)) / 2
        return cls(scale, functional.normalize(rows, dim=2), matrix[:, :, 3])

    def image(self, vertices: Float[Tensor, "batch v 3"]) -> Float[Tensor, "batch v 3"]:
        """Scaled vertices in the crop: x to the right, y down in pixels, z towards the viewer."""
        turned = vertices @ self.rotation.mT + self.offset[:, None]
        x, y, z = turned.unbind(-1)
        return torch.stack([x, IMAGE_TOP - y, z], -1)


class Convolution(nn.Sequential):
    """Convolution, batch norm, ReLU6; a stride of 2 halves the image, rounding up."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        convolution = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expand, convolve every channel alone, project; the input is added where sizes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [Convolution(inputs, hidden, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            Convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """One block."""
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """RGB face crops in [-1, 1] to whitened 3DMM parameters; the defaults are the published net.

    Crops are published at 120 x 120 pixels; any size will do. `width` multiplies the channels of
    every layer, the last one too.
    """

    def __init__(
        self,
        shape_params: int = 40,
        expression_params: int = 10,
        texture_params: int = 40,
        dropout: float = 0.2,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.width = width
        inputs, pooled = narrowed(STEM, width), narrowed(POOLED, width)
        blocks: list[nn.Module] = [Convolution(3, inputs, 3, 2)]
        for expansion, channels, count, stride in STAGES:
            outputs = narrowed(channels, width)
            for number in range(count):
                step = 1 if number else stride
                blocks.append(InvertedResidual(inputs, outputs, step, expansion))
                inputs = outputs
        self.features = nn.Sequential(*blocks, Convolution(inputs, pooled, 1))

        def head(outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Dropout(dropout), nn.Linear(pooled, outputs))

        self.classifier_ori = head(POSE)
        self.classifier_shape = head(shape_params)
        self.classifier_exp = head(expression_params)
        self.classifier_texture = head(texture_params)
        self.apply(initialise)

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Regression:
        """Parameters and the features behind them."""
        middle = self.features[: MIDDLE + 1](image)
        pooled = self.features[MIDDLE + 1 :](middle).mean((2, 3))
        heads = (
            self.classifier_ori,
            self.classifier_shape,
            self.classifier_exp,
            self.classifier_texture,
        )
        return Regression(torch.cat([head(pooled) for head in heads], 1), pooled, middle)


class SynergyNet(nn.Module):
    """The regressor with the whitening of its pose; that of the others is the face model's.

    The defaults are the published net. One with a `side` averages images down to so many pixels
    before it looks; its answer is about crops of CROP pixels all the same.
    """

    def __init__(
        self,
        shape_params: int = 40,
        expression_params: int = 10,
        texture_params: int = 40,
        width: float = 1.0,
        side: int = 0,
    ) -> None:
        super().__init__()
        self.side = side
        self.backbone = MobileNetV2(shape_params, expression_params, texture_params, width=width)
        self.register_buffer("pose_mean", torch.zeros(POSE))
        self.register_buffer("pose_deviation", torch.ones(POSE))

    def whitened_as(self, teacher: "SynergyNet") -> "SynergyNet":
        """This net with the whitening of its teacher, which published students share."""
        self.pose_mean, self.pose_deviation = teacher.pose_mean, teacher.pose_deviation
        return self

    @property
    def shape_params(self) -> int:
        """How many shape parameters it gives."""
        return self.backbone.classifier_shape[1].out_features

    @property
    def expression_params(self) -> int:
        """How many expression parameters it gives."""
        return self.backbone.classifier_exp[1].out_features

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Regression:
        """The regressor's answer."""
        if self.side and image.shape[3] != self.side:
            image = functional.adaptive_avg_pool2d(image, self.side)
        return self.backbone(image)

    def pose_numbers(self, params: Float[Tensor, "batch params"]) -> Float[Tensor, "batch 12"]:
        """The 3 x 4 matrix among whitened parameters, no longer whitened."""
        return params[:, :POSE] * self.pose_deviation + self.pose_mean

    def face_params(
        self, params: Float[Tensor, "batch params"]
    ) -> tuple[Float[Tensor, "batch s"], Float[Tensor, "batch e"]]:
        """Shape and expression parameters among all, whitened."""
        shapes = POSE + self.shape_params
        return params[:, POSE:shapes], params[:, shapes : shapes + self.expression_params]


def narrowed(channels: int, width: float) -> int:
    """So many times the channels, in whole eights."""
    return max(WHOLE, round(channels * width / WHOLE) * WHOLE)


def crop_of(image: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch 3 120 120"]:
    """An image at the regressor's size: bilinear, corners on corners, as it was trained."""
    size = (CROP, CROP)
    return functional.interpolate(image, size, mode="bilinear", align_corners=True)


def initialise(module: nn.Module) -> None:
    """The published initial weights of one layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)

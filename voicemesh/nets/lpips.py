"""LPIPS 0.1 (Zhang et al., CVPR 2018): how different two pictures look, by features of VGG-16.

Keys are those of the published module. Source: richzhang/PerceptualSimilarity, networks_basic.py.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions and channels of VGG-16
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's, of [-1, 1]
Features = list[Float[Tensor, "batch _ _ _"]]


class Scaling(nn.Module):
    """Pictures in [-1, 1] as the backbone was trained on them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT)[None, :, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[None, :, None, None])

    def forward(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """The scaled pictures."""
        return (image - self.shift) / self.scale


class Backbone(nn.Module):
    """VGG-16 up to its last rectifier, in slices; layers keep their numbers of torchvision."""

    def __init__(self, stages: Sequence[Sequence[int]] = STAGES) -> None:
        super().__init__()
        before, number = 3, 0
        for stage, (count, channels) in enumerate(stages):
            layers = nn.Sequential()
            if stage:
                layers.add_module(str(number), nn.MaxPool2d(2))
                number += 1
            for _ in range(count):
                layers.add_module(str(number), nn.Conv2d(before, channels, 3, padding=1))
                layers.add_module(str(number + 1), nn.ReLU())
                before, number = channels, number + 2
            self.add_module(f"slice{stage + 1}", layers)

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Features:
        """The maps behind the last rectifier of every slice."""
        found: Features = []
        for slice_ in self.children():
            image = slice_(image)
            found.append(image)
        return found


class Weights(nn.Module):
    """How much each channel of a slice counts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch 1 height width"]:
        """The weighted sum over channels."""
        return self.model(x)


class Lpips(nn.Module):
    """The distance of pictures in [-1, 1]; features of a fixed target can be kept."""

    def __init__(self, stages: Sequence[Sequence[int]] = STAGES) -> None:
        super().__init__()
        self.scaling_layer = Scaling()
        self.net = Backbone(stages)
        for number, (_, channels) in enumerate(stages):
            self.add_module(f"lin{number}", Weights(channels))
        self.stages = tuple(tuple(stage) for stage in stages)

    def maps(self, image: Float[Tensor, "batch 3 height width"]) -> Features:
        """The backbone's maps."""
        return self.net(self.scaling_layer(image))

    def features(self, image: Float[Tensor, "batch 3 height width"]) -> Features:
        """What distances are taken of: the maps, each place of unit length.

        Lengths are those of float32 at least: squares of maps do not fit into float16.
        """
        wide = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in self.maps(image))
        return [x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in wide]

    def terms(self, first: Features, second: Features) -> Float[Tensor, "slices batch"]:
        """What each slice adds to the distances; under autocast as precise as without."""
        with torch.autocast(first[0].device.type, enabled=False):
            return torch.stack(
                [
                    self.get_submodule(f"lin{number}")((a - b).square()).mean((1, 2, 3))
                    for number, (a, b) in enumerate(zip(first, second, strict=True))
                ]
            )

    def distance(
        self, features: Features, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, " batch"]:
        """Distances of pictures to those whose features are given."""
        return self.terms(self.features(image), features).sum(0)

    def forward(
        self,
        first: Float[Tensor, "batch 3 height width"],
        second: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, " batch"]:
        """Distances of pairs, at least 0."""
        return self.distance(self.features(second), first)

"""The discriminators of SF2F: of patches, of identities, and of pairs of a voice and a face.

For training only. Keys are those of the published layout.
Source: BAI-Yeqi/SF2F_PyTorch, models/discriminators.py and models/layers.py.
"""

import re

import torch
from jaxtyping import Float
from torch import Tensor, nn

# One entry per convolution: kernel, channels, stride and padding (0 where it is left out).
PATCHES = {
    64: "C4-64-2,C4-128-2,C4-256-2",
    128: "C4-64-2,C4-128-2,C4-256-2,C4-512-2",
}
BASELINE = "C1-32-1-0,C4-64-2-1,C4-128-2-1,C4-256-2-1,C4-512-1-0"


def convolutions(architecture: str, normalised: bool, slope: float) -> tuple[nn.Sequential, int]:
    """The layers of a published description, and how many channels come out.

    What stands between two convolutions is a norm, if there are norms, and a leaky rectifier.

    Raises:
        ValueError: anything in it that is no convolution.
    """
    layers: list[nn.Module] = []
    channels = 3
    for word in architecture.split(","):
        found = re.fullmatch(r"C(\d+)-(\d+)-(\d+)(?:-(\d+))?", word)
        if not found:
            raise ValueError(
                f"{word!r} of {architecture!r} is not of the form C4-64-2 or C4-64-2-1"
            )
        kernel, after, stride, padding = (int(number or 0) for number in found.groups())
        if layers:
            layers += [nn.BatchNorm2d(channels)] if normalised else []
            layers.append(nn.LeakyReLU(slope))
        layers.append(nn.Conv2d(channels, after, kernel, stride, padding))
        channels = after
    return nn.Sequential(*layers), channels


class PatchCritic(nn.Module):
    """Scores of overlapping patches: real or made."""

    def __init__(
        self, architecture: str = PATCHES[64], normalised: bool = True, slope: float = 0.1
    ) -> None:
        super().__init__()
        self.cnn, channels = convolutions(architecture, normalised, slope)
        self.classifier = nn.Conv2d(channels, 1, 1)

    def forward(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 1 rows columns"]:
        """Logits."""
        return self.classifier(self.cnn(image))


class Mean(nn.Module):
    """The mean over all places of a map."""

    def forward(
        self, maps: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel"]:
        """One vector per map."""
        return maps.mean((2, 3))


class IdentityCritic(nn.Module):
    """A face to the score that it is real, and to whose it is."""

    def __init__(
        self,
        identities: int,
        architecture: str = PATCHES[64],
        normalised: bool = True,
        slope: float = 0.1,
        features: int = 1024,
    ) -> None:
        super().__init__()
        cnn, channels = convolutions(architecture, normalised, slope)
        # No activation between the linear maps: as published.
        self.cnn = nn.Sequential(cnn, Mean(), nn.Linear(channels, features))
        self.real_classifier = nn.Linear(features, 1)
        self.id_classifier = nn.Linear(features, identities)

    def forward(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch identities"]]:
        """Logits of both."""
        features = self.cnn(image)
        return self.real_classifier(features), self.id_classifier(features)


class ConditionCritic(nn.Module):
    """Scores of patches of a face beside the embedding of a voice; no option uses it."""

    def __init__(
        self,
        embedding: int = 512,
        architecture: str = PATCHES[64],
        normalised: bool = True,
        slope: float = 0.1,
    ) -> None:
        super().__init__()
        self.cnn, channels = convolutions(architecture, normalised, slope)
        self.joint_conv = nn.Sequential(
            nn.Conv2d(channels + embedding, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.2),
        )
        self.classifier = nn.Conv2d(channels, 1, 1)

    def forward(
        self,
        image: Float[Tensor, "batch 3 height width"],
        embedding: Float[Tensor, "batch embedding"],
    ) -> Float[Tensor, "batch 1 rows columns"]:
        """Logits."""
        maps = self.cnn(image)
        everywhere = embedding[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        return self.classifier(self.joint_conv(torch.cat([maps, everywhere], 1)))

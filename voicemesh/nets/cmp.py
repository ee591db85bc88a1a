"""Networks of Cross-Modal Perceptionist (Wu, Hsu, Neumann, CVPR 2022).

Re-implemented from their description; keys are those of the published state dicts.
Source: choyingw/Cross-Modal-Perceptionist, network.py.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

TRAITS = ("sex", "log_f0", "log_vtl", "age")


class VoiceEncoder(nn.Module):
    """Voice features to an embedding: strided convolutions in time, then the mean over frames.

    The defaults are the published VoiceEmbedNet; any length of one frame and more will do. What
    follows expects the embedding at unit length: `torch.nn.functional.normalize`.
    """

    def __init__(
        self,
        input_channels: int = 64,
        widths: Sequence[int] = (256, 384, 576, 864),
        embedding: int = 64,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((input_channels, *widths), widths, strict=False):
            convolution = nn.Conv1d(before, after, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
        layers.append(nn.Conv1d(widths[-1], embedding, 3, stride=2, padding=1))
        self.model = nn.Sequential(*layers)

    def forward(
        self, features: Float[Tensor, "batch channel frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """The embedding before normalisation."""
        return self.model(features).mean(-1)


class SupervisedHead(nn.Module):
    """Unit voice embedding to whitened face parameters: one scale, then shape, then expression.

    Linear, though published as an "MLP" (Generator1D_directMLP); the dropout counts in training
    only.
    """

    def __init__(
        self,
        embedding: int = 64,
        shape_params: int = 40,
        expression_params: int = 10,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()

        def head(outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Dropout(dropout), nn.Linear(embedding, outputs))

        self.classifier_scale = head(1)
        self.classifier_shape = head(shape_params)
        self.classifier_exp = head(expression_params)

    def forward(self, unit: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch params"]:
        """Scale, shape parameters and expression parameters side by side."""
        heads = (self.classifier_scale, self.classifier_shape, self.classifier_exp)
        return torch.cat([head(unit) for head in heads], 1)


class FaceGenerator(nn.Module):
    """Unit voice embedding to a face: RGB trained towards [-1, 1], but not bounded.

    Each width doubles the side, from 4 pixels; the defaults are the published Generator with
    64 x 64 pixels.
    """

    def __init__(
        self,
        embedding: int = 64,
        widths: Sequence[int] = (1024, 512, 256, 128, 64),
        channels: int = 3,
    ) -> None:
        super().__init__()
        first, *others = widths
        layers: list[nn.Module] = [nn.ConvTranspose2d(embedding, first, 4), nn.ReLU(inplace=True)]
        for before, after in zip(widths, others, strict=False):
            grow = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
            layers += [grow, nn.ReLU(inplace=True)]
        layers.append(nn.ConvTranspose2d(widths[-1], channels, 1))
        self.model = nn.Sequential(*layers)

    def forward(
        self, unit: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channel side side"]:
        """One face per voice."""
        return self.model(unit[:, :, None, None])


class FaceEmbedder(nn.Module):
    """A face image to the embedding that critics judge; for training only.

    The defaults are the published FaceEmbedNet, for the generator's 64 x 64 pixels.
    """

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (32, 64, 128, 256, 512),
        embedding: int = 64,
    ) -> None:
        super().__init__()
        first, *others = widths
        layers: list[nn.Module] = [nn.Conv2d(channels, first, 1), nn.LeakyReLU(0.2, inplace=True)]
        for before, after in zip(widths, others, strict=False):
            shrink = nn.Conv2d(before, after, 4, stride=2, padding=1)
            layers += [shrink, nn.LeakyReLU(0.2, inplace=True)]
        layers.append(nn.Conv2d(widths[-1], embedding, 4))
        self.model = nn.Sequential(*layers)

    def forward(
        self, image: Float[Tensor, "batch channel side side"]
    ) -> Float[Tensor, "batch embedding"]:
        """One embedding per face, not normalised."""
        return self.model(image).flatten(1)


class EmbeddingClassifier(nn.Module):
    """Face embedding to logits: one says real or made, more than one say which identity."""

    def __init__(self, embedding: int = 64, classes: int = 1) -> None:
        super().__init__()
        self.model = nn.Linear(embedding, classes, bias=False)

    def forward(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch classes"]:
        """One row per face."""
        return self.model(embedding)


class VoiceTraits(nn.Module):
    """Unit voice embedding to what the page says of the voice itself, in the order of `TRAITS`.

    Log odds that the voice is a woman's, then z-scores of log habitual pitch, log vocal-tract
    length and age.
    """

    def __init__(self, embedding: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, len(TRAITS))

    def forward(self, unit: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch 4"]:
        """One row per voice."""
        return self.linear(unit)

"""Networks of Cross-Modal Perceptionist (Wu, Hsu, Neumann, CVPR 2022), supervised branch.

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

"""A critic of patches that is told whose picture it sees: straight hair is no picture of curls.

Every scale reads its features once as they are and once by what the portrait's parameters ask for.
Idea: Miyato and Koyama, ICLR 2018 (projection).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.nets.portrait_critic import PortraitCritic

HIDDEN = 64


class ToldCritic(nn.Module):
    """Pictures and their parameters to maps of scores."""

    def __init__(self, width: int, scales: int, parameters: int) -> None:
        super().__init__()
        self.patches = PortraitCritic(width, scales)
        self.asked = nn.ModuleList()
        for _ in range(scales):
            last = nn.Linear(HIDDEN, 3 * width)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.asked.append(nn.Sequential(nn.Linear(parameters, HIDDEN), nn.LeakyReLU(0.2), last))

    def forward(
        self,
        image: Float[Tensor, "batch 3 height width"],
        told: Float[Tensor, "known parameters"] | None = None,
        wrong: Float[Tensor, "known parameters"] | None = None,
    ) -> Float[Tensor, "all scales _ _"]:
        """Scores; `told` are the parameters of the first images, of the others nothing is known.

        With `wrong`, scores of the first images follow as if these were their parameters.
        """
        critic, maps = self.patches, []
        for asked in self.asked:
            features = critic.features(image)
            scores = critic.score(features)
            if told is not None:
                first, rest = features[: len(told)], scores[len(told) :]
                plain = scores[: len(told)]
                parts = [plain + read(first, asked(told)), rest]
                if wrong is not None:
                    parts.append(plain + read(first, asked(wrong)))
                scores = torch.cat(parts)
            maps.append(functional.interpolate(scores, maps[0].shape[2:]) if maps else scores)
            if critic.coarser is not None:
                critic, image = critic.coarser, functional.avg_pool2d(image, 2)
        return torch.cat(maps, 1)


def read(
    features: Float[Tensor, "batch channels _ _"], by: Float[Tensor, "batch channels"]
) -> Float[Tensor, "batch 1 _ _"]:
    """What features say of what is asked."""
    by = by.to(features.dtype) / features.shape[1] ** 0.5
    return (features * by[:, :, None, None]).sum(1, keepdim=True)

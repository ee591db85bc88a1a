"""A critic of portraits: scores for every neighbourhood of a picture, not for the whole.

It sees about a fifth of a portrait at once and where that is, so it judges skin, eyes and strands
and leaves what belongs together to others. Idea: Isola et al., CVPR 2017 (pix2pix). Copies of it
that see the picture at half the size or less judge curls and the outline of the hair.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # below zero
DETAIL = 4.0  # gain of what is finer than three pixels, which is faint


class PortraitCritic(nn.Module):
    """Pictures to maps of scores at a quarter of their size: high is real."""

    def __init__(self, width: int = 32, scales: int = 1) -> None:
        """`scales` maps, each next one of the picture at half the size."""
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(8, width, 4, 2, 1),
                nn.Conv2d(width, 2 * width, 4, 2, 1),
                nn.Conv2d(2 * width, 3 * width, 3, 1, 1),
            ]
        )
        self.score = nn.Conv2d(3 * width, 1, 3, 1, 1)
        self.width = width
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, SLOPE)
        self.coarser = PortraitCritic(width, scales - 1) if scales > 1 else None

    def forward(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch scales _ _"]:
        """Scores, of no fixed range; those of smaller pictures are repeated to the same size."""
        scores = self.score(self.features(image))
        if self.coarser is None:
            return scores
        wider = self.coarser(functional.avg_pool2d(image, 2))
        return torch.cat([scores, functional.interpolate(wider, scores.shape[2:])], 1)

    def features(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch channels _ _"]:
        """What the scores of this scale are read off."""
        detail = DETAIL * (image - functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False))
        x = torch.cat([image, detail, places(image)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), SLOPE)
        return x


def scales_of(tensors: dict[str, Tensor]) -> int:
    """How many scales a stored critic has."""
    return 1 + max(name.count("coarser.") for name in tensors)


def places(image: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 2 height width"]:
    """How far right and down every pixel is, from -1 to 1."""
    height, width = image.shape[2:]
    down = torch.linspace(-1, 1, height, device=image.device, dtype=image.dtype)
    right = torch.linspace(-1, 1, width, device=image.device, dtype=image.dtype)
    grid = torch.stack([right.expand(height, -1), down[:, None].expand(-1, width)])
    return grid.expand(len(image), -1, -1, -1)

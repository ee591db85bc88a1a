"""A deeper voice backbone of our own: residual blocks, and frames that count as much as they tell.

It can begin as Cross-Modal Perceptionist's voice encoder, whose strided convolutions it holds.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .cmp import VoiceEncoder

LEAST_VARIANCE = 1e-4


class FrameBlock(nn.Module):
    """Two convolutions over frames and a shortcut; it starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Conv1d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm1d(width),
        )
        nn.init.zeros_(self.branch[-1].weight)

    def forward(
        self, x: Float[Tensor, "batch width frames"]
    ) -> Float[Tensor, "batch width frames"]:
        """Maps of the same size."""
        return torch.relu(x + self.branch(x))


class AttentiveStatistics(nn.Module):
    """Mean and deviation over frames, each channel weighing the frames in its own way."""

    def __init__(self, width: int, inner: int = 64) -> None:
        super().__init__()
        self.scores = nn.Sequential(
            nn.Conv1d(width, inner, 1), nn.Tanh(), nn.Conv1d(inner, width, 1)
        )
        nn.init.zeros_(self.scores[-1].weight)  # at first all frames count alike
        nn.init.zeros_(self.scores[-1].bias)

    def forward(self, x: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch twice"]:
        """Means, then deviations."""
        weights = self.scores(x).float().softmax(2)
        x = x.float()
        mean = (weights * x).sum(2)
        variance = (weights * (x - mean[:, :, None]).square()).sum(2)
        return torch.cat([mean, variance.clamp(min=LEAST_VARIANCE).sqrt()], 1)


class VoiceTrunk(nn.Module):
    """Voice features to a code: stages that halve the frames, blocks after each, statistics.

    Args:
        blocks: residual blocks after each of the convolutions of `widths`.
        code: values that the statistics become.
    """

    def __init__(
        self,
        channels: int = 112,
        widths: Sequence[int] = (128, 192, 288, 432),
        blocks: Sequence[int] = (0, 1, 1, 1),
        code: int = 64,
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for before, after, count in zip((channels, *widths), widths, blocks, strict=False):
            convolution = nn.Conv1d(before, after, 3, stride=2, padding=1, bias=False)
            stages += [convolution, nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
            stages += [FrameBlock(after) for _ in range(count)]
        self.stages = nn.Sequential(*stages)
        self.pool = AttentiveStatistics(widths[-1])
        self.norm = nn.BatchNorm1d(2 * widths[-1])
        self.code = nn.Linear(2 * widths[-1], code)

    def forward(
        self, features: Float[Tensor, "batch channel frames"]
    ) -> Float[Tensor, "batch code"]:
        """The code of each voice, not normalised."""
        return self.code(self.norm(self.pool(self.stages(features))))

    def begin_as(self, encoder: VoiceEncoder) -> None:
        """Take over the strided convolutions of a voice encoder, which blocks at first pass on.

        Channels that it hears beyond those of the trunk, the last ones, are left out.

        Raises:
            ValueError: its convolutions have other sizes.
        """
        plain = [layer for layer in self.stages if not isinstance(layer, FrameBlock)]
        given = [layer.state_dict() for layer in list(encoder.model)[:-1]]
        heard = plain[0].in_channels
        given[0] = {name: value[:, :heard] for name, value in given[0].items()}
        sizes = (
            [[tuple(v.shape) for v in layer.values()] for layer in some]
            for some in ([layer.state_dict() for layer in plain], given)
        )
        if (own := next(sizes)) != (other := next(sizes)):
            raise ValueError(
                f"A voice encoder with convolutions of {other[::3]} cannot become a trunk of"
                f" {own[::3]}; choose its channels and widths"
            )
        for layer, values in zip(plain, given, strict=True):
            layer.load_state_dict(values)

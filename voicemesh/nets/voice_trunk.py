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
        dropout: share of the statistics that is left out while training.
    """

    def __init__(
        self,
        channels: int = 112,
        widths: Sequence[int] = (128, 192, 288, 432),
        blocks: Sequence[int] = (0, 1, 1, 1),
        code: int = 64,
        dropout: float = 0.0,
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
        self.dropout = nn.Dropout(dropout)
        self.code = nn.Linear(2 * widths[-1], code)

    def forward(
        self, features: Float[Tensor, "batch channel frames"]
    ) -> Float[Tensor, "batch code"]:
        """The code of each voice, not normalised."""
        return self.code(self.dropout(self.norm(self.pool(self.stages(features)))))

    def begin_as(self, encoder: VoiceEncoder) -> None:
        """Take over the strided convolutions of a voice encoder, which blocks at first pass on.

        Channels that it hears beyond those of the trunk, the last ones, are left out.

        Raises:
            ValueError: its convolutions have other sizes.
        """
        plain = self.parts()[0]
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

    def go_on_from(self, other: "VoiceTrunk") -> None:
        """Take over a trunk that may have fewer blocks: those that it lacks at first pass on.

        A stage that gets further blocks keeps the ones that it had as its last.

        Raises:
            ValueError: a stage has more blocks there, or sizes differ.
        """
        own, given = self.parts(), other.parts()
        if any(len(old) > len(new) for new, old in zip(own[1], given[1], strict=True)):
            counts = [[len(blocks) for blocks in part[1]] for part in (given, own)]
            raise ValueError(
                f"A trunk with {counts[0]} blocks cannot go on as one with {counts[1]}; give each"
                " stage as many or more"
            )
        pairs = list(zip(own[0], given[0], strict=True))
        for new, old in zip(own[1], given[1], strict=True):
            pairs += zip(new[len(new) - len(old) :], old, strict=True)
        for name in ("pool", "norm", "code"):
            pairs.append((getattr(self, name), getattr(other, name)))
        for layer, known in pairs:
            sizes = [[v.shape for v in part.state_dict().values()] for part in (layer, known)]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f"A trunk of other sizes to go on from: {sizes[1][0]} instead of {sizes[0][0]};"
                    " choose its channels, widths and code"
                )
            layer.load_state_dict(known.state_dict())

    def parts(self) -> tuple[list[nn.Module], list[list[nn.Module]]]:
        """The convolutions with what follows each, and the blocks of every stage."""
        plain, blocks = [], []
        for layer in self.stages:
            if isinstance(layer, FrameBlock):
                blocks[-1].append(layer)
                continue
            plain.append(layer)
            if isinstance(layer, nn.Conv1d):
                blocks.append([])
        return plain, blocks

"""Attention among the segments of one voice, and the fusers that SF2F builds of it.

Source: BAI-Yeqi/SF2F_PyTorch, models/attention.py and models/fusers.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Every segment looks at all segments: softmax of plain inner products, not scaled.

    What comes out is `outputs` wide: a linear map of the mix beside the *transformed* query, or
    the mix itself without `joined`.
    """

    def __init__(
        self,
        features: int,
        outputs: int | None = None,
        transformed: bool = True,
        joined: bool = True,
        bounded: bool = True,
    ) -> None:
        """Args: `transformed` queries ("general"; otherwise "dot"), `bounded` by a tanh."""
        super().__init__()
        if transformed:
            self.linear_in = nn.Linear(features, features, bias=False)
        if joined:
            self.linear_out = nn.Linear(2 * features, outputs or features, bias=False)
        self.transformed, self.joined, self.bounded = transformed, joined, bounded

    def forward(
        self, segments: Float[Tensor, "batch segments features"]
    ) -> tuple[Float[Tensor, "batch segments outputs"], Float[Tensor, "batch segments segments"]]:
        """What each segment takes of all, and its weights, which add up to one."""
        queries = self.linear_in(segments) if self.transformed else segments
        weights = (queries @ segments.mT).softmax(-1)
        mixed = weights @ segments
        if self.joined:
            mixed = self.linear_out(torch.cat([mixed, queries], -1))
        return (mixed.tanh() if self.bounded else mixed), weights


class AttentionFuser(nn.Module):
    """One attention, then the mean over segments: V1, the fuser of all options."""

    def __init__(self, features: int = 512) -> None:
        super().__init__()
        self.attention = Attention(features, bounded=False)

    def forward(
        self, segments: Float[Tensor, "batch segments features"]
    ) -> Float[Tensor, "batch outputs"]:
        """One embedding per voice, not normalised."""
        return self.attend(segments)[0]

    def attend(
        self, segments: Float[Tensor, "batch segments features"]
    ) -> tuple[Float[Tensor, "batch outputs"], Float[Tensor, "batch segments segments"]]:
        """The embedding, and who looked at whom."""
        mixed, weights = self.attention(segments)
        return mixed.mean(1), weights


class TwoStepFuser(nn.Module):
    """Two attentions one after the other, the first one bounded, then the mean: V2."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.attention_1 = Attention(features)
        self.attention_2 = Attention(features, bounded=False)

    def forward(
        self, segments: Float[Tensor, "batch segments features"]
    ) -> Float[Tensor, "batch features"]:
        """One embedding per voice, not normalised."""
        return self.attention_2(self.attention_1(segments)[0])[0].mean(1)


class SkippingFuser(nn.Module):
    """As V2, but the second attention sees the first one's unit outcome beside its input: V3."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.attention_1 = Attention(features)
        self.attention_2 = Attention(2 * features, features, bounded=False)

    def forward(
        self, segments: Float[Tensor, "batch segments features"]
    ) -> Float[Tensor, "batch features"]:
        """One embedding per voice, not normalised."""
        hidden = nn.functional.normalize(self.attention_1(segments)[0], dim=-1)
        return self.attention_2(torch.cat([hidden, segments], -1))[0].mean(1)

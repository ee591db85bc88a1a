"""A code of voices that tells the sex of strongly raised voices as well: with one direction less.

A man on a stage or in anger speaks as high as a woman. What learnt from ordinary days leans on the
pitch, and so does all that learns from its code. The direction in which the best discriminant of
ordinary voices differs from that of all voices is therefore taken out of the code. Of what ties
voices to faces it holds next to nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from voicemesh.nets.voice_trunk import VoiceTrunk
from voicemesh.whole_files import aside

from .refit import discriminant

STEADY = "steady.safetensors"  # of a voice backbone's run
COUNTED = 2  # times that a raised voice counts against an ordinary one


@dataclass(frozen=True, eq=False)
class Steady:
    """What a code becomes: code @ turn + offset."""

    turn: Float[Tensor, "code code"]
    offset: Float[Tensor, " code"]

    @classmethod
    def fit(
        cls,
        usual: Float[Tensor, "voices code"],
        female: Bool[Tensor, " voices"],
        raised: Float[Tensor, "others code"],
        raised_female: Bool[Tensor, " others"],
    ) -> "Steady":
        """From codes of ordinary and of strongly raised voices.

        Afterwards the best linear reader of the sex of ordinary voices is the one that was the best
        of all voices before.
        """
        usual, raised = usual.double(), raised.double()
        ordinary, _ = discriminant(usual, female)
        voices, sexes = [usual, *[raised] * COUNTED], [female, *[raised_female] * COUNTED]
        both, _ = discriminant(torch.cat(voices), torch.cat(sexes))
        spread = sum(torch.cov(usual[own].T) for own in (female, ~female)) / 2
        only = ordinary - both * (both @ spread @ ordinary) / (both @ spread @ both)
        away = spread @ only
        turn = torch.eye(len(only), dtype=only.dtype) - torch.outer(only, away) / (only @ away)
        mean = usual.mean(0)
        return cls(turn.float(), (mean - mean @ turn).float())

    def of(self, codes: Float[Tensor, "voices code"]) -> Float[Tensor, "voices code"]:
        """Codes as they become."""
        return codes @ self.turn + self.offset

    @torch.no_grad()
    def put_into(self, trunk: VoiceTrunk) -> None:
        """Let a trunk give such codes."""
        layer = trunk.code
        layer.weight.copy_(self.turn.T @ layer.weight)
        layer.bias.copy_(layer.bias @ self.turn + self.offset)

    def save(self, run: Path) -> None:
        """Beside the trunk of a run."""
        with aside(run / STEADY) as unfinished:
            save_file({"turn": self.turn, "offset": self.offset}, unfinished)

    @classmethod
    def of_run(cls, run: Path) -> "Steady | None":
        """What was fitted to the trunk of a run; None if nothing was."""
        path = run / STEADY
        return cls(**load_file(path)) if path.exists() else None

"""Seeking the Shape of Sound: a recording or a face crop to 128 values (Wen et al., CVPR 2021)."""

import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.audio import association
from voicemesh.checkpoints.parts import SSS_FACE, SSS_VOICE
from voicemesh.images import CONVENTIONS

from .association import VoiceFaceSpace, spread


class SeekingTheShapeOfSound(VoiceFaceSpace):
    """Windows of ten seconds, as the published evaluation hears them; a shorter voice goes round.

    The published evaluation hears the first ten seconds only and sees no mirror image.
    """

    parts = (SSS_VOICE, SSS_FACE)
    convention = CONVENTIONS["sss"]

    def windows(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, "windows 40 frames"]:
        """Log-mel features of ten seconds each."""
        length = association.SSS_SAMPLES
        starts = spread(len(speech), length)
        if len(speech) < length:
            return association.sss(speech[None])
        return association.sss(torch.stack([speech[s : s + length] for s in starts]))

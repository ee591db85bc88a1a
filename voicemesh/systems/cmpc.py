"""CMPC: a recording or a face crop to 512 values (Zhu et al., IJCAI 2022), learnt unlabelled."""

import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.audio import association
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.parts import CMPC_FACE, CMPC_VOICE
from voicemesh.images import CONVENTIONS

from .association import VoiceFaceSpace, spread


class Cmpc(VoiceFaceSpace):
    """Windows of five seconds of log-mel in dB, pictures of 224: the weights of release 1.0.0.

    The published tests take one random window per recording.
    """

    parts = (CMPC_VOICE, CMPC_FACE)
    convention = CONVENTIONS["cmpc"]

    def windows(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, "windows 1 64 frames"]:
        """Log-mel of 500 frames each."""
        log_mel = association.cmpc_log_mel(speech[None])
        starts = spread(log_mel.shape[2], association.CMPC_FRAMES)
        return torch.stack([association.cmpc_clip(log_mel, start) for start in starts])


class Cmpc2(Cmpc):
    """The retraining that VoiceStyle uses: another front end, the whole voice, pictures of 256."""

    convention = CONVENTIONS["cmpc2"]

    def windows(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, "windows 1 64 frames"]:
        """Standardised log-mel of the whole voice, 800 frames or more."""
        return FRONT_ENDS["cmpc2"](speech[None])[:, None]

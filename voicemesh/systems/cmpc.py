"""CMPC: a recording or a face crop to 512 values (Zhu et al., IJCAI 2022), learnt unlabelled."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voicemesh.audio import association
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.images import CONVENTIONS, Convention
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder

from .association import VoiceFaceSpace, spread

SMALL_FRAMES = 350  # of a window of our small nets


class Cmpc(VoiceFaceSpace):
    """Windows of five seconds of log-mel in dB, pictures of 224: the weights of release 1.0.0.

    The published tests take one random window per recording. Our small nets say themselves which
    front end and which side of a picture they were trained on.
    """

    parts = ("cmpc-voice-encoder", "cmpc-face-encoder")
    convention = CONVENTIONS["cmpc"]

    def __init__(self, voice: nn.Module, face: nn.Module) -> None:
        super().__init__(voice, face)
        if isinstance(face, GridFaceEncoder):
            self.convention = Convention(face.side)

    def windows(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, "windows *features"]:
        """Log-mel of 500 frames each, or what a small net of our own reads."""
        if isinstance(self.voice, FeatureVoiceEncoder):
            return small_windows(self.voice, speech)
        return self.published_windows(speech)

    def published_windows(
        self, speech: Float[Tensor, " samples"]
    ) -> Float[Tensor, "windows 1 64 frames"]:
        """Log-mel of 500 frames each."""
        log_mel = association.cmpc_log_mel(speech[None])
        starts = spread(log_mel.shape[2], association.CMPC_FRAMES)
        return torch.stack([association.cmpc_clip(log_mel, start) for start in starts])


class Cmpc2(Cmpc):
    """The retraining that VoiceStyle uses: another front end, the whole voice, pictures of 256."""

    convention = CONVENTIONS["cmpc2"]

    def published_windows(
        self, speech: Float[Tensor, " samples"]
    ) -> Float[Tensor, "windows 1 64 frames"]:
        """Standardised log-mel of the whole voice, 800 frames or more."""
        return FRONT_ENDS["cmpc2"](speech[None])[:, None]


def small_windows(
    voice: FeatureVoiceEncoder, speech: Float[Tensor, " samples"]
) -> Float[Tensor, "windows channel frames"]:
    """The features of the whole recording, cut into windows of equal length."""
    features = FRONT_ENDS[voice.front_end](speech[None])[0]
    frames = min(SMALL_FRAMES, features.shape[1])
    starts = spread(features.shape[1], frames)
    return torch.stack([features[:, start : start + frames] for start in starts])

"""What each system reads of a voice: one table of named front ends."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.kernels.log_mel import MelSettings, log_mel

from .association import CMPC2_FRAMES, CMPC_MELS, SSS_MELS, cmpc, sss
from .cycles import TRACKS, cycle_tracks
from .pitch import CANDIDATES, pitch_map
from .sf2f import MELS as SF2F_MELS
from .sf2f import sf2f

PUBLISHED = MelSettings()  # voice2face and Cross-Modal Perceptionist
# Our own: whole windows only, and a floor 40 dB below the mean, on speech of unit level. Clean
# synthesis has deeper silence than any real recording; a network must not read that.
VOICEMESH = replace(PUBLISHED, scale=1.0, refill=False, floor=1e-4)
PUBLISHED_LEAST = 1000  # frames; a shorter voice is repeated
SPREAD = 3.0  # of log-mel energies around their mean, roughly


@dataclass(frozen=True)
class FrontEnd:
    """Speech in [-1, 1] at 16 kHz, silence cut -> what the net reads."""

    channels: int
    frame_rate: float  # Hz
    read: Callable[[Tensor], Tensor]

    def __call__(
        self, speech: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch channels frames"]:
        """Features of a batch of voices of one length; autocast does not round them."""
        with torch.autocast(speech.device.type, enabled=False):
            return self.read(speech)


def published(
    speech: Float[Tensor, "batch samples"], least: int = PUBLISHED_LEAST
) -> Float[Tensor, "batch mels frames"]:
    """Log-mel energies, standardised per band, repeated to at least `least` frames.

    Source: get_fbank in cmu-mlsp/reconstructing_faces_from_voices and
    choyingw/Cross-Modal-Perceptionist, utils.py.
    """
    return repeat(standardise(log_mel(speech, PUBLISHED)), least)


def voicemesh(speech: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels frames"]:
    """Log-mel energies around their one mean, and the pitch map of the same frames.

    The envelope survives (no band is standardised) but not the level or the polarity.
    """
    return torch.cat(_mel_and_pitch(level(speech)), 1)


def voicemesh_cycles(
    speech: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch channels frames"]:
    """What `voicemesh` reads, and how one cycle of the voice differs from the next."""
    speech = level(speech)
    mel, pitches = _mel_and_pitch(speech)
    hop, centre = VOICEMESH.hop, VOICEMESH.window // 2
    return torch.cat([mel, pitches, cycle_tracks(speech, pitches, centre, hop).to(mel)], 1)


def _mel_and_pitch(
    speech: Float[Tensor, "batch samples"],
) -> tuple[Float[Tensor, "batch mels frames"], Float[Tensor, "batch candidates frames"]]:
    mel = log_mel(speech, VOICEMESH)
    mel = (mel - mel.mean((1, 2), keepdim=True)) / SPREAD
    hop, centre = VOICEMESH.hop, VOICEMESH.window // 2
    return mel, pitch_map(speech, mel.shape[2], centre, hop).to(mel)


def level(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
    """The waveform around zero at a root mean square of one; digital silence stays."""
    centred = waveform - waveform.mean(1, keepdim=True)
    loudness = centred.square().mean(1, keepdim=True).sqrt()
    return centred / loudness.clamp(min=torch.finfo(waveform.dtype).tiny)


def standardise(
    log_mel: Float[Tensor, "batch mels frames"],
) -> Float[Tensor, "batch mels frames"]:
    """Zero mean and unit deviation over time, in every band."""
    centred = log_mel - log_mel.mean(2, keepdim=True)
    deviation = log_mel.std(2, correction=0, keepdim=True)
    return centred / (deviation + torch.finfo(torch.float32).eps)


def repeat(
    features: Float[Tensor, "batch channels frames"], least: int
) -> Float[Tensor, "batch channels repeated"]:
    """The features, over and over, until there are `least` frames; longer ones stay whole."""
    frames = features.shape[2]
    if frames >= least:
        return features
    return features.repeat(1, 1, -(-least // frames))[..., :least]


def log_mel_picture(waveform: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "mels frames"]:
    """Log-mel energies for the eye, 100 frames a second; not normalised."""
    return log_mel(torch.from_numpy(np.ascontiguousarray(waveform))[None], PUBLISHED)[0].numpy()


FRONT_ENDS = {
    "voice2face": FrontEnd(PUBLISHED.mels, 100.0, published),
    "cmp": FrontEnd(PUBLISHED.mels, 100.0, published),
    "voicemesh": FrontEnd(VOICEMESH.mels + CANDIDATES, 100.0, voicemesh),
    "voicemesh-cycles": FrontEnd(VOICEMESH.mels + CANDIDATES + TRACKS, 100.0, voicemesh_cycles),
    "sss": FrontEnd(SSS_MELS, 100.0, sss),
    "cmpc": FrontEnd(CMPC_MELS, 100.0, cmpc),
    "sf2f": FrontEnd(SF2F_MELS, 100.0, sf2f),
    "cmpc2": FrontEnd(PUBLISHED.mels, 100.0, partial(published, least=CMPC2_FRAMES)),
}

"""SF2F: a recording to a face image (Bai et al.), and voice2face before it (Wen et al. 2019)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.audio import sf2f as front
from voicemesh.audio.features import FRONT_ENDS, FrontEnd, repeat
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import SF2F_GENERATOR, VOICE2FACE_GENERATOR, VOICE2FACE_VOICE
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.sf2f import SpeechFusionToFace, bytes_of
from voicemesh.nets.sf2f_decoders import GatedDecoder
from voicemesh.nets.sf2f_folded import FoldedDecoder

VOICE2FACE = (VOICE2FACE_VOICE, VOICE2FACE_GENERATOR)
FRONT_END_OF_CHANNELS = {40: "sf2f", 112: "voicemesh"}  # an encoder's input tells its front end
SHOWN = 8  # segments whose own images are made, at most


@dataclass(frozen=True, eq=False)
class Spoken:
    """The face of one voice, and the faces of its segments by themselves, evenly over it."""

    image: UInt8[np.ndarray, "height width 3"]
    segments: UInt8[np.ndarray, "some height width 3"]
    starts: Float[np.ndarray, " some"]  # seconds of speech before each of these segments
    # How much each of these segments was looked at, one being the even share; ones without a fuser.
    attention: Float[np.ndarray, " some"]
    embedding: Float[np.ndarray, " embedding"]
    fused: bool = True  # of the segments; otherwise the voice was heard in one piece


class SpeechToFace:
    """Voice -> windows -> an embedding each -> one embedding -> a face image.

    Without a fuser (the first stage alone, or the baseline) the voice is heard in one piece.
    """

    def __init__(self, front_end: FrontEnd, net: SpeechFusionToFace) -> None:
        self.front_end, self.net = front_end, net.eval()
        self.picture = picture_of(net)

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device | str = "cpu") -> "SpeechToFace":
        """The net of a bundle, and the front end that it reads."""
        net = bundle.net(SF2F_GENERATOR)
        if not isinstance(net, SpeechFusionToFace):
            raise ValueError(f"The part {SF2F_GENERATOR!r} holds a {type(net).__name__}")
        return cls(FRONT_ENDS[front_end_name(net)], net.to(device))

    @torch.inference_mode()
    def imagine(self, speech: Float[Tensor, " samples"], shown: int = SHOWN) -> Spoken:
        """The face of speech at 16 kHz, silence cut; of `shown` of its segments as well."""
        windows, whole = self.hear(speech)
        encoder, count = self.net.encoder, len(windows)
        some = np.unique(np.linspace(0, count - 1, min(shown, count)).round().astype(int))
        if encoder.fused:
            embeddings = encoder.embed(windows)
            (fused,), (weights,) = encoder.fuse(embeddings[None])
            attention = (weights.mean(0) * count).cpu().numpy()
            alone = embeddings[some]
        else:
            (fused,) = encoder.embed(whole[None])
            alone = encoder.embed(windows[some]) if len(some) else fused[None][:0]
            attention = np.ones(count, np.float32)
        faces = bytes_of(self.picture(torch.cat([fused[None], alone])))
        image, *segments = faces.permute(0, 2, 3, 1).cpu().numpy()
        return Spoken(
            image=image,
            segments=np.stack(segments) if segments else np.zeros((0, *image.shape), np.uint8),
            starts=some * front.STRIDE / self.front_end.frame_rate,
            attention=attention[some],
            embedding=fused.cpu().numpy(),
            fused=encoder.fused,
        )

    def hear(
        self, speech: Float[Tensor, " samples"]
    ) -> tuple[Float[Tensor, "windows channels 125"], Float[Tensor, "channels frames"]]:
        """The windows of a voice and all of it; a voice shorter than one window goes round."""
        device = next(self.net.parameters()).device
        features = repeat(self.front_end(speech[None].to(device)), front.SEGMENT)[0]
        return front.segments(features), features

    @torch.inference_mode()
    def images(
        self, log_mels: Float[Tensor, "batch *segments channels frames"], together: bool = False
    ) -> Float[Tensor, "faces 3 side side"]:
        """Images in ImageNet colours of features: voices in one piece, or in segments to fuse.

        With `together` all voices of the batch are one person's: one image of their mean.
        """
        embedding = self.net.encoder(log_mels)
        return self.picture(embedding.mean(0, keepdim=True) if together else embedding)


class VoiceToFace:
    """voice2face: a voice as a whole -> a unit embedding -> a face image of 64 pixels."""

    def __init__(self, voice: VoiceEncoder, generator: FaceGenerator) -> None:
        self.voice, self.generator = voice.eval(), generator.eval()
        self.front_end = FRONT_ENDS["voice2face"]

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device | str = "cpu") -> "VoiceToFace":
        """The nets of a bundle that `convert voice2face` made."""
        return cls(*(bundle.net(part).to(device) for part in VOICE2FACE))

    @torch.inference_mode()
    def imagine(self, speech: Float[Tensor, " samples"]) -> UInt8[np.ndarray, "height width 3"]:
        """The face of speech at 16 kHz, silence cut, its colours stretched as published."""
        device = next(self.voice.parameters()).device
        unit = functional.normalize(self.voice(self.front_end(speech[None].to(device))))
        return stretched(self.generator(unit))[0].permute(1, 2, 0).cpu().numpy()


def picture_of(net: SpeechFusionToFace) -> Callable[[Tensor], Tensor]:
    """Embeddings to images in the fastest way that there is for a decoder."""
    if isinstance(net.decoder, GatedDecoder):
        return FoldedDecoder(net.decoder).to(next(net.parameters()).device).eval()
    return net.decoder.picture


def front_end_name(net: SpeechFusionToFace) -> str:
    """The features that a net of so many input channels reads.

    Raises:
        ValueError: no front end has that number of channels.
    """
    first = next(p for p in net.encoder.parameters() if p.ndim == 3)
    if first.shape[1] not in FRONT_END_OF_CHANNELS:
        raise ValueError(
            f"The voice encoder reads {first.shape[1]} channels; front ends have"
            f" {', '.join(map(str, FRONT_END_OF_CHANNELS))}"
        )
    return FRONT_END_OF_CHANNELS[first.shape[1]]


def stretched(
    image: Float[Tensor, "batch 3 height width"],
) -> UInt8[Tensor, "batch 3 height width"]:
    """Bytes of voice2face's images: the darkest value of each becomes 0, the brightest 255."""
    held = image.clamp(-1, 1)
    low, high = (edge(held.flatten(1), 1)[:, None, None, None] for edge in (torch.amin, torch.amax))
    share = (held - low) / (high - low).clamp(min=torch.finfo(held.dtype).tiny)
    return (share * 255 + 0.5).to(torch.uint8)

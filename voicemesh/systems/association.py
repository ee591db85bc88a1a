"""One space for voices and faces: what Seeking the Shape of Sound and CMPC have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.images import Convention, prepare
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder

PIECE = 56_000  # samples, of the recordings that small nets learn from
BATCH = 32  # windows or pictures that go through a net at once
# Nets of our own, which say themselves what they read; the published ones go by their system.
VOICES = (TrunkVoiceEncoder, FeatureVoiceEncoder)
FACES = (PortraitFaceEncoder, GridFaceEncoder)


class VoiceFaceSpace(ABC):
    """Two nets whose unit embeddings are compared by cosine.

    A net of `VOICES` hears a recording whole, one of `FACES` sees pictures stretched to its side.
    """

    parts: tuple[str, str]  # of a bundle: the voice net, the face net
    convention: Convention  # of the pictures

    def __init__(self, voice: nn.Module, face: nn.Module) -> None:
        self.voice, self.face = voice.eval(), face.eval()
        if isinstance(face, FACES):
            self.convention = Convention(face.side)

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device | str = "cpu") -> "VoiceFaceSpace":
        """The two nets of a bundle."""
        return cls(*(bundle.net(part).to(device) for part in cls.parts))

    @property
    def device(self) -> torch.device:
        """Where the nets are."""
        return next(self.voice.parameters()).device

    @abstractmethod
    def windows(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, " windows *features"]:
        """What the voice net reads of one recording, in pieces as long as it was trained on."""

    @torch.inference_mode()
    def embed_voice(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, " embedding"]:
        """Unit mean of the unit embeddings of a recording's windows; speech at 16 kHz, [-1, 1].

        Silence is to be cut before.
        """
        return self.of_told(self.told(speech)[None])

    @torch.inference_mode()
    def told(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, " told"]:
        """What a recording tells of its voice, such that what several tell may be averaged.

        A trunk gives its code, other nets a unit embedding.
        """
        speech = speech.to(self.device)
        if isinstance(self.voice, TrunkVoiceEncoder):
            return self.code(speech)
        if isinstance(self.voice, VOICES):
            heard = FRONT_ENDS[self.voice.front_end](speech[None])
        else:
            heard = self.windows(speech)
        parts = heard.split(BATCH)
        units = torch.cat([functional.normalize(self.voice(part)) for part in parts])
        return functional.normalize(units.mean(0), dim=0)

    @torch.inference_mode()
    def of_told(self, told: Float[Tensor, "recordings told"]) -> Float[Tensor, " embedding"]:
        """The unit embedding of the one voice that several recordings tell of."""
        mean = told.mean(0)
        if isinstance(self.voice, TrunkVoiceEncoder):
            mean = self.voice.of_code(mean[None])[0]
        return functional.normalize(mean, dim=0)

    def code(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, " code"]:
        """Mean code of equal pieces of a recording, none longer than what the trunk learnt from.

        A trunk that hears two days in one piece tells hardly more of them than of one.
        """
        parts = speech.tensor_split(-(-len(speech) // PIECE))
        read = FRONT_ENDS[self.voice.front_end]
        return torch.cat([self.voice.model(read(part[None])) for part in parts]).mean(0)

    @torch.inference_mode()
    def embed_faces(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> Float[Tensor, "pictures embedding"]:
        """Unit mean of the unit embeddings of each face crop and its mirror image."""
        found = []
        for start in range(0, len(pictures), BATCH):
            chosen = [prepare(p, self.convention) for p in pictures[start : start + BATCH]]
            images = torch.stack(chosen).to(self.device)
            both = (functional.normalize(self.face(side)) for side in (images, images.flip(3)))
            found.append(functional.normalize(sum(both)))
        if not found:
            raise ValueError("No pictures to embed; give at least one")
        return torch.cat(found)


def spread(length: int, window: int) -> list[int]:
    """Starts of the fewest windows that cover a length, evenly spaced; one if it is shorter."""
    count = max(1, -(-length // window))
    last = max(0, length - window)
    return [round(last * number / max(1, count - 1)) for number in range(count)]

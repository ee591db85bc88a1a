"""One space for voices and faces: what Seeking the Shape of Sound and CMPC have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.images import Convention, prepare

BATCH = 32  # windows or pictures that go through a net at once


class VoiceFaceSpace(ABC):
    """Two nets whose unit embeddings are compared by cosine."""

    parts: tuple[str, str]  # of a bundle: the voice net, the face net
    convention: Convention  # of the pictures

    def __init__(self, voice: nn.Module, face: nn.Module) -> None:
        self.voice, self.face = voice.eval(), face.eval()

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device | str = "cpu") -> "VoiceFaceSpace":
        """The two nets of a bundle."""
        return cls(*(bundle.net(part).to(device) for part in cls.parts))

    @property
    def device(self) -> torch.device:
        """Where the nets are."""
        return next(self.voice.parameters()).device

    @abstractmethod
    def windows(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, "windows *features"]:
        """What the voice net reads of one recording, in pieces as long as it was trained on."""

    @torch.inference_mode()
    def embed_voice(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, " embedding"]:
        """Unit mean of the unit embeddings of a recording's windows; speech at 16 kHz, [-1, 1]."""
        parts = self.windows(speech.to(self.device)).split(BATCH)
        units = torch.cat([functional.normalize(self.voice(part)) for part in parts])
        return functional.normalize(units.mean(0), dim=0)

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

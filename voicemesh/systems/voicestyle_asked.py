"""What is asked of VoiceStyle, and what it tells."""

import zlib
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from voicemesh.latent.search import SearchOptions


@dataclass(frozen=True, eq=False)
class Heard:
    """A voice in the space that is climbed, and in the judge's."""

    voice: Float[Tensor, " embedding"]
    judge: Float[Tensor, " _"] | None

    @property
    def seed(self) -> int:
        """The same for the same voice."""
        return zlib.crc32(self.voice.cpu().numpy().tobytes()) & 0x7FFFFFFF


@dataclass(frozen=True)
class Wish:
    """What is asked of the faces for a voice."""

    candidates: int = 1
    # Of the candidates. Unless given, the first is the face most expected: what the voice tells
    # as it is expected, all else lent by the known face nearest to it; others are drawn.
    seed: int | None = None
    spread: float = 0.7  # of what a voice leaves open: 1 draws among all that fit, 0 does not
    look: float = 0.8  # how much of a look is lent: 1 is all of it, 0 the average of all looks
    truncation: float = 1.0  # 0 is the mean face
    neighbours: int = 8
    temperature: float = 0.03  # of the neighbours' weights, in cosines
    search: SearchOptions = field(default_factory=SearchOptions)


EXPECTED = Wish()  # one face, the most expected


@dataclass(frozen=True, eq=False)
class Imagined:
    """Faces for a voice, as far as they have come."""

    step: int  # 0 is the first image
    steps: int
    pixels: UInt8[np.ndarray, "candidates height width 3"]
    similarity: Float[np.ndarray, " candidates"]  # cosine to the voice in the space climbed
    judged: Float[np.ndarray, " candidates"] | None  # by nets that were not climbed
    w: Float[np.ndarray, "candidates style"]

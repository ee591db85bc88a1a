"""Small nets of our own for a space that voices and faces share; they say what they read.

Both association systems put them on backbones that are trained first: a trunk that hears, an IR
net that sees.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from .irse import IrBackbone
from .sss import embedding_head
from .voice_trunk import VoiceTrunk


class TrunkVoiceEncoder(nn.Module):
    """A voice trunk and a head on its code, which is widened first.

    `front_end` names the features that it reads.
    """

    def __init__(
        self,
        front_end: str = "voicemesh",
        channels: int = 112,
        widths: Sequence[int] = (128, 192, 288, 432),
        blocks: Sequence[int] = (0, 1, 1, 1),
        code: int = 64,
        features: int = 256,
        embedding: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.model = VoiceTrunk(channels, widths, blocks, code)
        self.widen = nn.Linear(code, features)
        self.fc = embedding_head(features, embedding, dropout)

    def forward(
        self, features: Float[Tensor, "batch channel frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised."""
        return self.of_code(self.model(features))

    def of_code(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, "batch embedding"]:
        """Embeddings from what the backbone said, at any length."""
        return self.fc(self.widen(code))


class PortraitFaceEncoder(nn.Module):
    """A square portrait (R, G, B in [-1, 1], `side` pixels) to an embedding.

    Its first convolution halves the picture, so that the picture can be large and the net quick.

    Args:
        code: values that the backbone gives, widened to `features`; none: it gives the features.
    """

    def __init__(
        self,
        side: int = 112,
        units: Sequence[int] = (1, 1, 1, 1),
        widths: Sequence[int] = (24, 48, 96, 160),
        features: int = 256,
        embedding: int = 128,
        dropout: float = 0.5,
        code: int = 0,
    ) -> None:
        super().__init__()
        self.side = side
        self.model = IrBackbone(units, widths, side, code or features, dropout=0.0, stem=2)
        self.widen = nn.Linear(code, features) if code else nn.Identity()
        self.fc = embedding_head(features, embedding, dropout)

    def forward(
        self, image: Float[Tensor, "batch 3 side side"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised."""
        return self.of_code(self.model(image))

    def of_code(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, "batch embedding"]:
        """Embeddings from what the backbone said."""
        return self.fc(self.widen(code))

"""From an embedding of a face to where in the latent space such faces are: VoiceStyle's start."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class LatentStart(nn.Module):
    """Unit face embeddings to whitened latents: a linear map and a residual in two layers.

    It knows both modalities' mean embeddings and the linear map between what is left, so that a
    voice can stand in for a face.
    """

    def __init__(self, embedding: int = 128, axes: int = 256, hidden: int = 256) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, axes)
        self.inner = nn.Sequential(nn.Linear(embedding, hidden), nn.LeakyReLU(0.2))
        self.outer = nn.Linear(hidden, axes)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)
        self.register_buffer("voice_mean", torch.zeros(embedding))
        self.register_buffer("face_mean", torch.zeros(embedding))
        self.register_buffer("face_of_voice", torch.eye(embedding))
        # What the embedding leaves open: deviations along directions of the whitened latent.
        self.register_buffer("open", torch.zeros(axes, axes))

    def forward(self, face: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch axes"]:
        """The whitened latents to expect behind faces of these embeddings."""
        return self.linear(face) + self.outer(self.inner(face))

    def as_face(self, voice: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch embedding"]:
        """The face embedding to expect of a voice: the gap between the modalities removed."""
        return self.face_mean + (voice - self.voice_mean) @ self.face_of_voice.T

    def of_voice(
        self,
        voice: Float[Tensor, "batch embedding"],
        luck: Float[Tensor, "batch axes"] | None = None,
        spread: float = 1.0,
    ) -> Float[Tensor, "batch axes"]:
        """Whitened latents for voices; Gaussian `luck` chooses among all that fit."""
        expected = self(self.as_face(functional.normalize(voice)))
        return expected if luck is None else expected + spread * luck @ self.open

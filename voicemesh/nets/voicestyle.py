"""From a voice to where in the latent space its faces are: VoiceStyle's start in one pass."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class VoiceStart(nn.Module):
    """What a voice tells of a whitened latent: its place along few directions, and how surely.

    Across them a voice tells nothing; there a latent is whatever somebody lends. It also knows
    both modalities' mean embeddings and the linear map between what is left, so that a voice can
    stand in for a face.
    """

    def __init__(self, embedding: int = 128, axes: int = 128, told: int = 8) -> None:
        super().__init__()
        self.heard = nn.Linear(embedding, told)
        self.register_buffer("directions", torch.eye(told, axes))  # orthonormal
        # Root of the covariance of what a voice leaves open along the directions.
        self.register_buffer("open", torch.zeros(told, told))
        self.register_buffer("voice_mean", torch.zeros(embedding))
        self.register_buffer("face_mean", torch.zeros(embedding))
        self.register_buffer("face_of_voice", torch.eye(embedding))

    def forward(
        self,
        voice: Float[Tensor, "batch embedding"],
        lent: Float[Tensor, "batch axes"],
        luck: Float[Tensor, "batch told"] | None = None,
        spread: float = 1.0,
    ) -> Float[Tensor, "batch axes"]:
        """The latents that are lent, moved to where the voices say.

        Args:
            luck: Gaussian; chooses among all places that fit. The expected one unless given.
        """
        place = self.heard(functional.normalize(voice))
        if luck is not None:
            place = place + spread * luck @ self.open
        return lent + (place - lent @ self.directions.T) @ self.directions

    def as_face(self, voice: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch embedding"]:
        """The face embedding to expect of a voice: the gap between the modalities removed."""
        return self.face_mean + (voice - self.voice_mean) @ self.face_of_voice.T

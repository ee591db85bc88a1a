"""From a voice to where in the latent space its faces are: VoiceStyle's start in one pass."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

APART = 0.1  # deviations of the population that a face's sex and age may be off


class VoiceStart(nn.Module):
    """What a voice tells of a whitened latent: its place along few directions, and how surely.

    Across them a voice tells nothing; there a latent is whatever somebody lends. The first places
    are traits (sex, age) as they are read off faces. It also knows both modalities' mean embeddings
    and the linear map between what is left, so that a voice can stand in for a face.
    """

    def __init__(
        self, embedding: int = 128, axes: int = 128, told: int = 8, traits: int = 0
    ) -> None:
        """`traits` of `told` are read off faces; without any, places are along the directions."""
        super().__init__()
        self.traits = traits
        self.heard = nn.Linear(embedding, told)
        self.register_buffer("directions", torch.eye(told, axes))
        if traits:
            self.apparent = nn.Linear(embedding, traits)  # of a face
            # What tells the places of a latent: 1 along its own direction, 0 along the others.
            self.register_buffer("readings", torch.eye(told, axes))
        # Root of the covariance of what a voice leaves open of the places.
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
        return lent + (place - self.places(lent)) @ self.directions

    def places(self, v: Float[Tensor, "batch axes"]) -> Float[Tensor, "batch told"]:
        """Where latents are along the directions."""
        return v @ (self.readings if self.traits else self.directions).T

    def fits(
        self, voice: Float[Tensor, " embedding"], faces: Float[Tensor, "faces embedding"]
    ) -> Float[Tensor, " faces"]:
        """Log odds of faces by whether they show the traits that a voice tells, and by no more."""
        if not self.traits:
            return torch.zeros_like(faces[:, 0])
        wanted = self.heard(functional.normalize(voice, dim=0))[: self.traits]
        return -0.5 * ((self.apparent(faces) - wanted) / APART).square().sum(1)

    def as_face(self, voice: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch embedding"]:
        """The face embedding to expect of a voice: the gap between the modalities removed."""
        return self.face_mean + (voice - self.voice_mean) @ self.face_of_voice.T

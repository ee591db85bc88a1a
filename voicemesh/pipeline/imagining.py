"""A face image for a voice: what VoiceStyle imagines, and the faces that it grew from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.latent.projection import pixels_of
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.voicestyle import GENERATOR, Heard, Imagined, VoiceStyle, Wish

SHOW_EVERY = 3  # steps of the refinement between two images that are shown


@dataclass(frozen=True, eq=False)
class Prototypes:
    """The known faces nearest to a voice, from which its image starts."""

    pixels: UInt8[np.ndarray, "prototypes height width 3"]
    weights: Float[np.ndarray, " prototypes"]  # add up to one


class Imaginer:
    """The image nets of a bundle, loaded when they are first asked."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self.bundle, self.device = bundle, device

    @staticmethod
    def fits(bundle: Bundle) -> bool:
        """Has a bundle all that is needed?"""
        return {GENERATOR, *Cmpc.parts} <= set(bundle.parts)

    @cached_property
    def system(self) -> VoiceStyle:
        """The nets."""
        return VoiceStyle.from_bundle(self.bundle, self.device)

    def hear(self, speech: Float[np.ndarray, " speech"]) -> Heard:
        """A voice at 16 kHz, once for all its images."""
        return self.system.hear(torch.from_numpy(np.ascontiguousarray(speech, np.float32)))

    def imagine(self, heard: Heard, wish: Wish) -> Iterator[Imagined]:
        """The first images at once, then refined ones."""
        return self.system.imagine(heard, wish, SHOW_EVERY)

    def first(self, speech: Float[np.ndarray, " speech"]) -> Imagined:
        """The image of one forward pass."""
        return next(self.imagine(self.hear(speech), Wish()))

    @torch.no_grad()
    def prototypes(self, heard: Heard, wish: Wish) -> Prototypes:
        """The known faces that the start is drawn towards, as the generator shows them."""
        system = self.system
        rows, weights = system.neighbours(heard.voice, wish.neighbours, wish.temperature)
        images = system.images(system.members.w[rows])
        return Prototypes(pixels_of(images), weights.cpu().numpy())

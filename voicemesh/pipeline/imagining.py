"""A face image for a voice: what VoiceStyle imagines, and the faces that it grew from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import STYLEGAN2_GENERATOR
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.gallery import SIDES
from voicemesh.gallery.leaning import SexAxis
from voicemesh.images import middle as middle_of
from voicemesh.latent.projection import pixels_of
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.voicestyle import Heard, Imagined, VoiceStyle, Wish
from voicemesh.systems.voicestyle_members import SPACE, STRANGER

SHOW_EVERY = 3  # steps of the refinement between two images that are shown


@dataclass(frozen=True, eq=False)
class Prototypes:
    """The known faces nearest to a voice, from which its images start.

    What the voice tells, the images have from the voice; a face that lends to an image gives it
    all else: hair, skin, eyes.
    """

    pixels: UInt8[np.ndarray, "prototypes height width 3"]
    weights: Float[np.ndarray, " prototypes"]  # add up to one
    lends: tuple[tuple[int, ...], ...] = ()  # of each, to which images, from 0; empty: to none
    shown: tuple[bool, ...] = ()  # of each, whether it is a true picture of the gallery


class Imaginer:
    """The image nets of a bundle, loaded when they are first asked."""

    parts = (STYLEGAN2_GENERATOR, *Cmpc.parts)  # what a bundle needs for them

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self.bundle, self.device = bundle, device

    @staticmethod
    def missing(bundle: Bundle) -> list[str]:
        """The parts that a bundle would need besides."""
        return [part for part in Imaginer.parts if part not in bundle.parts]

    @cached_property
    def system(self) -> VoiceStyle:
        """The nets."""
        return VoiceStyle.from_bundle(self.bundle, self.device)

    @cached_property
    def gallery(self) -> FolderGallery:
        """The gallery of the bundle."""
        assert self.bundle.gallery_folder is not None
        return FolderGallery(self.bundle.gallery_folder, verify=False)

    @cached_property
    def axis(self) -> SexAxis | None:
        """Where the sexes lie for voices among the gallery's faces; None where it is not known."""
        if self.bundle.gallery_folder is None or SPACE not in self.gallery.spaces:
            return None
        if not set(SIDES) <= set(self.gallery.spaces[SPACE].sides):
            return None
        return SexAxis.of(*(self.gallery.side(SPACE, side) for side in SIDES))

    def hear(self, speech: Float[np.ndarray, " speech"], sex: str | None = None) -> Heard:
        """A voice at 16 kHz, once for all its images; led to the `sex` that the mesh heard."""
        heard = self.system.hear(torch.from_numpy(np.ascontiguousarray(speech, np.float32)))
        if not sex or self.axis is None:
            return heard
        led = self.axis.led(heard.voice.cpu().numpy(), sex)
        return replace(heard, voice=torch.from_numpy(np.asarray(led)).to(heard.voice))

    def imagine(self, heard: Heard, wish: Wish) -> Iterator[Imagined]:
        """The first images at once, then refined ones."""
        return self.system.imagine(heard, wish, SHOW_EVERY)

    def first(self, speech: Float[np.ndarray, " speech"]) -> Imagined:
        """The image of one forward pass."""
        return next(self.imagine(self.hear(speech), Wish()))

    @torch.no_grad()
    def prototypes(self, heard: Heard, wish: Wish) -> Prototypes:
        """The known faces that the start grows from: pictures of the gallery, or as generated."""
        system = self.system
        rows, weights, lenders = system.prototypes(heard, wish)
        pixels = pixels_of(system.images(system.members.w[rows]))
        entries = system.members.entry[rows].tolist()
        for place, entry in enumerate(entries):
            if entry != STRANGER:
                pixels[place] = self._picture(entry)
        lends = (np.flatnonzero(lenders.cpu().numpy() == row).tolist() for row in rows.tolist())
        return Prototypes(
            pixels,
            weights.cpu().numpy(),
            tuple(map(tuple, lends)),
            tuple(entry != STRANGER for entry in entries),
        )

    def _picture(self, entry: int) -> UInt8[np.ndarray, "size size 3"]:
        """A picture of the gallery in the size of the generator's images."""
        picture = self.gallery.picture(entry)
        assert picture is not None  # only entries with pictures have latents
        size = self.system.generator.size
        middle = Image.fromarray(middle_of(picture)).resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(middle)

"""VoiceStyle as published, all seven steps: from a voice and a folder of people's pictures.

The clusters nearest to a voice name people; a picture of each is inverted; the mean of the latents
is refined. Published, CLIP picks the picture of a person that is most like a frame of the video
that was found. Here the one picture is taken that CMPC itself finds most like the voice.
Source: audio-visual/voicestyle, generation/pipeline.py.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from voicemesh import images
from voicemesh.checkpoints.bundle import Bundle

from .cmpc_prototypes import Prototypes
from .inversion import Inverter
from .voicestyle import PUBLISHED_MEMBERS, VoiceStyle
from .voicestyle_asked import Imagined

CLUSTERS = 1000  # published: the level whose clusters are searched
LOOKED_AT = 32  # pictures of a person, at most


class PublishedVoiceStyle:
    """The nets, the clusters of faces, and the inversion of pictures."""

    def __init__(self, system: VoiceStyle, inverter: Inverter, prototypes: Prototypes) -> None:
        self.system, self.inverter, self.prototypes = system, inverter, prototypes

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, device: torch.device | str = "cpu"
    ) -> "PublishedVoiceStyle":
        """Of a bundle that `convert voicestyle` made.

        Raises:
            ValueError: its clusters are of people without names.
        """
        prototypes = Prototypes.from_bundle(bundle, device)
        if not prototypes.names:
            raise ValueError(
                f"The clusters of {bundle.title!r} name nobody; convert VoiceStyle's files with"
                " the memory of CMPC and its training.csv"
            )
        system = VoiceStyle.from_bundle(bundle, device, gallery=False)
        return cls(system, Inverter.from_bundle(bundle, device), prototypes)

    def people(self, voice: Float[Tensor, " embedding"], clusters: int = CLUSTERS) -> list[str]:
        """Steps 1 and 1b: whose videos lie in the clusters nearest to a voice, the first eight."""
        rows = self.prototypes.published_members(voice, clusters)[:PUBLISHED_MEMBERS]
        return [self.prototypes.names[row].split("/")[0] for row in rows.tolist()]

    def pictures(
        self, voice: Float[Tensor, " embedding"], folder: Path, clusters: int = CLUSTERS
    ) -> dict[Path, UInt8[np.ndarray, "_ _ 3"]]:
        """Step 2: a picture of each of these people, who have a folder of their name each.

        Raises:
            ValueError: none of them has a picture there.
        """
        names, found = self.people(voice, clusters), {}
        for name in dict.fromkeys(names):
            files = sorted((folder / name).glob("*"))
            files = [file for file in files if file.suffix.lower() in images.SUFFIXES]
            shown = {file: images.read(file) for file in files[:LOOKED_AT]}
            if shown:
                faces = self.system.space.embed_faces(list(shown.values()))
                best = list(shown)[int((faces @ voice).argmax())]
                found[best] = shown[best]
        if not found:
            raise ValueError(
                f"{folder} has no pictures of the people whom this voice leads to; put some of"
                f" {', '.join(dict.fromkeys(names))} into folders of their names"
            )
        return found

    def imagine(
        self,
        speech: Float[Tensor, " samples"],
        folder: Path,
        clusters: int = CLUSTERS,
        seed: int = 0,
    ) -> Iterator[Imagined]:
        """Faces for speech at 16 kHz, from the first image on. Stop at any time."""
        heard = self.system.hear(speech)
        found = self.pictures(heard.voice, folder, clusters)
        *_, inverted = self.inverter.invert(list(found.values()))
        yield from self.system.published(heard, inverted.w, seed)

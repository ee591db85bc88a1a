"""Known faces of VoiceStyle: embeddings to compare a voice with, and latents to start from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.latents import latents_of

SPACE = "cmpc"  # of a gallery
STRANGER = -1  # the entry of somebody who is in no gallery


@dataclass(frozen=True, eq=False)
class Members:
    """Faces whose latents are known: what a voice is compared with first."""

    faces: Float[Tensor, "members embedding"]  # unit
    w: Float[Tensor, "members style"]
    person: Int64[Tensor, " members"]  # below zero: people of a gallery
    entry: Int64[Tensor, " members"]  # of the gallery whose pictures they are, or STRANGER

    @classmethod
    def of(
        cls,
        faces: Float[Tensor, "members embedding"],
        w: Float[Tensor, "members style"],
        person: Int64[Tensor, " members"],
    ) -> "Members":
        """People who are in no gallery."""
        return cls(functional.normalize(faces), w, person, torch.full_like(person, STRANGER))

    @classmethod
    def read(cls, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> "Members":
        """Out of a part of a bundle.

        Raises:
            ValueError: a table is missing or they do not fit each other.
        """
        wanted = ("faces", "w", "person")
        if missing := [name for name in wanted if name not in tensors]:
            raise ValueError(f"The members of VoiceStyle lack {', '.join(missing)}")
        if len({len(tensors[name]) for name in wanted}) > 1:
            raise ValueError("The members' faces, latents and people differ in number")
        faces, w, person = (tensors[name] for name in wanted)
        return cls.of(faces.float(), w.float(), person.long())

    @classmethod
    def of_gallery(cls, gallery: FolderGallery, nets: Mapping[str, str]) -> "Members | None":
        """The people of a gallery whose pictures were inverted for these nets; None without any.

        Raises:
            ValueError: its embeddings are of other nets.
        """
        found = latents_of(gallery, nets)
        if found is None or SPACE not in gallery.spaces:
            return None
        gallery.check(nets)
        side = gallery.side(SPACE, "faces")
        both, own, theirs = np.intersect1d(found.entries, side.entries, return_indices=True)
        person = -1 - gallery.columns["person"][both].astype(np.int64)
        return cls(
            functional.normalize(torch.from_numpy(side.vectors[theirs].astype(np.float32))),
            torch.from_numpy(found.w[own]),
            torch.from_numpy(person),
            torch.from_numpy(both.astype(np.int64)),
        )

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """What `read` reads, in half precision."""
        return {"faces": self.faces.half(), "w": self.w.half(), "person": self.person.int()}

    def with_others(self, others: "Members | None") -> "Members":
        """These and others, whose faces are moved to a common mean.

        Embeddings of true pictures and of a generator's images lie apart by a constant, beside
        which nobody of the farther kind would ever be near to a voice.
        """
        if others is None:
            return self
        faces = others.faces - others.faces.mean(0) + self.faces.mean(0)
        others = replace(others, faces=functional.normalize(faces))
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Members(*(torch.cat(pair) for pair in pairs))

    def to(self, device: torch.device | str) -> "Members":
        """The same on a device."""
        return Members(*(value.to(device) for value in vars(self).values()))


def members_of(bundle: Bundle, part: str, gallery: bool = True) -> Members | None:
    """Everybody whom a bundle knows: those of a part, and unless told not the gallery's people."""
    known = Members.read(bundle.tensors(part)) if part in bundle.parts else None
    if bundle.gallery_folder is None or not gallery:
        return known
    nets = {name: entry.sha256 for name, entry in bundle.parts.items()}
    shown = Members.of_gallery(FolderGallery(bundle.gallery_folder, verify=False), nets)
    return shown if known is None else known.with_others(shown)

"""Galleries: people with pictures, voices and embeddings, and what can be asked of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int16, UInt8

from .search import Matches

SIDES = ("faces", "voices")
SEXES = ("", "female", "male")  # as numbers in the files; the first is unknown
TEXTS = ("identity", "label", "file", "source", "licence")
MEDIA = ("pictures", "voices")


@dataclass(frozen=True, eq=False)
class Entry:
    """One row of a gallery: a picture, a recording, or both, of a person."""

    number: int
    identity: str
    label: str  # for people to read, like "Woman, 34"
    sex: str  # "female", "male" or "" where it is not known
    age: float | None
    file: str  # that it was made of
    source: str
    licence: str
    picture: bytes | None = field(repr=False)  # JPEG, PNG or WebP
    voice: bytes | None = field(repr=False)  # Ogg with Opus
    # Whitened, of the bundle's face model.
    shape_params: Float32[np.ndarray, " s"] | None = field(repr=False)


@dataclass(frozen=True)
class Space:
    """An embedding space: whose nets made its vectors, and which sides it has."""

    nets: dict[str, str]  # part of a bundle: sha256 of its file
    width: int
    sides: tuple[str, ...]  # of SIDES


class Gallery(ABC):
    """What every gallery answers, wherever it is kept."""

    name: str
    title: str
    spaces: dict[str, Space]

    @staticmethod
    def open(where: str | Path, verify: bool = True) -> "Gallery":
        """A gallery in a folder, or `http://host:port/collection` of a Qdrant server.

        Args:
            verify: compare every file with its stated sha256, which reads it once.

        Raises:
            ValueError: there is none, it is not of this format, or a file is missing or altered.
        """
        if str(where).startswith(("http://", "https://")):
            from .qdrant import QdrantGallery

            return QdrantGallery.at(str(where))
        from .folder import FolderGallery

        return FolderGallery(Path(where), verify)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} entries)"

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def entry(self, number: int) -> Entry:
        """One entry, its media included."""

    @abstractmethod
    def numbers(self, identity: str) -> list[int]:
        """The entries of a person, ascending; none for a stranger."""

    @abstractmethod
    def search(
        self,
        unit: Float[np.ndarray, " d"],
        space: str,
        side: str = "faces",
        count: int = 8,
        sex: str | None = None,
    ) -> Matches:
        """The `count` people most similar to a probe, each by his best entry.

        Args:
            unit: embedding of a voice or a face, of length one.
            sex: "female" or "male" compares people of this sex alone.

        Raises:
            ValueError: no such space, side or sex, or a probe of another width or length.
        """

    @abstractmethod
    def rank(
        self,
        unit: Float[np.ndarray, " d"],
        space: str,
        side: str,
        identity: str,
        sex: str | None = None,
    ) -> tuple[int, int]:
        """A person's place (1: most similar) among how many people.

        Raises:
            ValueError: as `search`, or nobody of this name is compared.
        """

    def picture(self, number: int) -> UInt8[np.ndarray, "height width 3"] | None:
        """The picture of an entry, or else the first of the same person."""
        from voicemesh import images

        content = self._media(number, "picture")
        return None if content is None else images.read(content, f"entry {number}")

    def voice(self, number: int) -> tuple[int, Int16[np.ndarray, " samples"]] | None:
        """Rate and samples of an entry's recording, or else of the first of the same person."""
        import soundfile

        content = self._media(number, "voice")
        if content is None:
            return None
        samples, rate = soundfile.read(BytesIO(content), dtype="int16", always_2d=True)
        return rate, np.ascontiguousarray(samples[:, 0])

    def _media(self, number: int, kind: str) -> bytes | None:
        entry = self.entry(number)
        if (own := getattr(entry, kind)) is not None:
            return own
        others = (getattr(self.entry(other), kind) for other in self.numbers(entry.identity))
        return next((content for content in others if content is not None), None)

    def check(self, nets: Mapping[str, str]) -> None:
        """Refuse nets other than those that made the embeddings.

        Args:
            nets: part of a bundle: sha256 of its file. Parts that are not there are not compared.

        Raises:
            ValueError: a net differs.
        """
        for name, space in self.spaces.items():
            for part, made_by in space.nets.items():
                if part in nets and nets[part] != made_by:
                    raise ValueError(
                        f"The gallery {self.name!r} was embedded in {name!r} by another {part} "
                        f"(sha256 {made_by[:12]}..., given {nets[part][:12]}...); embed it again "
                        "with these nets: python -m voicemesh index"
                    )

    def _nobody(self, identity: str, space: str, side: str, sex: str | None) -> ValueError:
        among = f"the {side} of {space!r}" + (f" that are {sex}" if sex else "")
        return ValueError(f"Nobody named {identity!r} is among {among} in {self.name!r}")

    def _asked(self, unit: Float[np.ndarray, " d"], space: str, side: str, sex: str | None) -> None:
        """Refuse questions that have no answer here."""
        if space not in self.spaces:
            has = ", ".join(self.spaces) or "none"
            raise ValueError(f"The gallery {self.name!r} has no space {space!r}; it has {has}")
        told = self.spaces[space]
        if side not in told.sides:
            has = ", ".join(told.sides)
            raise ValueError(f"{space!r} of {self.name!r} has no {side!r}; it has {has}")
        if sex is not None and sex not in SEXES[1:]:
            raise ValueError(f"No sex {sex!r} to compare; give female, male or None")
        if len(unit) != told.width:
            raise ValueError(f"{space!r} has {told.width} values, the probe has {len(unit)}")
        length = float(np.linalg.norm(np.asarray(unit, np.float64)))
        if not abs(length - 1) < 1e-2:
            raise ValueError(f"The probe has length {length:.3g}; divide it by that")

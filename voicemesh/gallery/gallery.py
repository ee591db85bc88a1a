"""Galleries: people with pictures, voices and embeddings, kept in a folder, searched by either."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int16, UInt8

from .approximate import CellIndex, Recall
from .files import Packed, mapped, sha256_of
from .search import Matches, Side

FORMAT = 1
MANIFEST = "gallery.json"
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
    picture: bytes | None  # JPEG, PNG or WebP
    voice: bytes | None  # Ogg with Opus
    shape_params: Float32[np.ndarray, " s"] | None  # whitened, of the bundle's face model


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
        return FolderGallery(Path(where), verify)

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


class FolderGallery(Gallery):
    """A gallery in a folder, mapped into memory: what is not looked at is not read."""

    def __init__(self, folder: Path, verify: bool = True) -> None:
        """Open and check a folder."""
        told = read_manifest(folder)
        try:
            check_files(folder, told["files"], verify)
            self.folder, self.manifest = folder, told
            self.name, self.title = told["name"], told["title"]
            self.spaces = {
                name: Space(space["nets"], space["width"], tuple(space["sides"]))
                for name, space in told["spaces"].items()
            }
            self.columns = self._mapped(told["entries"]["file"])
            self._texts = {name: Packed.among(self.columns, name) for name in TEXTS}
            self._people = Packed.among(self.columns, "people")
            self._count = told["entries"]["count"]
            lengths = {len(column) for column in self._texts.values()}
            lengths |= {len(self.columns[name]) for name in ("sex", "age", "person")}
            if lengths != {self._count}:
                raise ValueError(f"{folder}: its columns do not have {self._count} entries each")
            self._stored = {kind: self._blobs(kind) for kind in MEDIA}
            self._sides = {
                (name, side): self._side(name, side)
                for name, space in self.spaces.items()
                for side in space.sides
            }
            table = told.get("strangers")
            self._strangers = self._mapped(table) if table else {}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / MANIFEST} is no gallery manifest: {error}") from error

    def __len__(self) -> int:
        return self._count

    @property
    def people(self) -> int:
        """How many different persons there are."""
        return len(self._people)

    def entry(self, number: int) -> Entry:
        """One entry, its media included."""
        if not 0 <= number < len(self):
            raise ValueError(f"No entry {number}; {self.name!r} has {len(self)}")
        age = float(self.columns["age"][number])
        shapes = self.columns.get("shape_params")
        shape = None if shapes is None else np.array(shapes[number], np.float32)
        return Entry(
            number=number,
            **{name: column.text(number) for name, column in self._texts.items()},
            sex=SEXES[self.columns["sex"][number]],
            age=None if math.isnan(age) else age,
            picture=self._blob("pictures", number),
            voice=self._blob("voices", number),
            shape_params=None if shape is None or np.isnan(shape).any() else shape,
        )

    def files(self) -> set[str]:
        """The files that its entries were made of."""
        return {name.decode() for name in self._texts["file"]}

    def numbers(self, identity: str) -> list[int]:
        """The entries of a person, ascending; none for a stranger."""
        person = self._person(identity)
        if person is None:
            return []
        return np.flatnonzero(self.columns["person"] == person).tolist()

    def search(
        self,
        unit: Float[np.ndarray, " d"],
        space: str,
        side: str = "faces",
        count: int = 8,
        sex: str | None = None,
    ) -> Matches:
        """The `count` people most similar to a probe; every row compared, or cells of them."""
        self._asked(unit, space, side, sex)
        number = None if sex is None else SEXES.index(sex)
        strangers = self.strangers(space, side, sex or "all")
        return self._sides[space, side].search(unit, count, number, strangers)

    def rank(
        self,
        unit: Float[np.ndarray, " d"],
        space: str,
        side: str,
        identity: str,
        sex: str | None = None,
    ) -> tuple[int, int]:
        """A person's place among how many people, by comparing every row."""
        self._asked(unit, space, side, sex)
        person, number = self._person(identity), None if sex is None else SEXES.index(sex)
        found = None
        if person is not None:
            found = self._sides[space, side].rank(unit, person, number)
        if found is None:
            raise self._nobody(identity, space, side, sex)
        return found

    def strangers(
        self, space: str, side: str, sex: str = "all"
    ) -> Float32[np.ndarray, " strangers"] | None:
        """What the best matches of strangers reach, ascending."""
        return self._strangers.get(f"{space}.{side}.{sex}")

    def side(self, space: str, side: str) -> Side:
        """The embeddings of one side."""
        return self._sides[space, side]

    def _person(self, identity: str) -> int | None:
        return self._by_name.get(identity)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {name.decode(): number for number, name in enumerate(self._people)}

    def _mapped(self, name: str) -> dict[str, np.ndarray]:
        if name not in self.manifest["files"]:
            raise ValueError(f"{self.folder / MANIFEST} gives no sha256 of {name!r}")
        return mapped(self.folder / name)

    def _side(self, space: str, side: str) -> Side:
        told = self.manifest["spaces"][space]["sides"][side]
        arrays = self._mapped(told["file"])
        vectors, entries = arrays["vectors"], arrays["entries"]
        if vectors.ndim != 2 or vectors.shape != (len(entries), self.spaces[space].width):
            raise ValueError(f"{told['file']} holds {vectors.shape}, not the rows of {space!r}")
        if len(entries) and not 0 <= entries.min() <= entries.max() < len(self):
            raise ValueError(f"{told['file']} names entries that {self.name!r} does not have")
        index, recall = None, None
        if "index" in told:
            recall = Recall(**told["index"]["recall"])
            index = CellIndex.open(self.folder / told["index"]["file"], recall.visited)
        person, sex = self.columns["person"][entries], self.columns["sex"][entries]
        return Side(vectors, entries, person, sex, index, recall)

    def _blobs(self, kind: str) -> list[tuple[np.ndarray, Packed]]:
        files = [self._mapped(name) for name in self.manifest[kind]]
        return [(arrays["entries"], Packed.among(arrays, kind)) for arrays in files]

    def _blob(self, kind: str, number: int) -> bytes | None:
        for entries, content in self._stored[kind]:
            if len(entries) and entries[0] <= number <= entries[-1]:
                place = int(np.searchsorted(entries, number))
                return content[place] if entries[place] == number else None
        return None


def read_manifest(folder: Path) -> dict:
    """What gallery.json says.

    Raises:
        ValueError: there is none, or none of this format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is no gallery: it has no {MANIFEST}")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = told["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no gallery manifest: {error}") from error
    if found != FORMAT:
        raise ValueError(f"{path} is of format {found}; this reads {FORMAT}")
    return told


def check_files(folder: Path, files: Mapping[str, Mapping], verify: bool) -> None:
    """Refuse a folder whose files are not those that its manifest names.

    Raises:
        ValueError: a file is missing, of another size or altered, or its name leaves the folder.
    """
    for name, told in files.items():
        path = folder / name
        if Path(name).name != name or "\\" in name:
            raise ValueError(f"{folder / MANIFEST}: {name!r} is no plain name of a file")
        if not path.is_file():
            raise ValueError(f"The gallery {folder} lacks the file {name}")
        if path.stat().st_size != told["bytes"]:
            size = path.stat().st_size
            raise ValueError(
                f"{path} has {size:,} bytes, stated {told['bytes']:,}; copy the gallery again"
            )
        if verify and (found := sha256_of(path)) != told["sha256"]:
            raise ValueError(
                f"{path} is not the file that the gallery describes: sha256 {found[:12]}..., "
                f"stated {told['sha256'][:12]}...; copy the gallery again or embed it anew"
            )

"""A gallery in a folder: a manifest, and arrays that are mapped into memory."""

import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from voicemesh.whole_files import sha256_of

from .approximate import CellIndex, Recall
from .files import Packed, mapped
from .gallery import MEDIA, SEXES, TEXTS, Entry, Gallery, Space
from .search import Matches, Side

FORMAT = 1
MANIFEST = "gallery.json"


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
            if self._count and not 0 <= self.columns["sex"].max() < len(SEXES):
                raise ValueError(f"{folder}: its columns name sexes that there are not")
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

    def _path(self, name: str) -> Path:
        if name not in self.manifest["files"]:
            raise ValueError(f"{self.folder / MANIFEST} gives no sha256 of {name!r}")
        return self.folder / name

    def _mapped(self, name: str) -> dict[str, np.ndarray]:
        return mapped(self._path(name))

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
            path = self._path(told["index"]["file"])
            index = CellIndex.open(path, recall.visited, *vectors.shape)
        person, sex = self.columns["person"][entries], self.columns["sex"][entries]
        return Side(vectors, entries, person, sex, index, recall)

    def _blobs(self, kind: str) -> list[tuple[np.ndarray, Packed]]:
        stored = []
        for name in self.manifest[kind]:
            arrays = self._mapped(name)
            entries, content = arrays["entries"], Packed.among(arrays, kind)
            if len(entries) != len(content) or (np.diff(entries) <= 0).any():
                raise ValueError(f"{name} does not hold one of the {kind} for each of its entries")
            stored.append((entries, content))
        return stored

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
    except (ValueError, KeyError, TypeError, RecursionError) as error:
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

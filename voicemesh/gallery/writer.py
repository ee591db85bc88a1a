"""Galleries are written part by part; an interrupted one goes on and ends with the same bytes."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from voicemesh.whole_files import UNFINISHED, write_json

from .files import Packed, mapped, write
from .folder import FORMAT, MANIFEST, FolderGallery, read_manifest
from .joining import join
from .parts import NewEntry, check, columns_of
from .search import EXACT_LIMIT

PARTS = "parts"  # folder of what is not finished yet
SUFFIXES = (".safetensors", UNFINISHED)


class GalleryWriter:
    """Begins a gallery, or goes on with a finished one."""

    def __init__(
        self,
        folder: str | Path,
        name: str,
        nets: Mapping[str, Mapping[str, str]],
        title: str = "",
        exact_limit: int = EXACT_LIMIT,
    ) -> None:
        """Open a folder for writing.

        Args:
            nets: of every space, part of a bundle: sha256 of its file.
            exact_limit: rows beyond which a side is searched through cells.

        Raises:
            ValueError: the folder holds a gallery of other nets, or something else.
        """
        self.folder, self.name, self.title = Path(folder), name, title
        self.nets = {space: dict(parts) for space, parts in nets.items()}
        self.exact_limit = exact_limit
        self.before = self._before()
        (self.folder / PARTS).mkdir(parents=True, exist_ok=True)

    def _before(self) -> FolderGallery | None:
        """What was finished here earlier."""
        if not (self.folder / MANIFEST).is_file():
            inside = list(self.folder.iterdir()) if self.folder.is_dir() else []
            begun = any(path.name == PARTS for path in inside)  # a gallery, not joined to the end
            foreign = sorted(
                path.name
                for path in inside
                if path.name != PARTS and not (begun and path.suffix in SUFFIXES)
            )
            if foreign:
                raise ValueError(
                    f"{self.folder} is no gallery and not empty: it has {foreign[0]}; "
                    "choose another folder"
                )
            return None
        found = {n: s["nets"] for n, s in read_manifest(self.folder)["spaces"].items()}
        if found != self.nets:
            raise ValueError(
                f"{self.folder} was embedded by other nets or in other spaces "
                f"({', '.join(found) or 'none'}); choose another folder to embed all of it anew"
            )
        return FolderGallery(self.folder)

    def has(self, key: str) -> bool:
        """Whether the part of this name is there."""
        return self._part(key).is_file()

    def add(
        self, key: str, entries: Sequence[NewEntry], faults: Mapping[str, str] | None = None
    ) -> None:
        """Write one part, whole or not at all.

        Args:
            key: a plain name; `finish` is told in which order the parts come.
            faults: files that could not be used, and why.

        Raises:
            ValueError: an entry is not one that a gallery could keep.
        """
        for entry in entries:
            check(entry, list(self.nets))
        told = Packed.of([json.dumps(dict(faults or {}), sort_keys=True)])
        write(self._part(key), columns_of(entries) | told.arrays_as("faults"))

    def faults(self, keys: Sequence[str]) -> dict[str, str]:
        """The files that could not be used in these parts, and why."""
        found = {}
        for key in keys:
            found |= json.loads(Packed.among(mapped(self._part(key)), "faults")[0])
        return found

    def finish(self, keys: Sequence[str]) -> FolderGallery:
        """Join what was there and the parts, in this order, and open it.

        Matches are calibrated on the probes of the entries, or else on the other side of the
        space: everyone is searched for among all others.

        Raises:
            ValueError: a part is not there.
        """
        missing = [key for key in keys if not self.has(key)]
        if missing:
            raise ValueError(f"The parts {', '.join(missing)} of {self.folder} are not there")
        parts = [mapped(self._part(key)) for key in keys]
        told = {"format": FORMAT, "name": self.name, "title": self.title}
        told |= join(self.folder, self.nets, self.before, parts, self.exact_limit)
        told["left_out"] = dict(sorted(self.faults(keys).items()))
        write_json(self.folder / MANIFEST, told)
        shutil.rmtree(self.folder / PARTS)
        for path in self.folder.iterdir():
            if path.suffix in SUFFIXES and path.name not in told["files"]:
                path.unlink()  # of the gallery before
        return FolderGallery(self.folder, verify=False)

    def _part(self, key: str) -> Path:
        return self.folder / PARTS / f"{key}.safetensors"

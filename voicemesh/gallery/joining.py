"""The parts of a gallery become its files, each named by its content, and the manifest."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from voicemesh.whole_files import sha256_of

from .approximate import AT_ONCE, build
from .calibration import Probes, strangers
from .files import mapped, write, write_pieces
from .folder import FolderGallery
from .gallery import MEDIA, SEXES, SIDES
from .parts import PROBES, Arrays, joined, media_files, rows_of
from .search import Side

LARGEST_FILE = 8_000_000  # bytes of media in one file
TUNING_PROBES = 200  # on which the recall of cells is measured
FILTERS = {"all": None, "female": SEXES.index("female"), "male": SEXES.index("male")}
Rows = tuple[list[Float[np.ndarray, "_ d"]], Int32[np.ndarray, " rows"]]  # in pieces; entries


class Files:
    """Files of a folder, named by their content: new ones never overwrite those in use."""

    def __init__(self, folder: Path, known: Mapping[str, dict[str, Any]]) -> None:
        """Begin with files that stay: name to sha256 and bytes."""
        self.folder, self.named = folder, dict(known)

    def place(self, stem: str, suffix: str, written: Callable[[Path], None]) -> str:
        """Let a file be written, and name it."""
        unfinished = self.folder / f"{stem}.unfinished{suffix}"
        written(unfinished)
        sha256 = sha256_of(unfinished)
        name = f"{stem}-{sha256[:12]}{suffix}"
        self.named[name] = {"sha256": sha256, "bytes": unfinished.stat().st_size}
        os.replace(unfinished, self.folder / name)
        return name

    def arrays(self, stem: str, arrays: Arrays) -> str:
        """Place arrays."""
        return self.place(stem, ".safetensors", lambda path: write(path, arrays))


def join(
    folder: Path,
    nets: Mapping[str, Mapping[str, str]],
    before: FolderGallery | None,
    parts: Sequence[Arrays],
    exact_limit: int,
) -> dict[str, Any]:
    """Write all files of a gallery that was there before, if any, and of new parts behind it.

    Returns what a manifest says of them.
    """
    kept = {} if before is None else {kind: before.manifest[kind] for kind in MEDIA}
    known = [name for names in kept.values() for name in names]
    files = Files(folder, {name: before.manifest["files"][name] for name in known})
    begun = 0 if before is None else len(before)
    starts = np.cumsum([begun, *(len(part["sex"]) for part in parts)]).tolist()
    columns = joined([*(() if before is None else (before.columns,)), *parts])
    told = {"entries": {"file": files.arrays("entries", columns), "count": starts[-1]}}
    for kind in MEDIA:
        new = media_files(parts, starts[:-1], kind, LARGEST_FILE)
        told[kind] = [*kept.get(kind, []), *(files.arrays(kind, arrays) for arrays in new)]
    told["spaces"], table = {}, {}
    for space, made_by in nets.items():
        rows = {side: rows_with(before, parts, starts, space, side) for side in SIDES}
        sides, stated = write_space(files, space, rows, columns, exact_limit)
        width = max((side.vectors.shape[1] for side in sides.values()), default=0)
        told["spaces"][space] = {"nets": dict(made_by), "width": width, "sides": stated}
        table |= calibrated(space, sides, probes_of(parts, starts, space, columns))
    told["strangers"] = files.arrays("strangers", table) if table else ""
    return told | {"files": dict(sorted(files.named.items()))}


def rows_with(
    before: FolderGallery | None, parts: Sequence[Arrays], starts: list[int], space: str, side: str
) -> Rows:
    """The vectors of one side that were there before and those of the parts."""
    vectors, entries = rows_of(parts, starts[:-1], f"{space}.{side}")
    if before is not None and side in before.spaces[space].sides:
        old = before.side(space, side)
        vectors, entries = [old.vectors, *vectors], np.append(old.entries, entries)
    return vectors, entries


def probes_of(
    parts: Sequence[Arrays], starts: list[int], space: str, columns: Arrays
) -> dict[str, Probes]:
    """The probes of the parts, by the side that is searched for them."""
    found = {}
    for side in SIDES:
        units, entries = rows_of(parts, starts[:-1], f"{space}.{side}.{PROBES}")
        if len(entries):
            person, sex = columns["person"][entries], columns["sex"][entries]
            found[side] = Probes(np.concatenate(units), person, sex)
    return found


def write_space(
    files: Files, space: str, rows: Mapping[str, Rows], columns: Arrays, exact_limit: int
) -> tuple[dict[str, Side], dict[str, dict[str, Any]]]:
    """The vectors of a space, and cells of those that are many: opened, and as stated."""
    sides, stated = {}, {}
    for side, (vectors, entries) in rows.items():
        if not len(entries):
            continue
        half = len(entries) > exact_limit
        write_side = partial(write_rows, vectors=vectors, entries=entries, half=half)
        file = files.place(f"{space}-{side}", ".safetensors", write_side)
        stated[side] = {"file": file, "rows": len(entries)}
        stored = mapped(files.folder / file)
        person, sex = columns["person"][entries], columns["sex"][entries]
        sides[side] = Side(stored["vectors"], stored["entries"], person, sex)
    if len({side.vectors.shape[1] for side in sides.values()}) > 1:
        raise ValueError(f"Faces and voices of {space!r} differ in their number of values")
    for side, other in (SIDES, SIDES[::-1]):
        if side in sides and len(sides[side]) > exact_limit:
            # What is searched for are embeddings of the other side, where there are any.
            likely = sides.get(other, sides[side]).vectors
            chosen = np.linspace(0, len(likely) - 1, min(len(likely), TUNING_PROBES)).round()
            tried = likely[chosen.astype(np.int64)].astype(np.float32)
            index, recall = build(sides[side].vectors, tried)
            file = files.place(f"{space}-{side}-cells", ".safetensors", index.save)
            stated[side]["index"] = {"file": file, "recall": asdict(recall)}
            sides[side].index = index
    return sides, stated


def write_rows(
    path: Path,
    vectors: Sequence[Float[np.ndarray, "_ d"]],
    entries: Int32[np.ndarray, " rows"],
    half: bool,
) -> None:
    """The vectors of a side, in half precision where they are many."""
    kind = np.dtype("<f2" if half else "<f4")
    shape = (len(entries), vectors[0].shape[1])
    pieces = (v[p : p + AT_ONCE] for v in vectors for p in range(0, len(v), AT_ONCE))
    told = {"vectors": (kind, shape, pieces), "entries": (entries.dtype, entries.shape, [entries])}
    write_pieces(path, told)


def calibrated(space: str, sides: Mapping[str, Side], probes: Mapping[str, Probes]) -> Arrays:
    """What strangers reach on each side: the probes given for it, or the rows of the other."""
    table: Arrays = {}
    for side, other in (SIDES, SIDES[::-1]):
        given = probes.get(side)
        if given is None and other in sides:
            known = sides[other]
            given = Probes(known.vectors, known.person, known.sex)
        if side in sides and given is not None:
            tops = strangers(sides[side], given, FILTERS)
            table |= {f"{space}.{side}.{name}": found for name, found in tops.items()}
    return table

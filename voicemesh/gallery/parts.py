"""What a gallery is told, as columns: written part by part, joined in the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int32, Shaped

from .files import Packed
from .gallery import MEDIA, SEXES, TEXTS

Arrays = dict[str, Shaped[np.ndarray, "..."]]
PROBES = "probes"
LONGER, SHORTER = 1 + 1e-3, 1 - 1e-3  # than one, by which a unit vector may be off


@dataclass(frozen=True, eq=False)
class NewEntry:
    """What a gallery is told about one picture, one recording, or both."""

    identity: str
    label: str = ""
    sex: str = ""
    age: float | None = None
    file: str = ""
    source: str = ""
    licence: str = ""
    picture: bytes | None = None
    voice: bytes | None = None
    shape_params: Float[np.ndarray, " s"] | None = None
    # (space, side): its unit vector
    units: Mapping[tuple[str, str], Float[np.ndarray, " d"]] = field(default_factory=dict)
    # (space, side): unit vectors of the same person, to be searched for there in calibration
    probes: Mapping[tuple[str, str], Float[np.ndarray, "_ d"]] = field(default_factory=dict)


def check(entry: NewEntry, spaces: Sequence[str]) -> None:
    """Refuse an entry that no gallery could keep.

    Raises:
        ValueError: it has no identity, an unknown sex or space, or vectors that are not units.
    """
    told = entry.file or entry.label or entry.identity
    if not entry.identity:
        raise ValueError(f"{told}: an entry needs an identity")
    if entry.sex not in SEXES:
        raise ValueError(f"{told}: the sex is {entry.sex!r}; give female, male or nothing")
    for (space, side), unit in entry.units.items():
        if space not in spaces or side not in ("faces", "voices"):
            raise ValueError(f"{told}: no {side!r} in {space!r}; spaces are {', '.join(spaces)}")
        if not SHORTER < float(np.linalg.norm(unit.astype(np.float64))) < LONGER:
            raise ValueError(f"{told}: its vector in {space!r} is not of length 1")


def columns_of(entries: Sequence[NewEntry]) -> Arrays:
    """One part as arrays."""
    found: Arrays = {}
    for name in TEXTS:
        found |= Packed.of([getattr(entry, name) for entry in entries]).arrays_as(name)
    found["sex"] = np.array([SEXES.index(entry.sex) for entry in entries], np.uint8)
    ages = [np.nan if entry.age is None else entry.age for entry in entries]
    found["age"] = np.array(ages, np.float32)
    shapes = {len(e.shape_params) for e in entries if e.shape_params is not None}
    if len(shapes) > 1:
        raise ValueError(f"Shape parameters of different lengths in one gallery: {sorted(shapes)}")
    if shapes:
        none = np.full(shapes.pop(), np.nan, np.float32)
        rows = [none if entry.shape_params is None else entry.shape_params for entry in entries]
        found["shape_params"] = np.stack(rows).astype(np.float32)
    for kind, of in zip(MEDIA, ("picture", "voice"), strict=True):
        kept = [row for row, entry in enumerate(entries) if getattr(entry, of) is not None]
        found |= Packed.of([getattr(entries[row], of) for row in kept]).arrays_as(kind)
        found[f"{kind}.entries"] = np.array(kept, np.int32)
    for key in sorted({key for entry in entries for key in entry.units}):
        kept = [row for row, entry in enumerate(entries) if key in entry.units]
        name = ".".join(key)
        found[name] = np.stack([entries[row].units[key] for row in kept]).astype(np.float32)
        found[f"{name}.entries"] = np.array(kept, np.int32)
    for key in sorted({key for entry in entries for key in entry.probes}):
        counts = [len(entry.probes.get(key, ())) for entry in entries]
        name = ".".join((*key, PROBES))
        found[name] = np.concatenate([e.probes[key] for e in entries if key in e.probes])
        found[f"{name}.entries"] = np.repeat(np.arange(len(entries), dtype=np.int32), counts)
    return found


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The columns of all parts, their people numbered in the order in which they come."""
    found: Arrays = {}
    for name in TEXTS:
        columns = [Packed.among(part, name) for part in parts]
        found |= Packed.joined(columns).arrays_as(name)
    for name, kind in (("sex", np.uint8), ("age", np.float32)):
        found[name] = np.concatenate([part[name] for part in parts] + [np.zeros(0, kind)])
    widths = {part["shape_params"].shape[1] for part in parts if "shape_params" in part}
    if len(widths) > 1:
        raise ValueError(f"Shape parameters of different lengths in one gallery: {sorted(widths)}")
    if widths:
        none = np.full((1, widths.pop()), np.nan, np.float32)
        blocks = [part.get("shape_params", none.repeat(len(part["sex"]), 0)) for part in parts]
        found["shape_params"] = np.concatenate(blocks)
    people: dict[bytes, int] = {}
    coded = (people.setdefault(name, len(people)) for name in Packed.among(found, "identity"))
    found["person"] = np.fromiter(coded, np.int32, len(found["sex"]))
    return found | Packed.of(list(people)).arrays_as("people")


def media_files(
    parts: Sequence[Arrays], starts: Sequence[int], kind: str, largest: int
) -> Iterator[Arrays]:
    """Pictures or voices of all parts, in files of at most `largest` bytes or of a single one."""
    content: list[bytes] = []
    entries: list[int] = []
    size = 0
    for part, start in zip(parts, starts, strict=True):
        for entry, run in zip(part[f"{kind}.entries"], Packed.among(part, kind), strict=True):
            if content and size + len(run) > largest:
                yield _media_file(kind, entries, content)
                content, entries, size = [], [], 0
            content.append(run)
            entries.append(start + int(entry))
            size += len(run)
    if content:
        yield _media_file(kind, entries, content)


def _media_file(kind: str, entries: list[int], content: list[bytes]) -> Arrays:
    return Packed.of(content).arrays_as(kind) | {"entries": np.array(entries, np.int32)}


def rows_of(
    parts: Sequence[Arrays], starts: Sequence[int], name: str
) -> tuple[list[Float[np.ndarray, "_ d"]], Int32[np.ndarray, " rows"]]:
    """The vectors of one side, part by part, and their entries."""
    chosen = [(part, start) for part, start in zip(parts, starts, strict=True) if name in part]
    entries = [part[f"{name}.entries"] + np.int32(start) for part, start in chosen]
    return [part[name] for part, _ in chosen], np.concatenate([*entries, np.zeros(0, np.int32)])

"""The published query lists of both papers, and their tables of identities."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer

VIDEO_NAME = 11  # characters of a video's name
SPOKEN_NUMBER = slice(14, 19)  # of VIDEO_0000002.wav: the five digits that the file is called


@dataclass(frozen=True)
class Identity:
    """One person of VoxCeleb1, with the names that voices and faces are filed under."""

    voxceleb: str
    vggface: str
    gender: str
    nationality: str


@dataclass(frozen=True, eq=False)
class Queries:
    """Lines of a list as row numbers into the files that it names, each of them once."""

    probes: tuple[str, ...]
    candidates: tuple[str, ...]
    rows: Integer[np.ndarray, "lines columns"]  # probe, then candidates
    labels: Bool[np.ndarray, " lines"] | None = None  # verification: do they belong together


def matching(path: str | Path) -> Queries:
    """A matching list of either paper: PROBE POSITIVE NEGATIVE ..., separated by one space.

    Raises:
        ValueError: no lines, or lines of unequal length.
    """
    return queries([line.split() for line in lines_of(path)], path, least=3)


def verification_pairs(path: str | Path, identities: Iterable[Identity]) -> Queries:
    """A verification list of SSS: PROBE CANDIDATE; true where both are of one identity."""
    numbers = numbering(identities)
    found = queries([line.split() for line in lines_of(path)], path, least=2)
    owners = [
        np.array([owner(name, numbers, path) for name in names])[column]
        for names, column in zip((found.probes, found.candidates), found.rows.T, strict=True)
    ]
    return Queries(found.probes, found.candidates, found.rows, owners[0] == owners[1])


def verification_table(path: str | Path, identities: Iterable[Identity]) -> Queries:
    """A list of Learnable PINs, as CMPC uses it; names become paths under the data roots."""
    voxceleb = {identity.vggface: identity.voxceleb for identity in identities}
    wanted = ("label", "voice-path", "face-path")
    rows = table(path, ",", wanted)
    pairs = [
        [pins_voice(row["voice-path"], voxceleb, path), pins_face(row["face-path"])] for row in rows
    ]
    found = queries(pairs, path, least=2)
    labels = np.array([row["label"].strip() == "1" for row in rows])
    return Queries(found.probes, found.candidates, found.rows, labels)


def pins_voice(name: str, voxceleb: dict[str, str], path: str | Path) -> str:
    """`Name/VIDEO_0000002.wav` as `id10001/VIDEO/00002.wav`."""
    person, _, file = name.partition("/")
    if person not in voxceleb:
        raise ValueError(f"{path} names {person!r}, who is not among the identities")
    return f"{voxceleb[person]}/{file[:VIDEO_NAME]}/{file[SPOKEN_NUMBER]}.wav"


def pins_face(name: str) -> str:
    """`Name/VIDEO/0004575.jpg` as `Name/1.6/VIDEO/0004575.jpg`."""
    person, _, rest = name.partition("/")
    return f"{person}/1.6/{rest}"


def retrieval(path: str | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A retrieval list of SSS: one line of probes, one of gallery items.

    Raises:
        ValueError: it has not two lines.
    """
    found = lines_of(path)
    if len(found) != 2:
        raise ValueError(f"{path} has {len(found)} lines; a retrieval list has two")
    probes, gallery = (tuple(line.split()) for line in found)
    return probes, gallery


def retrieval_items(path: str | Path) -> tuple[str, ...]:
    """One side of CMPC's retrieval: tab-separated, column `wav` or `jpg`."""
    rows = table(path, "\t", ())
    names = [name for name in ("wav", "jpg") if rows and name in rows[0]]
    if len(names) != 1:
        raise ValueError(f"{path} needs a column wav or jpg")
    return tuple(row[names[0]].strip() for row in rows)


def identity_table(path: str | Path) -> tuple[Identity, ...]:
    """The people of a table of either paper; those that SSS marks `none` are left out."""
    first = lines_of(path)[0]
    rows = table(path, "\t" if "\t" in first else ",", ())
    people = []
    for row in rows:
        plain = {key.replace("_", " ").strip(): (value or "").strip() for key, value in row.items()}
        if plain.get("Set", "").lower() == "none":
            continue
        try:
            people.append(
                Identity(
                    *(plain[key] for key in ("VoxCeleb1 ID", "VGGFace1 ID", "Gender")),
                    plain["Nationality"],
                )
            )
        except KeyError as error:
            raise ValueError(f"{path} has no column {error}") from error
    return tuple(people)


def numbering(identities: Iterable[Identity]) -> dict[str, int]:
    """A number for each person, under the name of the voices and that of the faces."""
    return {
        name: number
        for number, person in enumerate(identities)
        for name in (person.voxceleb, person.vggface)
    }


def owner(name: str, numbers: dict[str, int], origin: str | Path) -> int:
    """Number of the person that a file of a list belongs to, which its first folder tells."""
    person = name.partition("/")[0]
    if person not in numbers:
        raise ValueError(f"{origin} names {person!r}, who is not among the identities")
    return numbers[person]


def queries(lines: Sequence[Sequence[str]], path: str | Path, least: int) -> Queries:
    """Number the files of equal lines."""
    lengths = {len(line) for line in lines}
    if len(lengths) != 1 or min(lengths) < least:
        raise ValueError(
            f"{path} has lines of {sorted(lengths)} fields; all need the same number,"
            f" {least} or more"
        )
    probes = {name: None for line in lines for name in line[:1]}
    candidates = {name: None for line in lines for name in line[1:]}
    numbers = [{name: i for i, name in enumerate(names)} for names in (probes, candidates)]
    rows = [[numbers[0][line[0]], *(numbers[1][name] for name in line[1:])] for line in lines]
    return Queries(tuple(probes), tuple(candidates), np.array(rows))


def lines_of(path: str | Path) -> list[str]:
    """The lines that hold something."""
    if not Path(path).is_file():
        raise ValueError(f"There is no list {path}")
    found = [line for line in Path(path).read_text().splitlines() if line.strip()]
    if not found:
        raise ValueError(f"{path} is empty")
    return found


def table(path: str | Path, separator: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table with a header."""
    reader = csv.DictReader(lines_of(path), delimiter=separator)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
    return list(reader)

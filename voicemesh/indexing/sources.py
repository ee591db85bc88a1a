"""What there is to index: pictures and recordings of a folder, and whom they show."""

import csv
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

from voicemesh.audio.decoding import SUFFIXES as VOICES
from voicemesh.images import SUFFIXES as PICTURES

log = logging.getLogger(__name__)

COLUMNS = ("file", "identity", "label", "sex", "age", "source", "licence")
SEX_WORDS = {
    **dict.fromkeys(("female", "f", "w", "woman"), "female"),
    **dict.fromkeys(("male", "m", "man"), "male"),
    "": "",
}


@dataclass(frozen=True)
class Source:
    """One file and what is known of the person in it."""

    file: str  # under the folder, with / between
    identity: str
    label: str
    sex: str = ""  # female, male or unknown
    age: float | None = None
    source: str = ""
    licence: str = ""

    @property
    def is_voice(self) -> bool:
        """A recording; everything else is a picture."""
        return Path(self.file).suffix.lower() in VOICES


def of_folder(folder: Path) -> list[Source]:
    """All pictures and recordings; whoever has a subfolder is named by it, others by their file.

    Raises:
        ValueError: there is no such folder, or nothing in it to index.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}")
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if os.fsencode(inside).decode(errors="ignore") != str(inside):
            log.info("%r has a name that is no UTF-8, left out", inside)
            continue
        if path.suffix.lower() not in PICTURES | VOICES:
            log.info("%s is no picture and no recording by its suffix, left out", inside)
            continue
        whose = inside.parent if len(inside.parts) > 1 else inside.with_suffix("")
        found.append(Source(inside.as_posix(), whose.as_posix(), whose.name))
    if not found:
        raise ValueError(f"There are no pictures and no recordings in {folder}")
    return found


def of_table(table: Path) -> list[Source]:
    """The rows of a csv with the columns file and identity, and any of the others.

    Raises:
        ValueError: there is no such table, a column is missing, or a cell cannot be understood.
    """
    if not table.is_file():
        raise ValueError(f"There is no table {table}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as opened:
            found = of_rows(csv.DictReader(opened), table)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{table} is no table in UTF-8: {error}") from error
    seen: set[str] = set()
    for source in found:
        if source.file in seen:
            raise ValueError(f"{table} names {source.file!r} twice; give every file one line")
        seen.add(source.file)
    return found


def of_rows(rows: csv.DictReader, table: Path) -> list[Source]:
    """All lines of an open table."""
    columns = rows.fieldnames or []
    missing = {"file", "identity"} - set(columns)
    if missing:
        raise ValueError(
            f"{table} has no column {', '.join(sorted(missing))}; its first line names "
            f"{', '.join(columns) or 'nothing'}, of which {', '.join(COLUMNS)} are read"
        )
    if unread := [column for column in columns if column not in COLUMNS]:
        log.info("%s: the columns %s are not read", table, ", ".join(map(str, unread)))
    return [of_row(row, f"{table}, line {rows.line_num}") for row in rows]


def of_row(row: dict[str, str | None], where: str) -> Source:
    """One line of a table."""
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    file, identity = cells["file"], cells["identity"]
    if not file or not identity:
        raise ValueError(f"{where}: a file and an identity are needed")
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise ValueError(f"{where}: {file!r} is no path under the folder")
    if Path(file).suffix.lower() not in PICTURES | VOICES:
        raise ValueError(f"{where}: {file!r} is no picture and no recording by its suffix")
    if cells["sex"].lower() not in SEX_WORDS:
        raise ValueError(f"{where}: the sex is {cells['sex']!r}; write female, male or nothing")
    try:
        age = float(cells["age"]) if cells["age"] else None
    except ValueError as error:
        raise ValueError(f"{where}: the age is {cells['age']!r}, no number") from error
    if age is not None and not math.isfinite(age):
        raise ValueError(f"{where}: the age is {cells['age']!r}; leave it empty if it is unknown")
    label = cells["label"] or identity
    about = {name: cells[name] for name in ("source", "licence")}
    return Source(file, identity, label, SEX_WORDS[cells["sex"].lower()], age, **about)

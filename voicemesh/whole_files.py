"""Files as wholes: written whole or not at all, and told apart by their digests."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNFINISHED = ".unfinished"  # what the name of a file ends in until it is whole


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what lies there at the end takes its place.

    After an error the old file is still there, and nothing beside it.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The digest of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes | str) -> None:
    """Write bytes, or a text as UTF-8."""
    with aside(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, told: Any) -> None:
    """Write plain data as JSON, an entry a line."""
    write_whole(path, json.dumps(told, indent=1) + "\n")

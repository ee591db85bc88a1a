"""Plain data, as reports hold it, and files that are written together."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REPORT = "report.json"  # the last file of a folder: where it is, all others are


@contextmanager
def together(folder: str | Path) -> Iterator[Path]:
    """A place for files, which come to lie in `folder` when all are written.

    After an error or an interruption none of them does.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".unfinished-", dir=folder) as scratch:
        yield Path(scratch)
        for path in sorted(Path(scratch).iterdir(), key=lambda path: path.name == REPORT):
            os.replace(path, folder / path.name)


def write_report(path: Path, told: Mapping[str, Any]) -> None:
    """Plain data as JSON in UTF-8, whatever the names of files are made of."""
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", errors="replace")


def rounded(value: Any, digits: int = 4) -> Any:
    """The same with all numbers cut to so many digits behind the point."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {name: rounded(entry, digits) for name, entry in value.items()}
    return [rounded(entry, digits) for entry in value] if isinstance(value, list) else value

"""What bundle.json says, checked: a manifest may come from anybody."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "bundle.json"
GALLERY_MANIFEST = "gallery.json"  # in the gallery of a bundle
TEXTS = ("name", "title", "description", "created")
GALLERY_TEXTS = ("gallery", "gallery_sha256")  # may be left out, and notes as well


@dataclass(frozen=True)
class Part:
    """One network, face model or table of numbers, and where it comes from."""

    file: str
    sha256: str
    network: str = ""  # name of the class; empty for a table of numbers
    arguments: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    training: str = ""  # the data that it was trained on, in words
    results: dict[str, Any] = field(default_factory=dict)  # what was measured of it
    # Parts that it is of no use without: their sha256; empty where nobody wrote them down.
    fitted_to: dict[str, str] = field(default_factory=dict)


def stated(folder: Path) -> dict[str, Any]:
    """The entries of bundle.json; whether its files are there is not looked at.

    Raises:
        ValueError: no manifest, another format, missing or unknown entries, entries of other
            kinds, unsafe file names.
    """
    path = folder / MANIFEST
    if not folder.exists():
        raise ValueError(
            f"There is no folder {folder}: a bundle is a folder or owner/name[@revision]"
        )
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: a bundle is the folder that holds {MANIFEST}")
    if not path.is_file():
        raise ValueError(f"{folder} is no bundle: it has no {MANIFEST}")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.get("format") != FORMAT:
            raise ValueError(f"{path} is of format {told.get('format')}; this reads {FORMAT}")
        del told["format"]
        check_entries(told)
        told["parts"] = {name: Part(**entry) for name, entry in told["parts"].items()}
        told["notes"] = tuple(told.get("notes", ()))
    except (
        *(json.JSONDecodeError, UnicodeDecodeError, RecursionError),
        *(AttributeError, KeyError, TypeError),
    ) as error:
        raise ValueError(f"{path} is no bundle manifest: {error}") from error
    for name, part in told["parts"].items():
        check_file_name(part.file, f"{path}, part {name!r}")
    gallery = told.get("gallery", "")
    if Path(gallery).name != gallery or "\\" in gallery or gallery == "..":
        raise ValueError(f"{path}: {gallery!r} is no plain name of a folder")
    return told


def check_entries(told: dict[str, Any]) -> None:
    """Refuse entries that are missing, unknown or of other kinds than a manifest has.

    Raises:
        KeyError, TypeError: the message names the first.
    """
    unknown = told.keys() - {*TEXTS, *GALLERY_TEXTS, "parts", "notes"}
    if unknown:
        raise TypeError(f"unknown {', '.join(sorted(unknown))}")
    texts = [(name, told[name]) for name in TEXTS]
    texts += [(name, told[name]) for name in GALLERY_TEXTS if name in told]
    texts += [("a note", note) for note in told.get("notes", ())]
    for name, part in told["parts"].items():
        for entry, value in part.items():
            if entry not in ("arguments", "results", "fitted_to"):
                texts.append((f"{entry} of {name!r}", value))
            elif not isinstance(value, dict):
                raise TypeError(f"{entry} of {name!r} is no object: {value!r}")
        for net, sha256 in part.get("fitted_to", {}).items():
            texts.append((f"the sha256 of {net!r}, which {name!r} was fitted to", sha256))
    for name, value in texts:
        if not isinstance(value, str):
            raise TypeError(f"{name} is no text: {value!r}")


def gallery_files(folder: Path) -> list[str]:
    """The files that the manifest of a gallery names.

    Raises:
        ValueError: it names none, or some that leave the folder.
    """
    path = folder / GALLERY_MANIFEST
    try:
        names = sorted(map(str, json.loads(path.read_text(encoding="utf-8"))["files"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no gallery manifest: {error}") from error
    for name in names:
        if Path(name).name != name or "\\" in name:
            raise ValueError(f"{path}: {name!r} is no plain name of a file")
    return names


def check_gallery(folder: Path, sha256: str, bundle: str) -> None:
    """Refuse a gallery whose manifest is not the one that was embedded, or lacks a file.

    Its files are compared with that manifest when the gallery is opened.

    Raises:
        ValueError: the manifest is missing or altered, or a file of it is missing.
    """
    path = folder / GALLERY_MANIFEST
    if not path.is_file():
        raise ValueError(f"The bundle {bundle!r} lacks the file {path}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} is not the gallery that the bundle describes: sha256 {found[:12]}..., "
            f"stated {sha256[:12]}...; copy or download the bundle again"
        )
    missing = [name for name in gallery_files(folder) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"The bundle {bundle!r} lacks {folder / missing[0]}")


def complete(folder: Path) -> bool:
    """Whether a folder has a manifest and every file that it names."""
    if not (folder / MANIFEST).is_file():
        return False
    told = stated(folder)
    named = [folder / part.file for part in told["parts"].values()]
    if told.get("gallery"):
        manifest = folder / told["gallery"] / GALLERY_MANIFEST
        if not manifest.is_file():
            return False
        named += [manifest.with_name(name) for name in gallery_files(manifest.parent)]
    return all(path.is_file() for path in named)


def check_file_name(file: str, origin: str) -> None:
    """Refuse any name that could leave the bundle's folder or is no tensor file."""
    if Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
        raise ValueError(f"{origin}: {file!r} is no plain name of a .safetensors file")

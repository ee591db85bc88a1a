"""Latents of a gallery's pictures in the space of a face generator: found once, kept with it."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int32

from .files import mapped, sha256_of, write
from .folder import MANIFEST, FolderGallery, read_manifest

log = logging.getLogger(__name__)

KEY = "latents"  # of the manifest


@dataclass(frozen=True, eq=False)
class Latents:
    """Of the entries that have a picture, ascending."""

    entries: Int32[np.ndarray, " rows"]
    w: Float[np.ndarray, "rows style"]


def latents_of(gallery: FolderGallery, nets: Mapping[str, str]) -> Latents | None:
    """Those that are kept with a gallery.

    Args:
        nets: part of a bundle: sha256 of its file. Latents of another generator mean nothing, and
            are left alone.

    Raises:
        ValueError: the file does not hold what the manifest says.
    """
    told = gallery.manifest.get(KEY)
    if told is None:
        return None
    if told["nets"] != {part: nets.get(part) for part in told["nets"]}:
        log.info("%s was inverted for another generator; invert it again", gallery.folder)
        return None
    if told["file"] not in gallery.manifest["files"]:
        raise ValueError(f"{gallery.folder / MANIFEST} gives no sha256 of {told['file']!r}")
    arrays = mapped(gallery.folder / told["file"])
    entries, w = arrays["entries"], arrays["w"].astype(np.float32)
    inside = not len(entries) or 0 <= entries.min() <= entries.max() < len(gallery)
    if w.ndim != 2 or len(w) != len(entries) or not inside:
        raise ValueError(f"{gallery.folder / told['file']} holds no latents of its entries")
    return Latents(entries, w)


def keep(gallery: FolderGallery, found: Latents, nets: Mapping[str, str]) -> FolderGallery:
    """Write latents into a finished gallery, in place of any others, and open it again.

    Args:
        nets: the generator's part of a bundle: sha256 of its file.
    """
    folder, told = gallery.folder, read_manifest(gallery.folder)
    temporary = folder / "latents.safetensors"
    write(temporary, {"entries": found.entries, "w": found.w.astype(np.float16)})
    sha256 = sha256_of(temporary)
    name = f"latents-{sha256[:12]}.safetensors"
    size = temporary.stat().st_size
    os.replace(temporary, folder / name)
    older = told.get(KEY, {}).get("file", name)
    told["files"] = {n: t for n, t in told["files"].items() if n != older}
    told["files"][name] = {"bytes": size, "sha256": sha256}
    told[KEY] = {"file": name, "nets": dict(nets)}
    unfinished = folder / f"{MANIFEST}.unfinished"
    unfinished.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / MANIFEST)
    if older != name:
        Path(folder / older).unlink(missing_ok=True)
    return FolderGallery(folder, verify=False)

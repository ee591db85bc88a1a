"""Latents of a gallery's pictures in the space of a face generator: found once, kept with it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32

from voicemesh.whole_files import write_json

from .files import mapped
from .folder import MANIFEST, FolderGallery, read_manifest
from .joining import Files

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
    older = told.get(KEY, {}).get("file")
    files = Files(folder, {name: told["files"][name] for name in told["files"] if name != older})
    name = files.arrays("latents", {"entries": found.entries, "w": found.w.astype(np.float16)})
    told["files"] = files.named
    told[KEY] = {"file": name, "nets": dict(nets)}
    write_json(folder / MANIFEST, told)
    if older not in (None, name):
        (folder / older).unlink(missing_ok=True)
    return FolderGallery(folder, verify=False)

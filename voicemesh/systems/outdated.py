"""What new nets make worthless of the bundle that they are published into."""

import logging
from collections.abc import Mapping

from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.gallery.folder import FolderGallery

from .cmp import FEATURE_VOICE, VOICE
from .cmp_unsupervised import GENERATOR
from .voicestyle_parts import worthless

log = logging.getLogger(__name__)

OF_VOICE = {FEATURE_VOICE, GENERATOR}  # which speak and hear the embedding of one voice encoder


def digests(writer: BundleWriter) -> dict[str, str]:
    """The sha256 of every part, for `retire` to compare."""
    return {name: part.sha256 for name, part in writer.bundle.parts.items()}


def retire(writer: BundleWriter, before: Mapping[str, str]) -> None:
    """Take out the parts that were made for nets which have been replaced since.

    A gallery that other nets embedded stays, and is told of: nobody can be looked for in it.

    Args:
        before: what `digests` gave before anything was written.
    """
    now = digests(writer)
    written = {name for name, sha256 in now.items() if before.get(name) != sha256}
    replaced = written & before.keys()
    found = worthless(replaced) | (OF_VOICE if VOICE in replaced else set())
    for part in sorted((found & now.keys()) - written):
        log.warning("%s leaves the bundle: it was made for other nets; publish it again", part)
        writer.forget(part)
    if folder := writer.bundle.gallery_folder:
        try:
            FolderGallery(folder, verify=False).check(digests(writer))
        except ValueError as error:
            log.warning("%s", error)

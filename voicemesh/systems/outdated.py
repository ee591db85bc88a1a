"""What new nets make worthless of the bundle that they are written into."""

import logging
from collections.abc import Mapping

from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.checkpoints.parts import resting_on
from voicemesh.gallery.folder import FolderGallery

log = logging.getLogger(__name__)


def digests(writer: BundleWriter) -> dict[str, str]:
    """The sha256 of every part, for `retire` to compare."""
    return {name: part.sha256 for name, part in writer.bundle.parts.items()}


def retire(writer: BundleWriter, before: Mapping[str, str]) -> None:
    """Take out the parts that were made for nets other than those that are here now.

    A gallery that other nets embedded stays, and is told of: nobody can be looked for in it.

    Args:
        before: what `digests` gave before anything was written.
    """
    now = digests(writer)
    written = {name for name, sha256 in now.items() if before.get(name) != sha256}
    unfit = {name for name in now if writer.bundle.unfit(name)}
    leaving = unfit | (resting_on(unfit | (written & before.keys())) & now.keys()) - written
    for part in sorted(leaving):
        log.warning("%s leaves the bundle: it was made for other nets; publish it again", part)
        writer.forget(part)
    if folder := writer.bundle.gallery_folder:
        try:
            FolderGallery(folder, verify=False).check(digests(writer))
        except ValueError as error:
            log.warning("%s", error)

"""What new nets make worthless of the bundle that they are written into."""

import logging
from collections.abc import Collection, Mapping

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import FITTED_TO
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
    for part in sorted(useless(writer.bundle, written)):
        log.warning("%s leaves the bundle: it was made for other nets; publish it again", part)
        writer.forget(part)
    if folder := writer.bundle.gallery_folder:
        try:
            FolderGallery(folder, verify=False).check(digests(writer))
        except ValueError as error:
            log.warning("%s", error)


def useless(bundle: Bundle, written: Collection[str]) -> set[str]:
    """Parts that were fitted to other nets than the bundle has, or to parts that were so.

    Older parts do not say what they were fitted to: all of them that rest on one of the `written`
    nets are taken for useless, unless they were written as well.
    """
    gone: set[str] = set()
    while True:
        more = set()
        for name, part in bundle.parts.items():
            rests_on = set(FITTED_TO.get(name, ()))
            silent = name not in written and not part.fitted_to
            lost = bundle.unfit(name) or rests_on & gone or (silent and rests_on & set(written))
            if lost and name not in gone:
                more.add(name)
        if not more:
            return gone
        gone |= more

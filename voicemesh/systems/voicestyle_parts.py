"""What a bundle keeps beside VoiceStyle's nets, and what of it other nets make worthless."""

import logging
from collections.abc import Collection

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.cmpc_files import PROTOTYPES

from .cmpc import Cmpc
from .inversion import ENCODER
from .voicestyle import GENERATOR, MEMBERS, NEUTRAL, SAMPLES, START, STATISTICS, VoiceStyle

log = logging.getLogger(__name__)

# Latents are of one generator, embeddings of one pair of encoders.
OF_GENERATOR = {STATISTICS, NEUTRAL, START, MEMBERS, SAMPLES, ENCODER}
OF_ENCODERS = {START, MEMBERS, SAMPLES, PROTOTYPES}


def worthless(added: Collection[str]) -> set[str]:
    """Parts that were made for what `added` replaces, and are not added with it."""
    found = OF_GENERATOR if GENERATOR in added else set()
    if not set(Cmpc.parts).isdisjoint(added):
        found = found | OF_ENCODERS
    return found - set(added)


def replace_worthless(writer: BundleWriter, added: Collection[str]) -> None:
    """Take out what `added` makes worthless, before it is written."""
    for part in sorted(worthless(added) & writer.bundle.parts.keys()):
        log.info("%s leaves the bundle: it was made for other networks", part)
        writer.forget(part)


def add_samples(writer: BundleWriter, added: Collection[str]) -> None:
    """Faces that stand in for known ones, drawn and looked at once, where `added` needs them."""
    parts = {GENERATOR, *Cmpc.parts}
    if parts.isdisjoint(added) or not parts <= writer.bundle.parts.keys():
        return
    if MEMBERS in writer.bundle.parts:
        return
    system = VoiceStyle.from_bundle(Bundle.open(writer.bundle.folder), gallery=False)
    told = "; ".join(dict.fromkeys(writer.bundle.parts[part].source for part in sorted(parts)))
    writer.tensors(SAMPLES, system.samples().tensors(), source=f"samples of {told}")

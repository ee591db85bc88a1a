"""What a bundle keeps beside VoiceStyle's nets."""

from collections.abc import Collection

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import (
    CMPC_FACE,
    CMPC_VOICE,
    STYLEGAN2_GENERATOR,
    VOICESTYLE_MEMBERS,
    VOICESTYLE_SAMPLES,
)

from .voicestyle import VoiceStyle


def add_samples(writer: BundleWriter, added: Collection[str]) -> None:
    """Faces that stand in for known ones, drawn and looked at once, where `added` needs them."""
    parts = {STYLEGAN2_GENERATOR, CMPC_VOICE, CMPC_FACE}
    if parts.isdisjoint(added) or not parts <= writer.bundle.parts.keys():
        return
    if VOICESTYLE_MEMBERS in writer.bundle.parts:
        return
    system = VoiceStyle.from_bundle(Bundle.open(writer.bundle.folder), gallery=False)
    told = "; ".join(dict.fromkeys(writer.bundle.parts[part].source for part in sorted(parts)))
    writer.tensors(VOICESTYLE_SAMPLES, system.samples().tensors(), source=f"samples of {told}")

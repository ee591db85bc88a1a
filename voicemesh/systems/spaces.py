"""Which systems put voices and faces into one space, and those that a bundle has."""

import torch

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.nets import devices

from .association import VoiceFaceSpace
from .cmpc import Cmpc
from .sss import SeekingTheShapeOfSound

SYSTEMS: dict[str, type[VoiceFaceSpace]] = {"sss": SeekingTheShapeOfSound, "cmpc": Cmpc}
TITLES = {"sss": "Seeking the Shape of Sound", "cmpc": "CMPC"}


def named_in(bundle: Bundle) -> list[str]:
    """The systems whose two nets are in a bundle."""
    return [name for name, system in SYSTEMS.items() if set(system.parts) <= set(bundle.parts)]


def spaces_in(
    bundle: Bundle, device: torch.device | str | None = None
) -> dict[str, VoiceFaceSpace]:
    """The systems of a bundle, ready; on a CUDA GPU if there is one. Empty if it has none."""
    device = devices.chosen(device)
    return {name: SYSTEMS[name].from_bundle(bundle, device) for name in named_in(bundle)}

"""A bundle with untrained nets of every kind and a small gallery: all that the page can show."""

from pathlib import Path

import numpy as np
import torch
from bundles import EMBEDDING, EXPRESSIONS, SHAPES, babble, write_bundle

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.gallery.media import picture_bytes, voice_bytes
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter
from voicemesh.mesh.basel import SCALE_MEAN
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.cmpc import ResNetEncoder
from voicemesh.nets.sss import IrFaceEncoder, ThinVoiceEncoder
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.synergynet import POSE, SynergyNet
from voicemesh.systems.fusion import TRAITS, Repeats
from voicemesh.systems.spaces import SYSTEMS

WIDTHS = {"sss": 5, "cmpc": 6}  # of the embeddings
PEOPLE = 12
SPEAKER = "2026-99"  # of the page's first example


def write_whole_bundle(folder: Path, seed: int = 0) -> Path:
    """Everything, quickly made and meaning nothing."""
    write_bundle(folder, seed=seed)
    writer = BundleWriter(folder, "untrained")
    voice = {"blocks": (1, 1), "widths": (8, 8), "features": 6, "embedding": WIDTHS["sss"]}
    face = {"units": (1, 1), "widths": (4, 4), "features": 6, "embedding": 5, "identities": 3}
    writer.net("sss-voice-encoder", ThinVoiceEncoder(**voice).eval(), voice)
    writer.net("sss-face-encoder", IrFaceEncoder(**face).eval(), face)
    for part, channels in (("cmpc-voice-encoder", 1), ("cmpc-face-encoder", 3)):
        arguments = {"channels": channels, "blocks": (1, 1), "widths": (4, 6)}
        writer.net(part, ResNetEncoder(**arguments).eval(), arguments)
    size = {"widths": (8, 8, 8, 8), "style": 16, "depth": 2}
    writer.net("stylegan2-generator", Generator(**size).eval(), size)
    generator = FaceGenerator(EMBEDDING, (8, 8))
    writer.net("cmp-generator", generator, upstream.arguments_of(generator))
    reader = {"input_channels": 64, "widths": [8, 8, 8, 8], "embedding": EMBEDDING}
    writer.net("cmp-feature-encoder", VoiceEncoder(64, (8, 8, 8, 8), EMBEDDING), reader)
    for part in ("cmp-student", "cmp-teacher"):
        net = regressor()
        writer.net(part, net, upstream.arguments_of(net), half=True)
    shapes = Repeats(0.1 * torch.eye(SHAPES), torch.eye(SHAPES)).tensors()
    traits = Repeats(torch.diag(torch.tensor([0.1, 0.01, 0.01, 0.5])), torch.eye(4))
    distances = {
        "same_distance": torch.linspace(0, 4, 5),
        "other_distance": torch.linspace(1, 9, 5),
    }
    writer.tensors("cmp-repeats", shapes | traits.tensors(TRAITS) | distances)
    parts = writer.bundle.parts
    nets = {name: {p: parts[p].sha256 for p in system.parts} for name, system in SYSTEMS.items()}
    gallery = GalleryWriter(folder / "made", "made", nets, "People of the tests")
    gallery.add("people", [person(number) for number in range(PEOPLE)])
    gallery.finish(["people"])
    writer.gallery(folder / "made")
    return folder


def regressor() -> SynergyNet:
    """Whatever it is shown, the head is straight and in the middle."""
    net = SynergyNet(SHAPES, EXPRESSIONS, 3, width=0.25)
    rows = 0.75 * SCALE_MEAN * torch.eye(3)
    net.pose_mean = torch.cat([rows, torch.tensor([[60.0], [67.0], [0.0]])], 1).flatten()
    net.pose_deviation = torch.full((POSE,), 1e-9)
    return net


def person(number: int) -> NewEntry:
    """Women and men by turns; the first is the speaker of an example."""
    rng = np.random.default_rng(number)
    units = {}
    for space, width in WIDTHS.items():
        for side in ("faces", "voices"):
            unit = rng.normal(size=width)
            units[space, side] = unit / np.linalg.norm(unit)
    colour = rng.integers(60, 200, 3).astype(np.uint8)
    woman = number % 2 == 0
    return NewEntry(
        identity=SPEAKER if number == 0 else f"p{number}",
        label=f"{'Woman' if woman else 'Man'}, {20 + number}",
        sex="female" if woman else "male",
        age=20.0 + number,
        picture=picture_bytes(np.broadcast_to(colour, (32, 32, 3)).copy()),
        voice=voice_bytes(babble(1.0, 100 + 10 * number, number)),
        units=units,
    )

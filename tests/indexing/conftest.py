"""A bundle with tiny random nets of both systems, and a folder of pictures and sounds."""

import pytest
import soundfile
import torch
from bundles import babble
from indexing.pictures import picture
from PIL import Image

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.nets.cmpc import ResNetEncoder
from voicemesh.nets.sss import IrFaceEncoder, ThinVoiceEncoder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Bundle:
    torch.manual_seed(3)
    writer = BundleWriter(tmp_path_factory.mktemp("nets") / "tiny", "tiny")
    voice = {"blocks": (1, 1), "widths": (8, 8), "features": 6, "embedding": 5}
    face = {"units": (1, 1), "widths": (4, 4), "features": 6, "embedding": 5, "identities": 3}
    writer.net("sss-voice-encoder", ThinVoiceEncoder(**voice).eval(), voice)
    writer.net("sss-face-encoder", IrFaceEncoder(**face).eval(), face)
    for part, channels in (("cmpc-voice-encoder", 1), ("cmpc-face-encoder", 3)):
        arguments = {"channels": channels, "blocks": (1, 1), "widths": (4, 6)}
        writer.net(part, ResNetEncoder(**arguments).eval(), arguments)
    return Bundle.open(writer.bundle.folder)


@pytest.fixture
def folder(tmp_path):
    """Ann with two pictures and a voice, Ben with one of each, a picture without a subfolder."""
    root = tmp_path / "people"
    for seed, file in enumerate(("ann/1.png", "ann/2.jpg", "ben/face.webp", "carl.png")):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed)).save(path)
    for seed, file in enumerate(("ann/voice.wav", "ben/voice.flac")):
        soundfile.write(root / file, babble(1.6, 110 + 90 * seed, seed), 16_000)
    return root

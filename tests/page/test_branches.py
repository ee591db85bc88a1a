"""Other ways to a face: on the page where a bundle has nets for them, and where only it has."""

import pytest
import torch
from bundles import babble, write_bundle

from voicemesh import cli, pipeline
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.audio.recording import Recording
from voicemesh.checkpoints.bundle import EMBEDDED
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.sf2f import SpeechFusionToFace
from voicemesh.page import build_page
from voicemesh.page.branches import branches


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """voice2face's two files and a checkpoint of SF2F's training, untrained and small."""
    folder = tmp_path_factory.mktemp("downloads")
    torch.save(VoiceEncoder(64, (8, 8), 4).state_dict(), folder / "voice_embedding.pth")
    torch.save(FaceGenerator(4, (8, 8, 6, 6, 6)).state_dict(), folder / "generator.pth")
    net = SpeechFusionToFace(voice_widths=(8, 12), embedding=6, face_widths=(8, 6, 6, 6, 6))
    torch.save({"model_state": net.state_dict()}, folder / "best_L1_with_model.pt")
    return folder


def places(whole: pipeline.Pipeline) -> list[str | None]:
    """The names of what is on its page."""
    return [getattr(block, "elem_id", None) for block in build_page(whole).blocks.values()]


def told(whole: pipeline.Pipeline) -> str:
    """What the page tells of the other ways."""
    assert "branches" in places(whole)
    return branches(whole(Recording(babble(2.5))))


def test_voice2face_joins_a_bundle(downloads, tmp_path):
    out = write_bundle(tmp_path / "b")
    plain = pipeline.load(out, "cpu")
    assert plain.voice_to_face is None and "branches" not in places(plain)
    assert cli.main(["convert", "voice2face", str(downloads), "--out", str(out)]) == 0
    whole = pipeline.load(out, "cpu")
    words = told(whole)
    assert words.count("<img") == 1 and "as voice2face imagines" in words
    paths = whole(Recording(babble(2.5))).save(tmp_path / "saved")
    assert paths["voice2face"].read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(("name", "words"), [("voice2face", "in one piece"), ("sf2f", "moments")])
def test_a_bundle_of_images_alone_lends_the_embedded_heads(downloads, tmp_path, name, words):
    out = tmp_path / "b"
    assert cli.main(["convert", name, str(downloads), "--out", str(out)]) == 0
    whole = pipeline.load(out, "cpu")
    assert whole.bundle.folder == EMBEDDED and whole.pictures.folder == out
    assert (whole.voice_to_face is not None) == (name == "voice2face")
    heard = "sf2f" if name == "sf2f" else "voicemesh"  # by the embedded net
    assert whole.speech_to_face.front_end is FRONT_ENDS[heard]
    assert words in told(whole)
    assert whole.imaginer.bundle is whole.bundle  # which makes the other images

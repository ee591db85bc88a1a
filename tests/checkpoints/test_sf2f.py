"""SF2F out of its training's files: the option is told by tensors, nothing else of a file runs."""

import pickle
from argparse import Namespace
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch

from voicemesh import checkpoints, cli
from voicemesh.checkpoints import sf2f_files, upstream
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.sf2f import SpeechFusionToFace
from voicemesh.nets.sf2f_critics import BASELINE, PATCHES, IdentityCritic, PatchCritic
from voicemesh.nets.sf2f_vggface import VggFace

SMALL = {"mels": 7, "voice_widths": (8, 12), "embedding": 6, "face_widths": (8, 4, 6)}
OPTIONS = {
    "baseline": {"inception": False, "fused": False, "gated": False, "large": 0},
    "first stage 64": {"inception": True, "fused": False, "gated": True, "large": 0},
    "first stage 128": {"inception": True, "fused": False, "gated": True, "large": 2},
    "fuser 64": {"inception": True, "fused": True, "gated": True, "large": 0},
    "fuser 128": {"inception": True, "fused": True, "gated": True, "large": 2},
}


def checkpoint(path, net: torch.nn.Module, prefix: str = "", **more) -> None:
    """A file as the authors' training leaves it."""
    state = OrderedDict((prefix + key, value) for key, value in net.state_dict().items())
    content = {
        "args": Namespace(output_dir="x"),
        "options": {"generator": {"image_size": [64, 64]}},
        "model_state": state,
        "model_best_state": None,
        "d_img_state": None,
        "train_losses": defaultdict(list, {"total": [np.float64(1.5)]}),
        "val_samples": [np.zeros((1, 3, 4, 4), np.uint8)],
        **more,
    }
    torch.save(content, path)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_option_is_told_by_its_tensors(tmp_path, option, prefix):
    net = SpeechFusionToFace(**SMALL, **OPTIONS[option]).eval()
    checkpoint(tmp_path / "best_L1_with_model.pt", net, prefix)
    read = checkpoints.load("sf2f-generator", tmp_path / "best_L1_with_model.pt")
    assert upstream.arguments_of(read) == {**SMALL, **OPTIONS[option]}
    voice = torch.randn(2, 3, 7, 30) if net.encoder.fused else torch.randn(2, 7, 30)
    for ours, theirs in zip(read(voice)[0], net(voice)[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_file_that_lacks_tensors_or_has_strange_ones_is_refused(tmp_path):
    net = SpeechFusionToFace(**SMALL, **OPTIONS["fuser 64"])
    del net.encoder.attn_fuser.attention.linear_in
    net.decoder.stranger = torch.nn.Linear(1, 1)
    checkpoint(tmp_path / "x.pt", net)
    with pytest.raises(ValueError, match=r"stranger\.bias: unexpected.*linear_in\.weight: missing"):
        checkpoints.load("sf2f-generator", tmp_path / "x.pt")


@pytest.mark.parametrize(
    "critic",
    [
        PatchCritic(PATCHES[128]),
        IdentityCritic(5, PATCHES[64], features=9),
        IdentityCritic(4, BASELINE, normalised=False, slope=0.2),
    ],
)
def test_discriminators_of_both_resolutions(tmp_path, critic):
    kind = "img" if isinstance(critic, PatchCritic) else "ac"
    name = "sf2f-image-critic1" if kind == "img" else "sf2f-identity-critic1"
    net = SpeechFusionToFace(**SMALL, **OPTIONS["fuser 64"])
    checkpoint(tmp_path / "x.pt", net, **{f"d_{kind}_state_1": critic.state_dict()})
    read, image = checkpoints.load(name, tmp_path / "x.pt"), torch.randn(2, 3, 128, 128)
    critic.eval()
    for ours, theirs in zip(read(image), critic(image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    rebuilt = type(read)(**upstream.arguments_of(read)).eval()
    rebuilt.load_state_dict(read.state_dict())
    torch.testing.assert_close(rebuilt(image), read(image), rtol=0, atol=0)


def test_the_judge_of_a_plain_pickle_without_counters(tmp_path):
    net = VggFace(3, (1, 2), (4, 5)).eval()
    arrays = {k: v.numpy() for k, v in net.state_dict().items() if not k.endswith("tracked")}
    (tmp_path / "resnet50_ft_weight.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    read = checkpoints.load("sf2f-vggface", tmp_path / "resnet50_ft_weight.pkl")
    face = torch.randn(1, 3, 40, 40)
    torch.testing.assert_close(read(face), net(face), rtol=0, atol=0)
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"os\.system, which is more than data"):
        checkpoints.load("sf2f-vggface", tmp_path / "evil.pkl")


def test_convert_takes_a_folder_or_one_file(tmp_path, capsys):
    net = SpeechFusionToFace(**SMALL, **OPTIONS["fuser 128"])
    (tmp_path / "deep").mkdir()
    checkpoint(tmp_path / "deep" / "best_cos_with_model.pt", net)
    for at, told in (("folder", tmp_path), ("file", tmp_path / "deep/best_cos_with_model.pt")):
        assert cli.main(["convert", "sf2f", str(told), "--out", str(tmp_path / at)]) == 0
        bundle = Bundle.open(tmp_path / at)
        assert bundle.part("sf2f-generator").source.startswith("best_cos_with_model.pt, sha256")
        voice = torch.randn(1, 2, 7, 30)
        torch.testing.assert_close(
            bundle.net("sf2f-generator")(voice)[1], net.eval()(voice)[1], rtol=0, atol=0
        )
    (tmp_path / "none").mkdir()
    assert cli.main(["convert", "sf2f", str(tmp_path / "none"), "--out", str(tmp_path / "n")]) == 2
    assert "put best_L1_with_model.pt there" in capsys.readouterr().err


def test_convert_voice2face_wants_both_networks(tmp_path):
    torch.save(VoiceEncoder(5, (6, 7), 4).state_dict(), tmp_path / "voice_embedding.pth")
    with pytest.raises(ValueError, match=r"lacks generator\.pth"):
        sf2f_files.find_voice2face(tmp_path)
    torch.save(FaceGenerator(4, (6, 5)).state_dict(), tmp_path / "generator.pth")
    assert cli.main(["convert", "voice2face", str(tmp_path), "--out", str(tmp_path / "b")]) == 0
    assert set(Bundle.open(tmp_path / "b").parts) == set(sf2f_files.VOICE2FACE_PARTS)

import numpy as np
import pytest
import torch

import voicemesh
from voicemesh import cli
from voicemesh.checkpoints.bundle import EMBEDDED, Bundle, BundleWriter
from voicemesh.checkpoints.parts import (
    CMPC_VOICE,
    FITTED_TO,
    STYLEGAN2_GENERATOR,
    VOICESTYLE_SAMPLES,
)
from voicemesh.checkpoints.voicestyle_files import find
from voicemesh.nets.cmpc import VoiceFacePair
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Generator
from voicemesh.systems.cmpc import Cmpc2
from voicemesh.systems.voicestyle import Heard, VoiceStyle, Wish


@pytest.fixture
def folder(tmp_path):
    """All files of a small VoiceStyle."""
    found = tmp_path / "weights"
    (found / "v0.1").mkdir(parents=True)
    generator = Generator((6, 5, 4), 7, 3)
    bare = {k: v for k, v in generator.state_dict().items() if not k.startswith("noises.")}
    torch.save({"g_ema": bare, "latent_avg": torch.zeros(7)}, found / "550000.pt")
    identity = IrBackbone((1, 1, 1, 1), (16, 16, 16, 16), features=8, reduction=16, dropout=0.6)
    torch.save(identity.state_dict(), found / "model_ir_se50.pth")
    own = Lpips().state_dict()
    lin = {k: v for k, v in own.items() if k.startswith("lin")}
    torch.save(lin, found / "v0.1" / "vgg.pth")
    vgg = {f"features.{k.split('.', 2)[2]}": v for k, v in own.items() if k.startswith("net.")}
    torch.save(vgg, found / "vgg16-397923af.pth")
    pair = VoiceFacePair((1, 1), (4, 6))
    torch.save({"model": pair.state_dict()}, found / "model_best_256.pth.tar")
    return found


def test_the_whole_folder_makes_a_bundle_that_runs(folder, tmp_path):
    out = tmp_path / "bundle"
    assert cli.main(["convert", "voicestyle", str(folder), "--out", str(out)]) == 0
    bundle = Bundle.open(out)
    assert {"stylegan2-generator", "stylegan2-statistics", "identity-encoder", "lpips"} < set(
        bundle.parts
    )
    whole = VoiceStyle.from_bundle(bundle)
    assert isinstance(whole.space, Cmpc2)
    voice = torch.nn.functional.normalize(torch.rand(6), dim=0)
    first = next(whole.imagine(Heard(voice, None), Wish(2)))
    assert first.pixels.shape == (2, 16, 16, 3)


def test_the_page_has_its_images_and_the_embedded_heads(folder, tmp_path, caplog):
    out = tmp_path / "bundle"
    assert cli.main(["convert", "voicestyle", str(folder), "--out", str(out)]) == 0
    caplog.set_level("INFO")
    whole = voicemesh.load(out, "cpu")
    assert "makes images and no heads" in caplog.text
    assert whole.bundle.folder == EMBEDDED and whole.pictures.folder == out
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    assert whole.imaginer.first(noise).pixels.shape == (1, 16, 16, 3)
    kept, system = Bundle.open(out).tensors(VOICESTYLE_SAMPLES), whole.imaginer.system
    torch.testing.assert_close(system.members.w, kept["w"].float())


def test_neither_heads_nor_images_is_told(folder, tmp_path):
    out = tmp_path / "bundle"
    assert cli.main(["convert", "stylegan2", str(folder / "550000.pt"), "--out", str(out)]) == 0
    with pytest.raises(ValueError, match=r"no heads.*no face images.*'cmpc-voice-encoder', 'cmpc-"):
        voicemesh.load(out, "cpu")


def test_what_was_made_for_other_nets_leaves(folder, tmp_path):
    replaced = {STYLEGAN2_GENERATOR, CMPC_VOICE}
    parts = {part for part, nets in FITTED_TO.items() if not replaced.isdisjoint(nets)}
    out = tmp_path / "bundle"
    writer = BundleWriter(out, "ours", largest=None)
    for part in sorted({*parts, "sss-statistics"}):
        writer.tensors(part, {"of another net": torch.zeros(3)})
    command = ["convert", "voicestyle", str(folder), "--out", str(out)]
    assert cli.main(command) == 0
    left = Bundle.open(out)
    assert parts & set(left.parts) == {
        "stylegan2-statistics",
        VOICESTYLE_SAMPLES,
        "cmpc-face-encoder",
    }
    assert "mean" in left.tensors("stylegan2-statistics") and "sss-statistics" in left.parts
    assert not (out / "voicestyle-start.safetensors").exists()
    assert next(VoiceStyle.from_bundle(left).imagine(Heard(torch.ones(6), None))).step == 0


def test_what_lacks_is_told(folder, tmp_path, caplog):
    (folder / "model_ir_se50.pth").unlink()
    (folder / "v0.1" / "vgg.pth").unlink()
    caplog.set_level("INFO")
    assert set(find(folder)) == {"stylegan2-generator", "cmpc-voice-encoder", "cmpc-face-encoder"}
    assert "no identity-encoder" in caplog.text and "no lpips" in caplog.text
    with pytest.raises(ValueError, match=r"no generator; put 550000.pt there"):
        find(tmp_path / "nowhere")


def test_a_generator_alone_is_converted(folder, tmp_path):
    out = tmp_path / "bundle"
    file = folder / "550000.pt"
    assert cli.main(["convert", "stylegan2", str(file), "--out", str(out)]) == 0
    assert set(Bundle.open(out).parts) == {"stylegan2-generator", "stylegan2-statistics"}

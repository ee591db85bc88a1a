import pytest
import torch

from voicemesh import cli
from voicemesh.checkpoints.bundle import Bundle
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

import argparse

import pytest
import torch

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.store import load_net, save_net
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Discriminator, Generator

WIDTHS = (6, 5, 4)


@pytest.fixture
def published(tmp_path):
    """A trainer's checkpoint, of the generator without its noise maps as 550000.pt."""
    generator, critic = Generator(WIDTHS, 7, 3), Discriminator(WIDTHS)
    bare = {k: v for k, v in generator.state_dict().items() if not k.startswith("noises.")}
    content = {
        "g": generator.state_dict(),
        "d": critic.state_dict(),
        "g_ema": bare,
        "g_optim": torch.optim.Adam(generator.parameters()).state_dict(),
        "d_optim": torch.optim.Adam(critic.parameters()).state_dict(),
        "args": argparse.Namespace(size=16, path="lmdb"),
        "ada_aug_p": 0.0,
    }
    torch.save(content, tmp_path / "550000.pt")
    return tmp_path / "550000.pt", content


def test_a_trainers_checkpoint_is_read_whole(published):
    path, content = published
    net = upstream.load("stylegan2-generator", path)
    assert (net.widths, net.features, len(net.style)) == (WIDTHS, 7, 4)
    for key, value in content["g_ema"].items():
        torch.testing.assert_close(net.state_dict()[key], value)
    noise = net.stored_noise()
    again = upstream.load("stylegan2-generator-256", path).stored_noise()
    assert all(torch.equal(a, b) for a, b in zip(noise, again, strict=True))
    critic = upstream.load("stylegan2-discriminator", path)
    image = torch.randn(4, 3, 16, 16)
    assert critic(image).shape == (4, 1)


def test_only_noise_may_lack(published, tmp_path):
    _, content = published
    torn = {k: v for k, v in content["g_ema"].items() if k != "conv1.activate.bias"}
    torch.save({"g_ema": torn | {"extra": torch.zeros(1)}}, tmp_path / "torn.pt")
    with pytest.raises(ValueError, match=r"conv1.activate.bias: missing; extra: unexpected"):
        upstream.load("stylegan2-generator", tmp_path / "torn.pt")
    part = content["g_ema"] | {"noises.noise_0": torch.zeros(1, 1, 4, 4)}
    torch.save({"g_ema": part}, tmp_path / "part.pt")
    with pytest.raises(ValueError, match=r"noises.noise_1: missing"):
        upstream.load("stylegan2-generator", tmp_path / "part.pt")


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"g_ema": {}, "args": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="more than data"):
        upstream.load("stylegan2-generator", tmp_path / "trap.pt")


@pytest.mark.parametrize("net", [Generator(WIDTHS, 7, 3, 0.5), Discriminator(WIDTHS, 9)])
def test_nets_come_back_from_a_file_of_ours(net, tmp_path):
    save_net(tmp_path / "net.safetensors", net, upstream.arguments_of(net))
    again = load_net(tmp_path / "net.safetensors")
    assert upstream.arguments_of(again) == upstream.arguments_of(net)
    assert getattr(again, "mapping_rate", None) == getattr(net, "mapping_rate", None)


def test_the_distance_takes_its_backbone_as_torchvision_keeps_it(tmp_path):
    net = Lpips()
    own = net.state_dict()
    told = {k: v for k, v in own.items() if k.startswith("lin")}
    for key in own:
        if key.startswith("net."):
            told["features." + key.split(".", 2)[2]] = own[key]
    told["classifier.0.weight"] = torch.zeros(2, 2)
    again = upstream.build("lpips-vgg", told, "both")
    torch.testing.assert_close(again.state_dict(), own)

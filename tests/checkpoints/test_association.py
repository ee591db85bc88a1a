"""Published files of SSS and CMPC: containers, prefixes, fixed filters, sizes told by tensors."""

import pytest
import torch

from voicemesh.checkpoints import association, load, store, upstream
from voicemesh.nets.cmpc import ResNetEncoder, VoiceFacePair
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.sss import (
    EmbeddingHeads,
    IrFaceEncoder,
    ShapeOfSound,
    ThinResNet,
    ThinVoiceEncoder,
)

SIZES = {"side": 12, "features": 9, "embedding": 5, "identities": 7}
SMALL = [
    (ThinResNet, {"blocks": (1, 2), "widths": (8, 16), "features": 6, "reduction": 4}),
    (
        ThinVoiceEncoder,
        {"blocks": (2, 1), "widths": (8, 8), "features": 6, "embedding": 3, "reduction": 8},
    ),
    (IrFaceEncoder, {"units": (1, 2), "widths": (4, 6), **SIZES}),
    (EmbeddingHeads, {"features": 6, "embedding": 3, "identities": 4}),
    (
        IrBackbone,
        {"units": (1, 1), "widths": (16, 32), "side": 8, "features": 6, "reduction": 8},
    ),
    (ResNetEncoder, {"channels": 1, "blocks": (1, 2, 1), "widths": (4, 6, 8)}),
    (VoiceFacePair, {"blocks": (1, 1), "widths": (4, 6)}),
]


def small_sss() -> ShapeOfSound:
    return ShapeOfSound((1, 2), (8, 16), (1, 1), (4, 8), **SIZES)


def published_sss(net: ShapeOfSound) -> dict:
    """The state dict with the fixed tensors that the authors' file has as well."""
    fixed = association.under("V.model.", association.mel_filters()) | association.image_scaling()
    return {**net.state_dict(), **fixed}


@pytest.mark.parametrize(("kind", "arguments"), SMALL)
def test_arguments_are_read_off_the_tensors(kind, arguments, tmp_path):
    net = kind(**arguments)
    assert upstream.arguments_of(net) == arguments
    built = association.built(kind, net.state_dict(), "x")
    assert not built.training
    for key, value in net.state_dict().items():
        assert torch.equal(value, built.state_dict()[key])


def test_published_sizes_are_what_an_empty_file_is_measured_against():
    with torch.device("meta"):
        for kind in (ThinVoiceEncoder, IrFaceEncoder, ResNetEncoder, EmbeddingHeads):
            published = {key: value.shape for key, value in kind().state_dict().items()}
            guessed = kind(**association.ARGUMENTS[kind]({}))
            assert {key: value.shape for key, value in guessed.state_dict().items()} == published


def test_one_file_holds_four_networks(tmp_path):
    net = small_sss()
    path = tmp_path / "best.pth.tar"
    state = {f"module.{key}": value for key, value in published_sss(net).items()}
    torch.save({"start_it": 2000, "stage": 1, "state_dict": state, "optimizer": {}}, path)
    whole = load("sss-model", path)
    voice, face = load("sss-voice-encoder", path), load("sss-face-encoder", path)
    heads = load("sss-embedding-heads", path)
    log_mel, image = torch.randn(2, 40, 30), torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(whole(log_mel, image), net.eval()(log_mel, image))
    torch.testing.assert_close(voice(log_mel), whole.V(log_mel))
    torch.testing.assert_close(face(image), whole.F(image))
    assert torch.equal(heads.F["cls"].weight, whole.F.cls.weight)
    with pytest.raises(ValueError, match="has no 'model', where cmpc-model is kept"):
        load("cmpc-model", path)


def test_a_bare_state_dict_is_the_same_but_no_less_strict(tmp_path):
    net, path = small_sss(), tmp_path / "best.pth.tar"
    state = {f"module.{key}": value for key, value in published_sss(net).items()}
    torch.save(state, path)
    log_mel, image = torch.randn(2, 40, 30), torch.randn(2, 3, 12, 12)
    whole = load("sss-model", path)
    torch.testing.assert_close(whole(log_mel, image), net.eval()(log_mel, image))
    torch.testing.assert_close(load("sss-voice-encoder", path)(log_mel), whole.V(log_mel))
    torch.testing.assert_close(load("sss-face-encoder", path)(image), whole.F(image))
    assert torch.equal(load("sss-embedding-heads", path).F["cls"].weight, whole.F.cls.weight)
    del state["module.V.fc.2.weight"]
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"V\.fc\.2\.weight: missing"):
        load("sss-model", path)
    torch.save({"start_it": 3, "stage": 1}, path)
    with pytest.raises(ValueError, match="has no 'state_dict', where sss-model is kept"):
        load("sss-model", path)


def test_cmpc_files_hold_two_encoders(tmp_path):
    net = VoiceFacePair((1, 1), (4, 6)).eval()
    path = tmp_path / "checkpoint_CMPC.pth.tar"
    torch.save({"epoch": 128, "model": net.state_dict(), "optimizer": {}}, path)
    log_mel, image = torch.randn(2, 64, 30), torch.randn(2, 3, 20, 20)
    voices, faces = net(log_mel, image)
    torch.testing.assert_close(load("cmpc-voice-encoder", path)(log_mel[:, None]), voices)
    torch.testing.assert_close(load("cmpc-face-encoder", path)(image), faces)
    torch.testing.assert_close(load("cmpc-model", path)(log_mel, image), (voices, faces))


def test_another_front_end_is_refused():
    tensors = published_sss(small_sss())
    tensors["V.model.torchfb.mel_scale.fb"] = torch.rand(257, 40)
    with pytest.raises(ValueError, match=r"mel_scale\.fb is not the published one"):
        upstream.build("sss-model", tensors, "x")
    tensors = published_sss(small_sss())
    tensors["normalize.conv.bias"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"normalize\.conv\.bias is not the published one"):
        upstream.build("sss-model", tensors, "x")


def test_the_fixed_convolution_scales_pixels_as_images_do():
    fixed = association.image_scaling()
    weight, bias = fixed["normalize.conv.weight"], fixed["normalize.conv.bias"]
    pixels = torch.tensor([0.0, 127.5, 255.0]).expand(1, 3, 1, 3)
    scaled = torch.nn.functional.conv2d(pixels, weight, bias, groups=3)
    torch.testing.assert_close(scaled, torch.tensor([-1.0, 0.0, 1.0]).expand(1, 3, 1, 3))


def test_all_faults_are_named_at_once():
    tensors = published_sss(small_sss())
    del tensors["V.model.attention"], tensors["F.model.body.1.res_layer.3.weight"]
    tensors["F.head"] = torch.zeros(2)
    with pytest.raises(ValueError) as caught:
        upstream.build("sss-model", tensors, "x")
    told = str(caught.value)
    assert "F.head: unexpected" in told
    assert "F.model.body.1.res_layer.3.weight: missing; V.model.attention: missing" in told


@pytest.mark.parametrize("name", [n for n in upstream.TABLE if n.startswith(("sss", "cmpc", "ir"))])
def test_an_empty_state_dict_is_refused(name):
    with pytest.raises(ValueError, match="missing"):
        upstream.build(name, {}, "x")


def test_a_file_without_the_prefix_is_refused(tmp_path):
    path = tmp_path / "best.pth.tar"
    torch.save({"state_dict": ThinResNet((1,), (8,)).state_dict()}, path)
    with pytest.raises(ValueError, match=r"no keys under 'V\.', where sss-voice-encoder"):
        load("sss-voice-encoder", path)


@pytest.mark.parametrize(("kind", "arguments"), SMALL)
def test_nets_travel_with_their_arguments(kind, arguments, tmp_path):
    net = kind(**arguments)
    store.save_net(tmp_path / "net.safetensors", net, upstream.arguments_of(net))
    loaded = store.load_net(tmp_path / "net.safetensors")
    assert type(loaded) is kind
    for key, value in net.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])


def test_a_system_is_made_of_networks_of_the_table():
    for names in upstream.SYSTEMS.values():
        assert {upstream.entry(name).file for name in names} == {upstream.entry(names[0]).file}

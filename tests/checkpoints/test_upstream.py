"""Published containers: prefixes, other networks' keys, sizes told by the file, clear refusals."""

import pickle

import numpy as np
import pytest
import torch
from checkpoints.face_tensors import face_tensors
from safetensors.torch import save_file

from voicemesh import checkpoints
from voicemesh.checkpoints import upstream
from voicemesh.nets.cmp import (
    EmbeddingClassifier,
    FaceEmbedder,
    FaceGenerator,
    SupervisedHead,
    VoiceEncoder,
)
from voicemesh.nets.sf2f_vggface import VggFace
from voicemesh.nets.synergynet import MobileNetV2, SynergyNet


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_voice_encoder_of_any_size(tmp_path, prefix):
    net = VoiceEncoder(5, (6, 7, 8, 9), 4).eval()
    state = dict(reversed(net.state_dict().items()))  # of layers 12, 9, ... 0
    torch.save({prefix + k: v for k, v in state.items()}, tmp_path / "voice.pth")
    read, features = (
        checkpoints.load("cmp-voice-encoder", tmp_path / "voice.pth"),
        torch.randn(2, 5, 9),
    )
    torch.testing.assert_close(read(features), net(features), rtol=0, atol=0)


def written(path, state):
    """The state dict in the form that the suffix tells."""
    arrays = {key: value.numpy() for key, value in state.items()}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(arrays, 2))
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.suffix != ".tar")


@pytest.mark.parametrize("suffix", ["pt", "pth", "tar", "npz", "pkl", "safetensors"])
@pytest.mark.parametrize("counters", [True, False])
def test_files_of_any_form_with_or_without_counters(tmp_path, suffix, counters):
    net, features = VoiceEncoder(5, (6, 7), 4).eval(), torch.randn(2, 5, 9)
    state = {k: v for k, v in net.state_dict().items() if counters or "num_batches" not in k}
    written(tmp_path / f"voice.{suffix}", state)
    read = checkpoints.load("cmp-voice-encoder", tmp_path / f"voice.{suffix}")
    torch.testing.assert_close(read(features), net(features), rtol=0, atol=0)


def test_weights_kept_by_torch_under_another_suffix(tmp_path):
    net = VggFace(4, (1,), (8,)).eval()
    torch.save(net.state_dict(), tmp_path / "vgg.pkl", _use_new_zipfile_serialization=False)
    read = checkpoints.load("sf2f-vggface", tmp_path / "vgg.pkl")
    torch.testing.assert_close(read.fc.weight, net.fc.weight, rtol=0, atol=0)
    (tmp_path / "torn.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"torn\.npz cannot be read as arrays"):
        checkpoints.load("sf2f-vggface", tmp_path / "torn.npz")


def test_code_in_a_file_of_arrays_does_not_run(tmp_path):
    class Intruder:
        def __reduce__(self):
            return (tmp_path / "victim").touch, ()

    np.savez(tmp_path / "x.npz", weight=np.array([Intruder()], object))
    with pytest.raises(ValueError, match=r"x\.npz cannot be read as arrays"):
        checkpoints.load("sf2f-vggface", tmp_path / "x.npz")
    assert not (tmp_path / "victim").exists()


def test_the_supervised_head_of_any_size(tmp_path):
    net = SupervisedHead(7, 5, 3).eval()
    torch.save(net.state_dict(), tmp_path / "head.pth")
    read, unit = checkpoints.load("cmp-supervised-head", tmp_path / "head.pth"), torch.randn(2, 7)
    torch.testing.assert_close(read(unit), net(unit), rtol=0, atol=0)


REGRESSOR = {"shape_params": 4, "expression_params": 3, "texture_params": 2, "width": 0.5}


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (VoiceEncoder, {"input_channels": 5, "widths": [6, 7, 8], "embedding": 4}),
        (SupervisedHead, {"embedding": 7, "shape_params": 5, "expression_params": 3}),
        (FaceGenerator, {"embedding": 5, "widths": [6, 4], "channels": 3}),
        (FaceEmbedder, {"channels": 3, "widths": [4, 6], "embedding": 5}),
        (EmbeddingClassifier, {"embedding": 5, "classes": 3}),
        (MobileNetV2, REGRESSOR),
        (SynergyNet, {**REGRESSOR, "side": 40}),
    ],
)
def test_the_arguments_of_a_net_are_read_off_it(kind, arguments):
    assert upstream.arguments_of(kind(**arguments)) == arguments


@pytest.mark.parametrize(
    ("name", "net"),
    [
        ("cmp-generator", FaceGenerator(4, (6, 5), 3)),
        ("cmp-face-critic", FaceEmbedder(3, (5, 4), 6)),
        ("cmp-face-classifier", EmbeddingClassifier(4, 7)),
    ],
)
def test_networks_of_images_of_any_size(tmp_path, name, net):
    torch.save(dict(reversed(net.state_dict().items())), tmp_path / "net.pth")
    read = checkpoints.load(name, tmp_path / "net.pth")
    assert type(read) is type(net) and not read.training
    for key, value in net.state_dict().items():
        assert torch.equal(read.state_dict()[key], value)


def regressor_state(prefix: str, aliases: bool) -> tuple[MobileNetV2, dict[str, torch.Tensor]]:
    net = MobileNetV2(4, 3, 2).eval()
    state = net.state_dict()
    if aliases:
        for key, value in net.state_dict().items():
            if key.startswith("features."):
                half = "first" if int(key.split(".")[1]) <= 8 else "second"
                state[key.replace("features.", f"features_{half}.")] = value
    return net, {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("aliases", [True, False])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone."])
def test_the_regressor_alone_or_as_a_student(tmp_path, prefix, aliases):
    net, state = regressor_state(prefix, aliases)
    torch.save(state, tmp_path / "image3D.pth")
    read = checkpoints.load("cmp-3dmm-regressor", tmp_path / "image3D.pth")
    image = torch.randn(1, 3, 40, 40)
    torch.testing.assert_close(read(image).params, net(image).params, rtol=0, atol=0)
    student = checkpoints.load("cmp-student", tmp_path / "image3D.pth")
    torch.testing.assert_close(student(image).params, net(image).params, rtol=0, atol=0)


def test_the_teacher_has_a_whitening(tmp_path):
    net, state = regressor_state("module.IGM.backbone.", False)
    tensors = face_tensors(70)
    state |= {f"module.{key}": value for key, value in tensors.items()}
    torch.save({"state_dict": state}, tmp_path / "x.tar")
    image = torch.randn(1, 3, 40, 40)
    for name in ("cmp-3dmm-regressor", "cmp-teacher"):
        read = checkpoints.load(name, tmp_path / "x.tar")
        torch.testing.assert_close(read(image).params, net(image).params, rtol=0, atol=0)
    torch.testing.assert_close(read.pose_mean, tensors["param_mean"][:12])
    torch.testing.assert_close(read.pose_deviation, tensors["param_std"][:12])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"backbone.features_first.0.0.weight": torch.zeros(32, 3, 3, 3)}, "once more; the file"),
        ({"backbone.features_second.9.x": torch.zeros(1)}, r"should be features\.9\.x once more"),
        ({"u": torch.zeros(1), "stray": torch.zeros(1)}, "has unexpected stray"),
        ({"backbone.connector.weight": torch.zeros(1)}, r"connector\.weight: unexpected"),
    ],
)
def test_regressors_with_strange_tensors_are_refused(change, fault):
    _, state = regressor_state("backbone.", True)
    with pytest.raises(ValueError, match=fault):
        upstream.build("cmp-3dmm-regressor", state | change, "x")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("cmp-unheard", {}, "No published network 'cmp-unheard'; known are cmp-3dmm-regressor"),
        ("cmp-face-model", {"model": {}}, "x has no 'state_dict', where cmp-face-model is kept"),
        ("cmp-face-model", {"state_dict": {"a": torch.ones(1)}}, "x lacks param_mean, .* it has a"),
        ("cmp-voice-encoder", [1, 2], "x does not hold the tensors of cmp-voice-encoder by key"),
        ("cmp-voice-encoder", {"epoch": 3}, "x does not hold the tensors"),
        ("cmp-generator", {}, r"x lacks model\.0\.weight and more 2D convolutions; it has "),
        ("cmp-3dmm-regressor", {}, r"x does not fit MobileNetV2: classifier_exp\.1\.bias: missing"),
        ("cmp-teacher", {"state_dict": {}}, "x lacks param_mean, param_std"),
        ("cmp-supervised-head", {}, r"x lacks classifier_exp\.1\.weight"),
        (
            "cmp-supervised-head",
            {k: v for k, v in SupervisedHead().state_dict().items() if "scale" not in k},
            r"x does not fit SupervisedHead: classifier_scale\.1\.bias: missing; classifier_scale",
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, name, content, fault):
    torch.save(content, tmp_path / "x")
    with pytest.raises(ValueError, match=fault):
        checkpoints.load(name, tmp_path / "x")

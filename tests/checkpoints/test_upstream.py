"""Published containers: prefixes, other networks' keys, sizes told by the file, clear refusals."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from voicemesh import checkpoints
from voicemesh.checkpoints import upstream
from voicemesh.mesh.landmarks import BASEL_LANDMARKS
from voicemesh.nets.cmp import (
    EmbeddingClassifier,
    FaceEmbedder,
    FaceGenerator,
    SupervisedHead,
    VoiceEncoder,
)
from voicemesh.nets.sf2f_vggface import VggFace
from voicemesh.nets.synergynet import MobileNetV2, SynergyNet

VERTICES = 53_000  # enough for the published landmarks


def face_tensors(vertices: int = VERTICES) -> dict[str, torch.Tensor]:
    return {
        "param_mean": torch.randn(102),
        "param_std": torch.rand(102) + 0.5,
        "u": torch.randn(3 * vertices, 1) * 80_000,
        "w_shp": torch.randn(3 * vertices, 40),
        "w_exp": torch.randn(3 * vertices, 10),
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """2D-to-3D-pretrained.tar as published: wrapped, prefixed, with a backbone beside."""
    tensors = face_tensors()
    state = {f"module.{key}": value for key, value in tensors.items()}
    state["module.IGM.backbone.features.0.0.weight"] = torch.zeros(2)
    path = tmp_path_factory.mktemp("published") / "2D-to-3D-pretrained.tar"
    torch.save({"epoch": 80, "state_dict": state}, path)
    return path, tensors


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_voice_encoder_of_any_size(tmp_path, prefix):
    net = VoiceEncoder(5, (6, 7, 8), 4).eval()
    torch.save({prefix + k: v for k, v in net.state_dict().items()}, tmp_path / "voice.pth")
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
    torch.save(net.state_dict(), tmp_path / "net.pth")
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


def test_the_face_model_leaves_the_backbone_alone(published):
    path, tensors = published
    model = checkpoints.load("cmp-face-model", path)
    mean = tensors["u"].reshape(-1, 3) / 1000
    torch.testing.assert_close(model.mean, mean)
    torch.testing.assert_close(model.shape_deviation, tensors["param_std"][12:52])
    torch.testing.assert_close(model.expression_mean, tensors["param_mean"][52:62])
    assert model.landmarks.tolist() == list(BASEL_LANDMARKS)


def test_triangles_and_landmarks_beside_the_face_model(published, tmp_path):
    path, _ = published
    savemat(tmp_path / "tri.mat", {"tri": np.array([[1, 4], [2, 5], [3, VERTICES]], np.uint16)})
    flat = (3 * np.arange(68)[:, None] + np.arange(3)).ravel()
    np.save(tmp_path / "keypoints_sim.npy", flat)
    model = upstream.load_basel(path, tmp_path / "tri.mat", tmp_path / "keypoints_sim.npy")
    assert model.triangles.tolist() == [[0, 2, 1], [3, VERTICES - 1, 4]]
    assert model.landmarks.tolist() == list(range(68))


def test_the_face_model_without_neck(tmp_path):
    tensors = {key: value.numpy() for key, value in face_tensors(70).items()}
    arrays = {
        "u": tensors["u"].astype(np.float64),
        "w_shp": np.concatenate([tensors["w_shp"], tensors["w_shp"]], 1),  # as 199 components
        "w_exp": tensors["w_exp"],
        "tri": np.array([[0, 3], [1, 4], [2, 69]]),
        "keypoints": (3 * np.arange(68)[:, None] + np.arange(3)).ravel(),
    }
    (tmp_path / "bfm_noneck_v3.pkl").write_bytes(pickle.dumps(arrays, 2))
    model = upstream.load_basel(tmp_path / "bfm_noneck_v3.pkl")
    assert model.shape_basis.shape == (70, 3, 40)
    assert model.triangles.tolist() == [[0, 2, 1], [3, 69, 4]]
    (tmp_path / "tri.pkl").write_bytes(pickle.dumps(np.array([[5], [6], [7]])))
    again = upstream.load_basel(tmp_path / "bfm_noneck_v3.pkl", tmp_path / "tri.pkl")
    assert again.triangles.tolist() == [[5, 7, 6]]
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps({"u": arrays["u"]}))
    with pytest.raises(ValueError, match=r"bare\.pkl lacks w_shp, w_exp, tri, keypoints"):
        upstream.load_basel(tmp_path / "bare.pkl")


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


def test_surfaces_that_are_none_are_named(tmp_path):
    path = tmp_path / "keypoints_sim.npy"
    torn = b"\x93NUMPY\x01\x00\x13\x00{'shape': (3, 64),  \n"
    for content, fault in (
        (b"", "it is empty"),
        (b"68 points", "cannot be read as landmarks"),
        (torn, "cannot be read as landmarks"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"keypoints_sim\.npy .*{fault}"):
            upstream.read_landmarks(path)
    np.save(path, np.array(["a"]))
    with pytest.raises(ValueError, match="holds no numbers of vertices"):
        upstream.read_landmarks(path)
    path = tmp_path / "tri.mat"
    path.write_bytes(b"no matrix" * 50)
    with pytest.raises(ValueError, match=r"tri\.mat cannot be read as a Matlab file"):
        upstream.read_triangles(path)
    savemat(path, {"triangles": np.ones((3, 2))})
    with pytest.raises(ValueError, match=r"tri\.mat holds no 'tri'"):
        upstream.read_triangles(path)
    savemat(path, {"tri": np.ones((4, 2))})
    with pytest.raises(ValueError, match=r"tri\.mat holds no triangles"):
        upstream.read_triangles(path)

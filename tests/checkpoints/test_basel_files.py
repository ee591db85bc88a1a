"""Published face models: the model out of its container, triangles and landmarks beside it."""

import pickle

import numpy as np
import pytest
import torch
from checkpoints.face_tensors import VERTICES, face_tensors
from scipy.io import savemat

from voicemesh import checkpoints, cli
from voicemesh.checkpoints import basel_files
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.mesh.landmarks import BASEL_LANDMARKS


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """2D-to-3D-pretrained.tar as published: wrapped, prefixed, with a backbone beside."""
    tensors = face_tensors()
    state = {f"module.{key}": value for key, value in tensors.items()}
    state["module.IGM.backbone.features.0.0.weight"] = torch.zeros(2)
    path = tmp_path_factory.mktemp("published") / "2D-to-3D-pretrained.tar"
    torch.save({"epoch": 80, "state_dict": state}, path)
    return path, tensors


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
    model = basel_files.load_basel(path, tmp_path / "tri.mat", tmp_path / "keypoints_sim.npy")
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
    model = basel_files.load_basel(tmp_path / "bfm_noneck_v3.pkl")
    assert model.shape_basis.shape == (70, 3, 40)
    assert model.triangles.tolist() == [[0, 2, 1], [3, 69, 4]]
    (tmp_path / "tri.pkl").write_bytes(pickle.dumps(np.array([[5], [6], [7]])))
    again = basel_files.load_basel(tmp_path / "bfm_noneck_v3.pkl", tmp_path / "tri.pkl")
    assert again.triangles.tolist() == [[5, 7, 6]]
    np.save(tmp_path / "points.npy", np.arange(68)[::-1])
    again = basel_files.load_basel(
        tmp_path / "bfm_noneck_v3.pkl", landmarks=tmp_path / "points.npy"
    )
    assert model.landmarks.tolist() == list(range(68)) == again.landmarks.tolist()[::-1]
    command = ["convert", "head", str(tmp_path / "bfm_noneck_v3.pkl"), "--out", str(tmp_path / "b")]
    for name, file in (("triangles", "tri.pkl"), ("landmarks", "points.npy")):
        command += [f"--{name}", str(tmp_path / file)]
    assert cli.main(command) == 0
    read = Bundle.open(tmp_path / "b").face_model()
    assert read.triangles.tolist() == [[5, 7, 6]]
    assert torch.equal(read.landmarks, again.landmarks)
    assert torch.equal(read.shape_basis, model.shape_basis)  # as published, to the last bit
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps({"u": arrays["u"]}))
    with pytest.raises(ValueError, match=r"bare\.pkl lacks w_shp, w_exp, tri, keypoints"):
        basel_files.load_basel(tmp_path / "bare.pkl")


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
            basel_files.read_landmarks(path)
    np.save(path, np.array(["a"]))
    with pytest.raises(ValueError, match="holds no numbers of vertices"):
        basel_files.read_landmarks(path)
    path = tmp_path / "tri.mat"
    path.write_bytes(b"no matrix" * 50)
    with pytest.raises(ValueError, match=r"tri\.mat cannot be read as a Matlab file"):
        basel_files.read_triangles(path)
    savemat(path, {"triangles": np.ones((3, 2))})
    with pytest.raises(ValueError, match=r"tri\.mat holds no 'tri'"):
        basel_files.read_triangles(path)
    savemat(path, {"tri": np.ones((4, 2))})
    with pytest.raises(ValueError, match=r"tri\.mat holds no triangles"):
        basel_files.read_triangles(path)

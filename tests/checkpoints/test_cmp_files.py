"""The unzipped download of Cross-Modal Perceptionist: converted, loaded, the same numbers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conformance.case import Case, compare
from conformance.cmp import tensors
from conformance.cmp_unsupervised import followed, published_file
from scipy.io import savemat

import voicemesh
from voicemesh import cli
from voicemesh.checkpoints import cmp_files, upstream
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.mesh import basel
from voicemesh.nets.cmp import FaceGenerator, SupervisedHead

CASE = Path(__file__).parents[1] / "conformance" / "cases" / "cmp-pipeline.json"
FRONT, FACES = "pretrained_models", "face_types"


@pytest.fixture(scope="module")
def case():
    return Case.read(CASE)


@pytest.fixture(scope="module")
def folder(case, tmp_path_factory):
    """Both archives of the authors, unzipped into one folder."""
    root = tmp_path_factory.mktemp("download")
    for part in (f"{FRONT}/supervised_64", "train.configs", FACES):
        (root / part).mkdir(parents=True)
    for file in case.description["layouts"]:
        content = tensors(published_file(case, file))
        if file.endswith(".tar"):
            content = {"epoch": 80, "state_dict": content}
        torch.save(content, root / FRONT / file)
    torch.manual_seed(5)
    torch.save(SupervisedHead().state_dict(), root / FRONT / "supervised_64/generator_48000.pth")
    triangles = np.arange(1, 53_215)[None] + np.array([[0], [1], [1]])
    triangles[2] = (triangles[2] % 53_215) + 1
    savemat(root / "train.configs" / "tri.mat", {"tri": triangles.astype(np.uint16)})
    flat = (3 * np.arange(68)[:, None] + np.arange(3)).ravel()
    np.save(root / "train.configs" / "keypoints_sim.npy", flat)
    return root


@pytest.fixture(scope="module")
def bundle(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle")
    model = upstream.load("cmp-face-model", folder / FRONT / "2D-to-3D-pretrained.tar")
    params = torch.linspace(-2, 2, 51)
    params[0] = 1.5
    for name, sign in (("male", 1), ("female", 0), ("slim", -1)):
        mesh = basel.scaled_vertices(model, sign * params).tolist()
        lines = [f"v {x!r} {y!r} {z!r}\n" for x, y, z in mesh]
        (folder / FACES / f"{name}.obj").write_text("# a face\n" + "".join(lines) + "f 1 2 3\n")
    assert cli.main(["convert", "cmp", str(folder), "--out", str(out), "--licence", "MIT"]) == 0
    return out


def test_the_converted_download_reproduces_the_published_chain(case, bundle):
    system = voicemesh.load(bundle, "cpu").system
    log_mel = torch.from_numpy(case.input(case.inputs[0]))
    with torch.inference_mode():
        compare(case, followed(case, system.voice, system.images, log_mel))


def test_every_part_tells_its_files(bundle, folder):
    opened = Bundle.open(bundle)
    assert set(opened.parts) == {
        *("cmp-voice-encoder", "cmp-supervised-head", "head", "cmp-statistics"),
        *("cmp-generator", "cmp-student", "cmp-teacher"),
    }
    assert opened.title == cmp_files.TITLE
    head = opened.part("head")
    assert head.source.startswith("2D-to-3D-pretrained.tar, sha256 ") and head.licence == "MIT"
    assert "tri.mat" in head.source and "keypoints_sim.npy" in head.source
    assert opened.face_model().landmarks.tolist() == list(range(68))
    assert opened.face_model().triangles[0].tolist() == [0, 2, 1]


def test_reference_meshes_become_shape_parameters(bundle):
    told = Bundle.open(bundle).tensors("cmp-statistics")
    assert set(told) == {"mean_male", "mean_female", "type_slim", "measure_mean"}
    expected = torch.linspace(-2, 2, 51)[1:41]
    torch.testing.assert_close(told["mean_male"], expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(told["type_slim"], -expected, atol=1e-3, rtol=1e-3)
    lengths = Bundle.open(bundle).face_model().measurements(expected)
    torch.testing.assert_close(told["measure_mean"][0], lengths, atol=0.05, rtol=1e-3)


def test_without_the_supervised_archive_the_images_decide(folder, tmp_path):
    light = tmp_path / "light"
    shutil.copytree(folder / FRONT, light, ignore=shutil.ignore_patterns("supervised_64"))
    parts = cmp_files.find(light).read()
    assert "cmp-supervised-head" not in parts and "cmp-generator" in parts


@pytest.mark.parametrize("prefix", ["", "module."])
def test_head_and_generator_of_one_name_are_told_apart(tmp_path, prefix):
    for net, kind in (
        (SupervisedHead(4, 3, 2), "cmp-supervised-head"),
        (FaceGenerator(4, (3,)), "cmp-generator"),
    ):
        state = {prefix + key: value for key, value in net.state_dict().items()}
        torch.save(state, tmp_path / "generator_9.pth")
        assert list(cmp_files.find(tmp_path).files) == [kind]


def test_an_incomplete_download_says_what_it_lacks(folder, tmp_path):
    with pytest.raises(ValueError, match=r"lacks voice_embedding.*pretrained\.tar; generator_480"):
        cmp_files.find(tmp_path).read()
    for file in ("voice_embedding.pth", "generator_48000.pth", "2D-to-3D-pretrained.tar"):
        (tmp_path / file).hardlink_to(folder / FRONT / file)
    with pytest.raises(ValueError, match=r"face images and image3D_48000\.pth together"):
        cmp_files.find(tmp_path).read()


def test_two_files_of_one_kind_are_refused_unless_equal(folder, tmp_path):
    for name, file in (("a", "voice_embedding.pth"), ("b", "voice_embedding.pth")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(b"same")
    (tmp_path / "._voice_embedding.pth").write_bytes(b"a Mac's note")
    assert cmp_files.find(tmp_path).files["cmp-voice-encoder"] == tmp_path / "a/voice_embedding.pth"
    (tmp_path / "b" / "voice_embedding.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match="are both cmp-voice-encoder; leave one of them"):
        cmp_files.find(tmp_path)


@pytest.mark.parametrize("content", [b"v 1 2\nv 1 2 3\n", b"v a b c\n", b"v 1 2 3\n\xff\xfe"])
def test_a_mesh_that_is_none_is_named(tmp_path, content):
    (tmp_path / "male.obj").write_bytes(content)
    with pytest.raises(ValueError, match=r"male\.obj cannot be read as a mesh"):
        cmp_files.obj_vertices(tmp_path / "male.obj")

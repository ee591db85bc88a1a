"""The image branch: chain, pose, overlay; alone in a bundle and beside the supervised head."""

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bundles import EMBEDDING, EXPRESSIONS, SHAPES, babble, write_bundle
from PIL import Image

import voicemesh
from voicemesh import cli
from voicemesh.audio import feature_files
from voicemesh.audio.recording import Recording, UnusableRecording
from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.mesh.basel import SCALE_DEVIATION, SCALE_MEAN
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.synergynet import CROP, POSE, Pose, SynergyNet


def upright() -> torch.Tensor:
    """A head of three quarters the published scale, straight, in the middle of the crop."""
    rows = 0.75 * SCALE_MEAN * torch.eye(3)
    return torch.cat([rows, torch.tensor([[60.0], [67.0], [0.0]])], 1).flatten()


def regressor(offset: float = 0.0) -> SynergyNet:
    net = SynergyNet(SHAPES, EXPRESSIONS, 3)
    net.pose_mean = upright() + offset * torch.eye(POSE)[3]
    net.pose_deviation = 1e-3 * upright().abs() + 1e-9
    return net


def add_images(folder, **parts):
    """Go on with a bundle."""
    writer = BundleWriter(folder, "images")
    given = {
        "cmp-generator": FaceGenerator(EMBEDDING, (8, 8)),
        "cmp-student": regressor(),
        "cmp-teacher": regressor(10.0),
        **parts,
    }
    for name, net in given.items():
        if net is not None:
            writer.net(name, net, upstream.arguments_of(net), half=True)
    return folder


def without(folder, *parts):
    manifest = json.loads((folder / "bundle.json").read_text())
    for part in parts:
        del manifest["parts"][part]
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    torch.manual_seed(1)
    return add_images(write_bundle(tmp_path_factory.mktemp("both")))


@pytest.fixture(scope="module")
def whole(both):
    return voicemesh.load(both, "cpu")


@pytest.fixture(scope="module")
def published(both, tmp_path_factory):
    """A bundle of the image branch alone that reads published features."""
    folder = tmp_path_factory.mktemp("alone") / "bundle"
    shutil.copytree(both, folder)
    torch.manual_seed(4)
    voice = VoiceEncoder(64, (8, 8), EMBEDDING)
    add_images(folder, **{"cmp-voice-encoder": voice})
    return without(folder, "cmp-supervised-head", "voice-traits", "cmp-statistics")


def test_the_pose_is_read_off_the_matrix():
    turn = torch.linalg.qr(torch.randn(3, 3)).Q
    matrix = torch.cat([0.3 * turn, torch.tensor([[1.0], [2.0], [3.0]])], 1)
    pose = Pose.of(matrix.flatten()[None])
    assert pose.scale.item() == pytest.approx(0.3)
    torch.testing.assert_close(pose.rotation[0], turn)
    point = torch.randn(1, 1, 3)
    x, y, z = turn @ point.flatten() + torch.tensor([1.0, 2, 3])
    torch.testing.assert_close(pose.image(point).flatten(), torch.stack([x, 127 - y, z]))


def test_image_and_teacher_and_student_each_do_their_part(whole):
    images = whole.system.images
    unit = F.normalize(torch.randn(3, EMBEDDING))
    faces = images.imagine(unit)
    crop = F.interpolate(images.generator(unit), (CROP, CROP), mode="bilinear", align_corners=True)
    told = images.student(crop).params
    torch.testing.assert_close(faces.shape_params, told[:, POSE : POSE + SHAPES])
    torch.testing.assert_close(faces.expression_params, told[:, POSE + SHAPES :][:, :EXPRESSIONS])
    numbers = images.teacher.pose_numbers(images.teacher(crop).params)
    torch.testing.assert_close(faces.pose.offset[:, 0], numbers[:, 3])
    scale = faces.parameters[:, 0] * SCALE_DEVIATION + SCALE_MEAN
    torch.testing.assert_close(scale, faces.scale)
    scaled = images.scaled_vertices(faces)
    millimetres = whole.system.face_model.vertices(faces.shape_params, faces.expression_params)
    torch.testing.assert_close(scaled, millimetres * 1000 * scale[:, None, None])


def test_the_overlay_covers_the_head_and_nothing_else(whole):
    images = whole.system.images
    faces = images.read(torch.zeros(1, 3, 64, 64))
    picture, overlay = images.picture(faces, size=240), images.overlay(faces, size=240)
    assert (picture == 128).all()
    drawn = (overlay != picture).any(2)
    x, y = (images.vertices_in_image(faces)[0, :, axis] * 239 / 119 for axis in (0, 1))
    columns, rows = np.flatnonzero(drawn.any(0)), np.flatnonzero(drawn.any(1))
    assert abs(columns[0] - x.min()) < 4 and abs(columns[-1] - x.max()) < 4
    assert abs(rows[0] - y.min()) < 4 and abs(rows[-1] - y.max()) < 4
    assert drawn.mean() > 0.1
    middle = overlay[int(y.mean()), int(x.mean())]
    assert middle.mean() > 200  # lit from the front


def test_without_a_teacher_the_student_tells_the_pose(both, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(both, folder)
    images = voicemesh.load(without(folder, "cmp-teacher"), "cpu").system.images
    faces = images.read(torch.zeros(2, 3, CROP, CROP))
    torch.testing.assert_close(faces.pose.scale, faces.scale)


def test_a_portrait_has_both_branches(whole, tmp_path):
    seen = whole(Recording(babble(2.0), name="babble.wav"))
    pictured = seen.pictured
    assert not np.allclose(pictured.parameters, seen.parameters, atol=1e-3)
    assert not np.allclose(pictured.face.vertices, seen.face.vertices, atol=1e-3)
    assert pictured.sex in ("female", "male")
    assert pictured.image.shape == pictured.overlay.shape
    paths = seen.save(tmp_path)
    for name in ("image", "overlay"):
        assert np.array_equal(np.asarray(Image.open(paths[name])), getattr(pictured, name))
    assert paths["image_mesh"].stat().st_size > 1000
    report = json.loads(paths["json"].read_text())
    np.testing.assert_allclose(report["pictured"]["parameters"], pictured.parameters, atol=1e-4)


def test_published_feature_files_are_recordings_too(published, tmp_path, capsys):
    folder = tmp_path / "preprocessed_MFCC" / "rand_id00001" / "video"
    folder.mkdir(parents=True)
    log_mel = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    np.save(folder / "00001.npy", log_mel)
    np.save(folder / "00002.npy", log_mel[:, :63])
    out = tmp_path / "out"
    arguments = ["portray", str(tmp_path / "preprocessed_MFCC"), "--out", str(out)]
    assert cli.main([*arguments, "--bundle", str(published), "--device", "cpu"]) == 1
    assert "00002.npy is no feature file: frames by 64 bands are needed" in capsys.readouterr().err
    report = json.loads((out / "rand_id00001/video/00001/report.json").read_text())
    assert report["speech_seconds"] == 10 and report["recording"] == "00001.npy"
    system = voicemesh.load(published, "cpu").system
    unit = F.normalize(system.voice(torch.from_numpy(log_mel.T)[None]))
    expected = system.images.imagine(unit).parameters[0]
    np.testing.assert_allclose(report["parameters"], expected.detach(), atol=1e-3)
    assert report["pictured"]["parameters"] == report["parameters"]


def test_feature_files_want_nets_that_read_them(whole, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 64), np.float32))
    with pytest.raises(UnusableRecording, match=r"'Untrained nets' reads others, so convert"):
        whole.of_features(tmp_path / "a.npy")


def test_a_net_of_its_own_may_read_feature_files(both, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(both, folder)
    add_images(folder, **{"cmp-feature-encoder": VoiceEncoder(64, (8, 8), EMBEDDING)})
    whole = voicemesh.load(folder, "cpu")
    log_mel = np.random.default_rng(1).normal(size=(300, 64)).astype(np.float32)
    np.save(tmp_path / "a.npy", log_mel)
    features = torch.from_numpy(log_mel.T.copy())[None]
    unit = F.normalize(whole.system.feature_voice(features))
    np.testing.assert_allclose(
        whole.of_features(tmp_path / "a.npy").parameters,
        whole.system.head(unit)[0].detach(),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is no array"),
        (np.array([{}]), "is no array"),
        (np.zeros((0, 64)), "it holds 0 by 64"),
        (np.zeros((3, 64), "U2"), "holds <U2, not numbers"),
        (np.full((3, 64), np.nan), "not finite"),
    ],
)
def test_other_arrays_are_refused(tmp_path, content, fault):
    path = tmp_path / "a.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(UnusableRecording, match=fault):
        feature_files.load(path)


def test_long_feature_files_are_cut(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((900, 64)))
    assert feature_files.load(tmp_path / "a.npy", limit=5).shape == (64, 500)

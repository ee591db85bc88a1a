"""Voxceleb-3D in its published layout, made small: read, evaluated, trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mesh.test_basel import tensors

from voicemesh import cli
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.evaluation import voxceleb3d
from voicemesh.evaluation.voxceleb3d import Voxceleb3D, read_params, read_points
from voicemesh.mesh import basel
from voicemesh.mesh.landmarks import BASEL_VERTICES
from voicemesh.mesh.metrics import pair_lengths
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.training import cmp, cmp_voxceleb3d
from voicemesh.training.loop import read_metrics

PEOPLE = {  # name: VoxCeleb1 ID, gender
    "Ann_Example": ("id10001", "f"),
    "Eric_Example": ("id10002", "m"),
    "Fay_Example": ("id10003", "f"),
    "Zed_Example": ("id10004", "m"),
    "Nobody_Heard": ("id10005", "m"),
}
WIDTHS = [8, 8, 8, 8]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return basel.face_model(tensors(BASEL_VERTICES))


@pytest.fixture(scope="module")
def root(model, tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("voxceleb3d"), np.random.default_rng(0)
    header = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"
    rows = [f"{number}\t{name}\t{sex}\tUSA\tdev" for name, (number, sex) in PEOPLE.items()]
    (folder / "vox1_meta.csv").write_text("\n".join([header, *rows]) + "\n")
    for place, (name, (number, _)) in enumerate(PEOPLE.items()):
        faces = folder / ("A2E_val" if name[0] <= "E" else "train") / name
        faces.mkdir(parents=True)
        np.save(faces / "0.npy", rng.standard_normal(228).astype(np.float32) * 1e4)
        if name[0] <= "E":
            shape = torch.randn(40, generator=torch.Generator().manual_seed(place))
            lines = (" ".join(map(str, row)) for row in model.vertices(shape).tolist())
            (faces / "0.xyz").write_text("\n".join(lines) + "\n")
        if name != "Nobody_Heard":
            for video, count in (("abc", 1100), ("abd", 90)):
                voice = folder / "fbank" / number / video
                voice.mkdir(parents=True)
                for file in ("00001", "00002"):
                    features = rng.standard_normal((count, 64)).astype(np.float32)
                    np.save(voice / f"{file}.npy", features + (number == "id10003"))
    return folder


@pytest.fixture(scope="module")
def system(model):
    torch.manual_seed(1)
    voice = VoiceEncoder(64, WIDTHS, 64)
    return CrossModalPerceptionist(FRONT_ENDS["cmp"], voice, SupervisedHead(64, 40, 10), model)


def test_names_are_split_by_their_first_letter(root):
    held_out = [one.identity.vggface for one in Voxceleb3D.open(root, "validation").people]
    train = Voxceleb3D.open(root, "train").people
    assert held_out == ["Ann_Example", "Eric_Example"]
    assert [one.identity.vggface for one in train] == ["Fay_Example", "Zed_Example"]
    assert [one.female for one in train] == [True, False]
    names = [f"{file.parent.name}/{file.name}" for file in train[0].features]
    assert names == ["abc/00001.npy", "abc/00002.npy", "abd/00001.npy", "abd/00002.npy"]


def test_a_folder_that_is_laid_out_otherwise_is_refused(root, tmp_path):
    with pytest.raises(ValueError, match=r"no vox1_meta\.csv"):
        Voxceleb3D.open(tmp_path, "train")
    assert voxceleb3d.is_layout(root) and not voxceleb3d.is_layout(tmp_path)
    (tmp_path / "vox1_meta.csv").write_text((root / "vox1_meta.csv").read_text())
    (tmp_path / "fbank").mkdir()
    with pytest.raises(ValueError, match="nobody of the train split"):
        Voxceleb3D.open(tmp_path, "train")


def test_points_come_from_clouds_and_meshes(tmp_path):
    (tmp_path / "a.xyz").write_text("1 2 3\n4 5 6.5\n\n")
    (tmp_path / "a.obj").write_text("# said\nv 1 2 3\nvn 0 0 1\nv 4 5 6.5 .1 .2 .3\nf 1 2 1\n")
    expected = np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)
    for suffix in ("xyz", "obj"):
        np.testing.assert_array_equal(read_points(tmp_path / f"a.{suffix}"), expected)
    for broken in ("1 2 x\n", "1 2\n3\n", "", "1 2 nan\n"):
        (tmp_path / "b.xyz").write_text(broken)
        with pytest.raises(ValueError, match=r"b\.xyz"):
            read_points(tmp_path / "b.xyz")


def test_parameters_are_cut_to_those_of_the_model(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(228, dtype=np.float64)[None])
    shape, expression = read_params(tmp_path / "a.npy")
    np.testing.assert_array_equal(shape, np.arange(40))
    np.testing.assert_array_equal(expression, np.arange(199, 209))
    np.save(tmp_path / "b.npy", np.zeros(62))
    with pytest.raises(ValueError, match="62 values"):
        read_params(tmp_path / "b.npy")


def test_the_published_protocol_averages_recordings_then_people(root, system, model, tmp_path):
    data = Voxceleb3D.open(root, "validation")
    results = voxceleb3d.evaluate(system, data, tmp_path)
    expected = []
    for person in data.people:
        target = torch.from_numpy(read_points(person.faces / "0.xyz"))
        each = []
        for file in person.features[:3]:
            features = torch.from_numpy(np.load(file)).T[None]
            heard = system.perceive_published(features)
            vertices = model.vertices(heard.shape_params[0], heard.expression_params[0])
            a, b = (pair_lengths(points) for points in (vertices, target))
            each.append(float(abs(a[3] / a[0] - b[3] / b[0])))  # ears
        expected.append(np.mean(each))
    found = results["errors"]["are_ear"]
    assert found["system"]["value"] == pytest.approx(np.mean(expected), rel=1e-4)
    gain = found["mean_face"]["value"] - found["system"]["value"]
    assert found["gain_over_mean_face"]["value"] == pytest.approx(gain)
    written = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.obj"))
    names = ("abc_00001", "abc_00002", "abd_00001")
    people = ("Ann_Example", "Eric_Example")
    assert written == [f"{who}/{name}.obj" for who in people for name in names]
    assert "2 people" in voxceleb3d.table(results)


def test_another_face_model_is_refused(root, system):
    small = CrossModalPerceptionist(
        system.front_end, system.voice, system.head, basel.face_model(tensors(70))
    )
    with pytest.raises(ValueError, match="53215 vertices"):
        voxceleb3d.evaluate(small, Voxceleb3D.open(root, "validation"))


def test_a_broken_feature_file_is_named_and_left_out(root, system, tmp_path):
    data = Voxceleb3D.open(root, "validation")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    person = data.people[0]
    worse = replace(person, features=(tmp_path / "bad.npy", *person.features))
    results = voxceleb3d.evaluate(system, replace(data, people=(worse,)))
    assert "bad.npy" in results["skipped"][0]


SMALL = replace(
    cmp.RECIPES["published"],
    widths=tuple(WIDTHS),
    steps=30,
    batch_size=8,
    shortest_crop=60,
    longest_crop=120,
    learning_rate=1e-2,
)


def test_it_trains_on_the_people_from_f_to_z(root, model, tmp_path):
    writer = BundleWriter(tmp_path / "faces", "faces", largest=None)
    writer.face_model(basel.face_model(tensors(70), landmarks=np.arange(68)), compact=False)
    cmp.start(root, tmp_path / "run", SMALL, Bundle.open(tmp_path / "faces"))
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert lines[-1]["validation/loss"] > 0
    assert lines[0]["sex_wrong"] < 0.5  # Fay's features stand out


def test_targets_are_whitened_faces_of_the_identity(root):
    model = basel.face_model(tensors(70))
    task = cmp_voxceleb3d.Voxceleb3DTask(SMALL, root, model)
    batch = task.batch(np.random.default_rng(0))
    assert batch["features"].shape[:2] == (8, 64)
    raw, _ = read_params(root / "train" / "Zed_Example" / "0.npy")
    zed = batch["parameters"][batch["identity"] == 1][0]
    own = zed[1:41] * model.shape_deviation + model.shape_mean
    torch.testing.assert_close(own, torch.from_numpy(raw), rtol=1e-3, atol=1)
    with pytest.raises(ValueError, match="front_end=cmp"):
        cmp_voxceleb3d.Voxceleb3DTask(replace(SMALL, front_end="voicemesh"), root, model)


def test_the_command_measures_and_writes(root, system, model, tmp_path, capsys):
    writer = BundleWriter(tmp_path / "bundle", "basel", largest=None)
    writer.face_model(model, compact=False)
    writer.net(
        "cmp-voice-encoder",
        system.voice,
        {"input_channels": 64, "widths": WIDTHS, "embedding": 64},
    )
    sizes = {"embedding": 64, "shape_params": 40, "expression_params": 10}
    writer.net("cmp-supervised-head", system.head, sizes)
    words = ["evaluate", "cmp", "--data", root, "--bundle", tmp_path / "bundle"]
    assert cli.main([*map(str, words), "--meshes", str(tmp_path / "meshes")]) == 0
    assert "are_ear" in capsys.readouterr().out
    assert len(list((tmp_path / "meshes").rglob("*.obj"))) == 6

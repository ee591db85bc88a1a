"""The pipeline: one recording to one portrait, on a bundle with untrained nets."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from bundles import SHAPES, babble, egg, write_bundle
from PIL import Image

import voicemesh
from voicemesh import pipeline
from voicemesh.audio.recording import SAMPLE_RATE, Recording, UnusableRecording
from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.mesh.comparison import PARTS
from voicemesh.mesh.landmarks import LENGTHS, RATIOS
from voicemesh.mesh.lighting import vertex_normals
from voicemesh.pipeline import portrait as portraits
from voicemesh.pipeline.certainty import vertex_radius
from voicemesh.systems.fusion import TRAITS, Repeats


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pipeline.Pipeline:
    return voicemesh.load(write_bundle(tmp_path_factory.mktemp("bundle")), "cpu")


@pytest.fixture(scope="module")
def portrait(whole) -> pipeline.Portrait:
    return whole(Recording(babble(3.0), name="babble.wav", notes=("It clips.",)))


def test_portrait_is_of_the_heard_parameters(whole, portrait):
    shape = torch.from_numpy(portrait.parameters[1 : 1 + SHAPES])
    expression = torch.from_numpy(portrait.parameters[1 + SHAPES :])
    expected = whole.system.face_model.vertices(shape, expression).numpy()
    np.testing.assert_allclose(portrait.face.vertices, expected, atol=1e-3)
    assert portrait.parameters.shape == (51,)
    assert portrait.notes == ("It clips.",)
    assert 1 < portrait.speech_seconds <= 3
    assert portrait.log_mel.shape[1] > 250
    assert portrait.bundle == "Untrained nets"


def test_measurements_carry_their_statistics(whole, portrait):
    shape = torch.from_numpy(portrait.parameters[1 : 1 + SHAPES])
    lengths = whole.system.face_model.measurements(shape)
    statistics = whole.system.statistics
    mean = statistics["measure_mean"][0 if portrait.sex == "male" else 1]
    named = {row.name: row for row in portrait.measurements}
    assert list(named)[: len(LENGTHS)] == list(LENGTHS)
    row = named["bizygomatic"]
    at = list(named).index("bizygomatic")
    assert row.label == "Cheekbone breadth" and row.unit == "mm"
    assert np.isclose(row.value, float(lengths[at]), atol=1e-3)
    assert np.isclose(row.mean, float(mean[at]), atol=1e-3)
    assert np.isclose(row.high - row.low, 2 * float(statistics["measure_interval"][at]), atol=1e-3)
    assert np.isclose(row.explained, float(statistics["measure_explained"][at]))
    assert np.isclose(row.ceiling, float(statistics["measure_ceiling"][at]))


def test_sex_and_type_are_the_nearest(whole, portrait):
    assert set(portrait.sex_distances) == {"female", "male"}
    assert portrait.sex == min(portrait.sex_distances, key=portrait.sex_distances.get)
    assert portrait.face_type == min(portrait.type_distances, key=portrait.type_distances.get)
    model, mean = whole.system.face_model, whole.system.statistics["mean_female"]
    shape = torch.from_numpy(portrait.parameters[1 : 1 + SHAPES])
    apart = (model.vertices(shape) - model.vertices(mean)).norm(dim=1)
    assert np.isclose(portrait.sex_distances["female"], apart.square().mean().sqrt(), rtol=1e-4)
    published = portrait.report()["sex"]["published_distances"]["female"]
    assert published == pytest.approx(float(apart.norm()) / len(apart), abs=1e-4)


def test_breadths_are_told_against_the_mean_of_the_sex(whole, portrait):
    model = whole.system.face_model
    shape = torch.from_numpy(portrait.parameters[1 : 1 + SHAPES])
    mean = whole.system.statistics[f"mean_{portrait.sex}"]
    ours, usual = (model.measurements(params) for params in (shape, mean))
    at = [list(model.measures).index(name) for name in RATIOS]
    expected = 100 * (ours[at] / usual[at] - 1)
    assert list(portrait.percents) == list(RATIOS)
    np.testing.assert_allclose(list(portrait.percents.values()), expected, atol=1e-2)


def test_an_unheard_voice_suggests_the_face_between_the_sexes(whole):
    men, women = (whole.system.statistics[f"mean_{sex}"] for sex in ("male", "female"))
    expected = whole.system.face_model.vertices((men + women) / 2)
    np.testing.assert_allclose(whole.average().vertices, expected, atol=1e-3)


def test_traits_have_intervals_in_proportion(portrait):
    for estimate, half in ((portrait.pitch_hz, 0.1), (portrait.tract_cm, 0.05)):
        assert np.isclose(estimate.high / estimate.value, np.exp(half), rtol=1e-4)
        assert np.isclose(estimate.value / estimate.low, np.exp(half), rtol=1e-4)


def test_radius_holds_eighty_percent_of_people():
    model = egg()
    generator = torch.Generator().manual_seed(3)
    root = torch.randn(SHAPES, SHAPES, generator=generator) * 0.2
    radius = vertex_radius(model, root @ root.T)
    drawn = torch.randn(4000, SHAPES, generator=generator) @ root.T
    rest = model.vertices(torch.zeros(SHAPES))
    apart = (model.vertices(drawn) - rest).norm(dim=-1).numpy()
    inside = (apart < radius).mean(0)
    assert abs(inside.mean() - 0.8) < 0.01
    assert inside.min() > 0.76 and inside.max() < 0.84


def test_level_and_polarity_do_not_matter(whole, portrait):
    quiet = whole(Recording(-0.05 * babble(3.0), name="quiet"))
    np.testing.assert_allclose(quiet.parameters, portrait.parameters, atol=2e-2)


def test_save_writes_all_files(portrait, tmp_path):
    paths = portrait.save(tmp_path / "new" / "folder")
    assert {path.name for path in paths.values()} == {
        *("mesh.obj", "mesh.ply", "mesh.glb", "preview.png", "report.json")
    }
    assert all(path.stat().st_size > 100 for path in paths.values())
    assert np.asarray(Image.open(paths["png"])).std() > 1
    report = json.loads(paths["json"].read_text())
    assert report["recording"] == "babble.wav"
    assert report["sex"]["nearest"] == portrait.sex
    assert len(report["parameters"]) == 51
    assert {"finding speech", "listening", "building the face", "total"} <= set(report["timings_s"])
    assert report["measurements"][0]["name"] == LENGTHS[0]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_interrupted_portrait_leaves_nothing_half_written(portrait, tmp_path, monkeypatch, stop):
    def write(mesh, path, hair=None):
        path.write_text("half")
        if path.suffix == ".glb":
            raise stop

    small = np.zeros((8, 8, 3), np.uint8)  # what is on the picture does not matter here
    monkeypatch.setattr(portraits.Portrait, "picture", lambda self, size, yaw: small)
    portrait.save(tmp_path / "before")
    before = {path.name: path.read_bytes() for path in (tmp_path / "before").iterdir()}
    monkeypatch.setattr(portraits.export, "write", write)
    for folder in ("before", "new"):
        with pytest.raises(stop):
            portrait.save(tmp_path / folder)
    assert {p.name: p.read_bytes() for p in (tmp_path / "before").iterdir()} == before
    assert not list((tmp_path / "new").iterdir())


def test_silence_is_refused(whole):
    with pytest.raises(UnusableRecording):
        whole(Recording(np.zeros(32_000, np.float32), name="silence"))


def test_bundle_without_statistics_still_shows_a_face(tmp_path):
    folder = write_bundle(tmp_path)
    manifest = json.loads((folder / "bundle.json").read_text())
    for part in ("cmp-statistics", "voice-traits"):
        del manifest["parts"][part]
    (folder / "bundle.json").write_text(json.dumps(manifest))
    bare = voicemesh.load(folder, "cpu")
    seen = bare(Recording(babble(2.0), name="babble"))
    assert seen.sex == "" and seen.face_type == "" and seen.uncertainty is None
    assert seen.pitch_hz is None and seen.measurements[0].mean is None
    assert np.isfinite(bare.average().vertices).all()
    json.dumps(seen.report())


def test_warm_up_runs_every_stage(whole):
    whole.warm_up()
    assert whole.openness.shape == (len(whole.average().vertices),)


def test_public_names():
    assert voicemesh.load is pipeline.load and voicemesh.Recording is Recording
    for name in voicemesh.__all__:
        public = getattr(voicemesh, name)
        assert public.__name__ == name and public.__doc__ and name in dir(voicemesh)
    with pytest.raises(AttributeError, match="Pipeline, Portrait, Recording, "):
        _ = voicemesh.portray


def test_rooms_are_there_without_an_import_of_their_own():
    script = (
        "import sys, voicemesh\n"
        "assert 'torch' not in sys.modules and not hasattr(voicemesh, 'cellar')\n"
        "assert voicemesh.gallery.__name__ == 'voicemesh.gallery'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_everything_is_told_in_a_line(whole, portrait, recordings):
    told = f"{portrait.pitch_hz.value:.0f} Hz, {portrait.speech_seconds:.1f} s of speech"
    assert repr(portrait) == f"Portrait('babble.wav': {portrait.sex}, {told})"
    assert repr(portrait.recording) == "Recording('babble.wav', 3.0 s)"
    assert repr(whole) == "Pipeline('Untrained nets' on cpu)"
    assert repr(whole.bundle).startswith("Bundle('untrained', ")
    assert repr(portrait.face).startswith(f"FaceMesh({len(portrait.face.vertices)} vertices, ")
    assert f"{SHAPES} shape, 10 expression parameters" in repr(whole.system.face_model)
    assert repr(whole.compare(portrait, portrait)) == "Comparison(0.00 mm apart)"
    told = repr(whole.several(recordings))
    assert told.startswith("Several(3 recordings, ") and "Portrait('0.wav + 1.wav + " in told


def test_a_path_is_as_good_as_a_recording(whole, portrait, tmp_path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, portrait.recording.waveform, SAMPLE_RATE, subtype="FLOAT")
    for given in (path, str(path)):
        again = whole(given, picture=False)
        np.testing.assert_allclose(again.parameters, portrait.parameters, atol=1e-5)
        assert again.recording.name == "voice.wav"
    with pytest.raises(ValueError, match=r"There is no file nowhere\.wav"):
        whole(tmp_path / "nowhere.wav")
    of_paths = whole.several([path, str(path)])
    assert of_paths.between < 1e-4 and of_paths.each[1].recording.name == "voice.wav"
    assert whole.compare(path, portrait).distance < 1e-3


@pytest.fixture(scope="module")
def repeated(tmp_path_factory) -> pipeline.Pipeline:
    """A pipeline that knows how readings of one voice vary."""
    folder = write_bundle(tmp_path_factory.mktemp("repeats"))
    session, person = 0.1 * torch.eye(SHAPES), torch.eye(SHAPES)
    known = Repeats(session, person).tensors() | Repeats(
        torch.diag(torch.tensor([0.1, 0.01, 0.05, 0.5])), torch.eye(4)
    ).tensors(TRAITS)
    known |= {"same_distance": torch.linspace(0, 4, 5), "other_distance": torch.linspace(1, 9, 5)}
    BundleWriter(folder, "untrained").tensors("cmp-repeats", known)
    return voicemesh.load(folder, "cpu")


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    notes = (), ("It clips.",), ()
    return [
        Recording(babble(2.0, 110 + 40 * k, k), name=f"{k}.wav", notes=notes[k]) for k in range(3)
    ]


def test_several_recordings_become_one_that_is_surer(repeated, recordings):
    several = repeated.several(recordings)
    each = np.stack([portrait.parameters for portrait in several.each])
    np.testing.assert_allclose(several.fused.parameters, each.mean(0), atol=1e-5)
    alone, fused = several.each[0], several.fused
    for one, other in zip(alone.measurements, fused.measurements, strict=True):
        assert 0.5 * (one.high - one.low) < other.high - other.low < one.high - one.low
    assert (fused.uncertainty < alone.uncertainty).all()
    pitches = [portrait.pitch_hz.value for portrait in several.each]
    assert np.isclose(fused.pitch_hz.value, np.exp(np.mean(np.log(pitches))), rtol=1e-4)
    for name, half, scale, session in (
        ("pitch_hz", 0.1, 0.31, 0.01),
        ("tract_cm", 0.05, 0.09, 0.05),
    ):
        one, other = getattr(alone, name), getattr(fused, name)
        assert np.log(one.high / one.value) == pytest.approx(half, rel=1e-4)
        left = (half / 1.2816) ** 2 - 2 / 3 * session * scale**2  # of three, two thirds are gone
        assert np.log(other.high / other.value) == pytest.approx(1.2816 * left**0.5, rel=1e-3)
    assert 0 < several.narrower < 0.5
    assert fused.speech_seconds == pytest.approx(sum(p.speech_seconds for p in several.each))
    assert fused.recording.name == "0.wav + 1.wav + 2.wav"
    heard = np.concatenate([portrait.speech for portrait in several.each])
    np.testing.assert_array_equal(fused.speech, heard)
    assert fused.log_mel.shape[1] == sum(portrait.log_mel.shape[1] for portrait in several.each)
    assert fused.notes == ("1.wav: It clips.",)


def test_agreement_is_in_millimetres(repeated, recordings):
    several = repeated.several(recordings)
    model = repeated.system.face_model
    meshes = model.vertices(torch.stack([repeated.shape_of(p.parameters) for p in several.each]))
    apart = (meshes - meshes.mean(0)).norm(dim=2)
    np.testing.assert_allclose(several.apart, apart.square().mean(0).sqrt(), rtol=1e-3)
    np.testing.assert_allclose(several.distances, apart.square().mean(1).sqrt(), rtol=1e-3)
    pair = (meshes[0] - meshes[1]).square().sum(1).mean().sqrt()
    two = repeated.several(recordings[:2])
    assert two.between == pytest.approx(float(pair), rel=1e-3)
    assert two.usual.same == pytest.approx(min(two.between / 4, 1), abs=1e-3)
    assert two.usual.other == pytest.approx(np.clip((two.between - 1) / 8, 0, 1), abs=1e-3)
    assert two.narrower == pytest.approx(1 - np.mean(narrowed(two)), abs=1e-3)
    told = json.loads(json.dumps(several.report()))["agreement"]
    assert told["recordings"] == ["0.wav", "1.wav", "2.wav"]
    assert told["between_mm"] == pytest.approx(several.between, abs=1e-4)


def narrowed(several) -> list[float]:
    """What is left of each length's interval."""
    rows = zip(several.fused.measurements, several.each[0].measurements, strict=True)
    return [(fused.high - fused.low) / (alone.high - alone.low) for fused, alone in rows]


def test_one_voice_twice_agrees(whole, recordings):
    several = whole.several([recordings[0], recordings[0]])
    assert several.between == pytest.approx(0, abs=1e-3)
    assert several.narrower is None and several.usual is None  # the bundle does not know
    with pytest.raises(UnusableRecording, match="Two or more"):
        whole.several(recordings[:1])


def test_two_voices_are_compared_part_by_part(repeated, recordings):
    first, second = (repeated(one) for one in recordings[:2])
    comparison = repeated.compare(first, second)
    model = repeated.system.face_model
    heads = [model.vertices(repeated.shape_of(one.parameters)) for one in (first, second)]
    apart = (heads[0] - heads[1]).square().sum(1).mean().sqrt()
    assert comparison.distance == pytest.approx(float(apart), rel=1e-3)
    np.testing.assert_allclose(comparison.first.vertices, heads[0], atol=1e-3)
    onto = comparison.second.vertices - comparison.first.vertices
    normals = vertex_normals(comparison.first.vertices, comparison.first.triangles)
    np.testing.assert_allclose(comparison.outward, (onto * normals).sum(1), atol=1e-3)
    held = torch.cat([at for name, at in repeated.parts.items() if name not in ("Ears", "Skull")])
    before = (heads[0] - heads[1])[held].square().sum(1).mean()
    assert np.square(onto[held]).sum(1).mean() < 0.999 * float(before)
    part = max(comparison.parts, key=lambda part: part.distance)
    at = repeated.parts[part.name]
    assert part.distance == pytest.approx(np.linalg.norm(onto[at], axis=1).mean(), rel=1e-3)
    assert {part.name for part in comparison.parts} <= set(PARTS)
    assert all(part.distance >= abs(part.outward) - 1e-5 for part in comparison.parts)
    for row, told in zip(comparison.lengths, second.measurements, strict=True):
        assert (row.label, row.second) == (told.label, pytest.approx(told.value, abs=1e-3))
    assert json.dumps(comparison.report())
    same = repeated.compare(first, first)
    assert same.distance == 0 and np.abs(same.outward).max() < 1e-3

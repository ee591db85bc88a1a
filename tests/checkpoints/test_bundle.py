"""Bundles: written, opened, and everything that can be wrong with one."""

import json
from pathlib import Path

import pytest
import torch

from voicemesh.checkpoints import bundle
from voicemesh.checkpoints.bundle import MANIFEST, Bundle, BundleWriter
from voicemesh.mesh.morphable import Measure, MorphableModel
from voicemesh.nets.cmp import SupervisedHead

ARGUMENTS = {"embedding": 6, "shape_params": 4, "expression_params": 2}


@pytest.fixture
def head() -> SupervisedHead:
    return SupervisedHead(**ARGUMENTS).eval()


@pytest.fixture
def folder(tmp_path, head):
    writer = BundleWriter(tmp_path / "bundle", "small", title="Small", notes=("made by a test",))
    writer.net("cmp-supervised-head", head, ARGUMENTS, licence="MIT", results={"error": 0.5})
    writer.tensors("cmp-statistics", {"mean": torch.arange(3.0)}, training="none")
    return tmp_path / "bundle"


def edit(folder, change):
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_what_was_written_is_opened(folder, head):
    bundle = Bundle.open(folder)
    unit = torch.randn(3, 6)
    torch.testing.assert_close(bundle.net("cmp-supervised-head")(unit), head(unit))
    assert bundle.tensors("cmp-statistics")["mean"].tolist() == [0, 1, 2]
    assert (bundle.name, bundle.title, bundle.notes) == ("small", "Small", ("made by a test",))
    part = bundle.part("cmp-supervised-head")
    assert (part.licence, part.results, part.network) == ("MIT", {"error": 0.5}, "SupervisedHead")


def test_half_precision_is_smaller_and_widened_when_read(folder, head):
    whole = (folder / "cmp-supervised-head.safetensors").stat().st_size
    BundleWriter(folder, "small").net("cmp-supervised-head", head, ARGUMENTS, half=True)
    assert (folder / "cmp-supervised-head.safetensors").stat().st_size < whole
    net, unit = Bundle.open(folder).net("cmp-supervised-head"), torch.randn(3, 6)
    torch.testing.assert_close(net(unit), head(unit), rtol=2e-3, atol=2e-3)
    stored = Bundle.open(folder).tensors("cmp-supervised-head")
    kinds = {value.ndim: value.dtype for value in stored.values()}
    assert kinds == {1: torch.float32, 2: torch.float16}  # what is small stays as it is


def test_a_writer_goes_on_with_the_parts_that_are_there(folder):
    BundleWriter(folder, "small").tensors("more", {"a": torch.ones(1)})
    bundle = Bundle.open(folder)
    assert sorted(bundle.parts) == ["cmp-statistics", "cmp-supervised-head", "more"]
    assert (bundle.title, bundle.notes) == ("Small", ("made by a test",))
    BundleWriter(folder, "other", title="Other", notes=())
    bundle = Bundle.open(folder)
    assert (bundle.name, bundle.title, bundle.notes) == ("other", "Other", ())


def test_a_part_tells_what_it_was_fitted_to(tmp_path):
    writer = BundleWriter(tmp_path, "small")
    writer.tensors("voicestyle-members", {"w": torch.ones(1)})  # of one run, whatever comes first
    writer.tensors("stylegan2-generator", {"a": torch.zeros(1)})
    parts = Bundle.open(tmp_path).parts
    generator = parts["stylegan2-generator"]
    assert parts["voicestyle-members"].fitted_to == {"stylegan2-generator": generator.sha256}
    written = json.loads((tmp_path / MANIFEST).read_text())["parts"]
    assert "fitted_to" not in written["stylegan2-generator"]


def test_a_part_beside_another_net_than_its_own_is_refused(tmp_path):
    writer = BundleWriter(tmp_path, "small")
    writer.tensors("stylegan2-generator", {"a": torch.zeros(1)})
    writer.tensors("stylegan2-statistics", {"mean": torch.ones(1)})
    BundleWriter(tmp_path, "small").tensors("stylegan2-generator", {"a": torch.ones(1)})
    opened = Bundle.open(tmp_path)
    assert opened.unfit("stylegan2-statistics") == ["stylegan2-generator"]
    assert not opened.unfit("stylegan2-generator") and opened.tensors("stylegan2-generator")
    told = r"'stylegan2-statistics' of 'small' was fitted to another stylegan2-generator"
    with pytest.raises(ValueError, match=told):
        opened.tensors("stylegan2-statistics")
    edit(tmp_path, lambda manifest: manifest["parts"]["stylegan2-statistics"].pop("fitted_to"))
    assert Bundle.open(tmp_path).tensors("stylegan2-statistics")  # written before anybody told
    writer.forget("stylegan2-generator")
    assert Bundle.open(tmp_path).tensors("stylegan2-statistics")


def test_what_was_fitted_to_the_nets_of_another_bundle_tells_so(tmp_path):
    for name in ("mine", "theirs"):
        tensors = {"a": torch.full((1,), float(len(name)))}
        BundleWriter(tmp_path / name, name).tensors("cmp-voice-encoder", tensors)
    source = Bundle.open(tmp_path / "theirs")
    writer = BundleWriter(tmp_path / "mine", "mine", fitted_in=source)
    writer.tensors("cmp-feature-encoder", {"b": torch.ones(1)})
    assert writer.bundle.unfit("cmp-feature-encoder") == ["cmp-voice-encoder"]
    writer.tensors("cmp-voice-encoder", {"a": torch.zeros(1)})  # comes with one of its own
    assert not writer.bundle.unfit("cmp-feature-encoder")


@pytest.mark.parametrize("wrong", [["head"], {"head": 3}])
def test_what_a_part_was_fitted_to_is_told_as_it_should(folder, wrong):
    edit(folder, lambda manifest: manifest["parts"]["cmp-statistics"].update(fitted_to=wrong))
    with pytest.raises(ValueError, match=r"is no bundle manifest: .*'cmp-statistics'"):
        Bundle.open(folder)


def test_the_face_model_is_a_part(folder):
    model = MorphableModel(
        name="cloud",
        mean=torch.randn(70, 3),
        shape_basis=torch.randn(70, 3, 2),
        expression_basis=torch.randn(70, 3, 1),
        shape_mean=torch.zeros(2),
        shape_deviation=torch.ones(2),
        expression_mean=torch.zeros(1),
        expression_deviation=torch.ones(1),
        triangles=torch.tensor([[0, 1, 2]]),
        landmarks=torch.arange(68),
        measures={"width": Measure((1, 2))},
    )
    BundleWriter(folder, "small").face_model(model)
    read = Bundle.open(folder).face_model()
    torch.testing.assert_close(read.mean, model.mean)
    assert read.measures == model.measures
    with pytest.raises(ValueError, match="holds no net, not a MorphableModel"):
        Bundle.open(folder).face_model("cmp-statistics")


@pytest.mark.parametrize(
    "file",
    ["../evil.safetensors", "/etc/passwd", "a/b.safetensors", "x.pkl", "", "..\\x.safetensors"],
)
def test_file_names_that_leave_the_folder(folder, file):
    edit(folder, lambda manifest: manifest["parts"]["cmp-statistics"].update(file=file))
    with pytest.raises(ValueError, match=r"is no plain name of a \.safetensors file"):
        Bundle.open(folder)


def test_an_altered_file_is_refused(folder):
    path = folder / "cmp-statistics.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cmp-statistics\.safetensors is not the file"):
        Bundle.open(folder)


def test_a_missing_file_is_named(folder):
    (folder / "cmp-statistics.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks the file .*cmp-statistics\.safetensors"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda m: m.update(format=2), "is of format 2; this reads 1"),
        (lambda m: m.pop("format"), "is of format None; this reads 1"),
        (lambda m: m.pop("parts"), "is no bundle manifest: 'parts'"),
        (lambda m: m.pop("title"), "is no bundle manifest: .*title"),
        (lambda m: m["parts"]["cmp-statistics"].update(code="x"), "is no bundle manifest: .*code"),
        (lambda m: m["parts"]["cmp-supervised-head"].update(network="os"), "no net 'os'"),
        (lambda m: m["parts"]["cmp-supervised-head"].update(network=["a"]), "network .* no text"),
        (lambda m: m["parts"]["cmp-supervised-head"].update(file=7), "file of .* is no text: 7"),
        (lambda m: m["parts"]["cmp-supervised-head"].update(arguments=[1]), "is no object"),
        (lambda m: m.update(gallery=3), "gallery is no text"),
        (lambda m: m.update(notes=["a", 3]), "a note is no text: 3"),
        (lambda m: m.update(code="x"), "is no bundle manifest: unknown code"),
        (lambda m: m.update(gallery=".."), "'..' is no plain name of a folder"),
        (
            lambda m: m["parts"]["cmp-supervised-head"]["arguments"].update(embedding=10**15),
            "SupervisedHead cannot be built from .* far more values than the 49 that the file",
        ),
        (
            lambda m: m["parts"]["cmp-supervised-head"]["arguments"].update(embedding=-1),
            "SupervisedHead cannot be built from .*-1",
        ),
        (
            lambda m: m["parts"]["cmp-supervised-head"]["arguments"].update(embedding="6"),
            "SupervisedHead cannot be built from",
        ),
        (lambda m: m["parts"]["cmp-supervised-head"]["arguments"].update(embedding=9), "shape"),
    ],
)
def test_manifests_that_are_wrong(folder, change, fault):
    edit(folder, change)
    with pytest.raises(ValueError, match=fault):
        Bundle.open(folder).net("cmp-supervised-head")


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"{", b"\xff\xfe", b"[" * 100_000])
def test_manifests_that_are_none(folder, text):
    (folder / MANIFEST).write_bytes(text)
    with pytest.raises(ValueError, match=r"is no bundle manifest|of format"):
        Bundle.open(folder)


def test_parts_by_name(folder):
    bundle = Bundle.open(folder)
    with pytest.raises(ValueError, match="no part 'voice'; it has cmp-statistics, cmp-supervised"):
        bundle.tensors("voice")
    with pytest.raises(ValueError, match="holds numbers, not a network"):
        bundle.net("cmp-statistics")


def test_a_folder_without_manifest(tmp_path):
    with pytest.raises(ValueError, match=r"is no bundle: it has no bundle\.json"):
        Bundle.open(tmp_path)
    with pytest.raises(ValueError, match=r"There is no folder .*/gone: a bundle is a folder or"):
        Bundle.open(tmp_path / "gone")
    (tmp_path / "bundle.json").touch()
    with pytest.raises(ValueError, match=r"is a file: a bundle is the folder that holds"):
        Bundle.open(tmp_path / "bundle.json")


def test_large_files_are_refused_on_request(tmp_path, head):
    writer = BundleWriter(tmp_path / "bundle", "small", largest=1000)
    with pytest.raises(ValueError, match=r"takes 1,\d+ bytes.* at most 1,000"):
        writer.tensors("big", {"a": torch.zeros(300)})
    assert not list((tmp_path / "bundle").glob("*.safetensors"))
    BundleWriter(tmp_path / "bundle", "small", largest=None).tensors("big", {"a": torch.zeros(300)})


def test_a_torn_write_leaves_the_bundle_as_it_was(folder, monkeypatch):
    def full(path, content):
        path.open("wb").write(content[:10])
        raise OSError(28, "No space left on device")

    writer = BundleWriter(folder, "small")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        writer.tensors("cmp-statistics", {"mean": torch.zeros(9)})
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    Bundle.open(folder)


def test_an_installation_without_the_embedded_bundle_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "EMBEDDED", tmp_path / "assets" / "bundle")
    with pytest.raises(ValueError, match="comes with a checkout"):
        Bundle.open()

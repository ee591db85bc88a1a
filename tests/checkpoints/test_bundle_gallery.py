"""A bundle's gallery: copied in, verified when the bundle is opened, and fetched with it."""

import json
import shutil

import numpy as np
import pytest
import torch
from gallery.toys import entries, written

from voicemesh.checkpoints.bundle import MANIFEST, Bundle, BundleWriter
from voicemesh.checkpoints.hub import PATTERNS
from voicemesh.checkpoints.manifest import complete
from voicemesh.gallery.gallery import Gallery


@pytest.fixture
def gallery(tmp_path, rng):
    return written(tmp_path / "people", entries(rng, people=3))


@pytest.fixture
def folder(tmp_path, gallery):
    writer = BundleWriter(tmp_path / "bundle", "small")
    writer.tensors("numbers", {"a": torch.ones(2)})
    writer.gallery(gallery.folder)
    return tmp_path / "bundle"


def test_the_gallery_is_opened_where_the_bundle_is(folder, gallery):
    shutil.rmtree(gallery.folder)
    bundle = Bundle.open(folder)
    opened = Gallery.open(bundle.gallery_folder)
    assert (len(opened), bundle.gallery) == (9, "gallery")
    BundleWriter(folder, "small").tensors("more", {"b": np.pi * torch.ones(1)})
    assert Bundle.open(folder).gallery_folder == bundle.gallery_folder  # it stays


def test_a_bundle_without(tmp_path):
    BundleWriter(tmp_path, "small")
    assert Bundle.open(tmp_path).gallery_folder is None
    assert "gallery" not in json.loads((tmp_path / MANIFEST).read_text())


def test_another_gallery_takes_its_place(folder, tmp_path, rng):
    other = written(tmp_path / "others", entries(rng, people=2))
    writer = BundleWriter(folder, "small")
    writer.gallery(other.folder)
    writer.gallery(folder / "gallery")  # what is there already stays
    names = {path.name for path in (folder / "gallery").iterdir()}
    assert names == {path.name for path in other.folder.iterdir()}
    assert len(Gallery.open(Bundle.open(folder).gallery_folder)) == 6


def test_an_altered_or_missing_gallery_is_refused(folder):
    (some,) = (folder / "gallery").glob("sss-faces*")
    assert complete(folder)
    some.rename(folder / "elsewhere")
    assert not complete(folder)
    with pytest.raises(ValueError, match=r"'small' lacks .*sss-faces"):
        Bundle.open(folder)
    (folder / "elsewhere").rename(some)
    manifest = folder / "gallery" / "gallery.json"
    text = manifest.read_text()
    manifest.write_text(text.replace("Toys", "Joys"))
    with pytest.raises(ValueError, match="is not the gallery that the bundle describes: sha256"):
        Bundle.open(folder)
    manifest.unlink()
    assert not complete(folder)
    with pytest.raises(ValueError, match=r"lacks the file .*gallery\.json"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["../people", "/tmp", "a/b", "..\\x"])
def test_names_that_leave_the_bundle(folder, name):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"gallery": name}))
    with pytest.raises(ValueError, match="is no plain name of a folder"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\\b"])
def test_files_outside_a_gallery_are_not_copied_with_it(folder, gallery, name):
    path = gallery.folder / "gallery.json"
    told = json.loads(path.read_text())
    told["files"][name] = {}
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="is no plain name of a file"):
        BundleWriter(folder, "small").gallery(gallery.folder)
    assert complete(folder)


def test_files_too_large_for_git(folder, gallery):
    with pytest.raises(ValueError, match=r"bytes; a file of a bundle has at most 1,000: make a"):
        BundleWriter(folder, "small", largest=1000).gallery(gallery.folder)
    assert complete(folder)


def test_the_hub_fetches_it_too(folder):
    from huggingface_hub.utils import filter_repo_objects

    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    assert len(names) == 7
    names.append("gallery/sss-faces-cells-0123456789ab.safetensors")  # where people are very many
    assert set(filter_repo_objects(names, allow_patterns=PATTERNS)) == set(names)

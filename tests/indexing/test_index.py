"""A folder as a gallery: whole, interrupted and resumed, grown, and with files that are broken."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from indexing.pictures import picture
from PIL import Image

from voicemesh import images
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.cli import main
from voicemesh.gallery.gallery import Gallery
from voicemesh.indexing import index as indexing
from voicemesh.indexing.sources import of_folder, of_table


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def indexed(folder, out, bundle):
    return indexing.index(folder, of_folder(folder), out, bundle, "cpu", crops=True)


def test_everything_is_embedded_as_the_systems_do(folder, tmp_path, bundle):
    gallery = indexed(folder, tmp_path / "out", bundle)
    assert (len(gallery), gallery.people, sorted(gallery.spaces)) == (6, 3, ["cmpc", "sss"])
    assert [gallery.entry(i).identity for i in range(6)] == ["ann"] * 3 + ["ben"] * 2 + ["carl"]
    system = indexing.spaces_of(bundle, "cpu")["sss"]
    crop = images.middle(images.read(folder / "ben/face.webp"))
    unit = system.embed_faces([crop])[0].numpy()
    rows = gallery.side("sss", "faces")
    np.testing.assert_allclose(rows.vectors[rows.entries == 3], unit[None], atol=1e-5)
    assert gallery.search(unit, "sss", count=1).numbers.tolist() == [3]
    assert gallery.picture(3).shape == crop.shape
    assert gallery.picture(4).shape == crop.shape  # a voice shows the face of its person
    rate, samples = gallery.voice(0)  # and a face lets its person's voice be heard
    assert rate == 16_000
    assert len(samples) == pytest.approx(1.6 * rate, abs=rate * 0.05)
    assert gallery.voice(5) is None


def test_an_interrupted_index_ends_with_the_same_bytes(folder, tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(indexing, "PART", 2)
    indexed(folder, tmp_path / "a" / "out", bundle)
    embedded, calls = indexing.embedded, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embedded(*given)

    monkeypatch.setattr(indexing, "embedded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        indexed(folder, tmp_path / "b" / "out", bundle)
    with pytest.raises(ValueError, match=r"is no gallery: it has no gallery\.json"):
        Gallery.open(tmp_path / "b" / "out")
    indexed(folder, tmp_path / "b" / "out", bundle)
    assert len(calls) == 4  # the two that were there are not embedded again
    assert content(tmp_path / "b" / "out") == content(tmp_path / "a" / "out")


def test_a_gallery_in_its_bundle_becomes_the_bundle_s_own(folder, tmp_path, bundle, capsys):
    whole = tmp_path / "whole"
    shutil.copytree(bundle.folder, whole)
    words = ["index", str(folder), "--crops", "--bundle", str(whole), "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "elsewhere")]) == 0
    assert Bundle.open(whole).gallery_folder is None
    assert main([*words, "--out", str(whole / "gallery")]) == 0
    assert Bundle.open(whole).gallery_folder == whole / "gallery"
    Image.fromarray(picture(9)).save(folder / "ben" / "again.png")
    assert main([*words, "--out", str(whole / "gallery")]) == 0  # what it has now is stated again
    assert len(Gallery.open(Bundle.open(whole).gallery_folder)) == 7
    assert Bundle.open(whole).title == bundle.title


def test_new_files_are_added_behind_the_old(folder, tmp_path, bundle):
    old = indexed(folder, tmp_path / "out", bundle)
    vectors = np.array(old.side("cmpc", "faces").vectors)
    (folder / "dora").mkdir()
    Image.fromarray(picture(9)).save(folder / "dora" / "face.png")
    gallery = indexed(folder, tmp_path / "out", bundle)
    assert (len(gallery), gallery.people) == (7, 4)
    assert gallery.entry(6).identity == "dora"
    np.testing.assert_array_equal(gallery.side("cmpc", "faces").vectors[:-1], vectors)
    assert gallery.picture(6) is not None and gallery.picture(0) is not None
    again = content(tmp_path / "out")
    assert again.keys() == {*gallery.manifest["files"], "gallery.json"}  # the old ones are gone
    indexed(folder, tmp_path / "out", bundle)
    assert content(tmp_path / "out") == again


def test_a_bad_file_is_named_and_tried_again(folder, tmp_path, bundle, capsys):
    (folder / "ben" / "bad.png").write_bytes(b"no picture")
    (folder / "ben" / "quiet.wav").write_bytes((folder / "ann" / "voice.wav").read_bytes()[:44])
    out = tmp_path / "out"
    where = str(bundle.folder)
    command = ["index", str(folder), "--out", str(out), "--bundle", where, "--crops"]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "ben/bad.png: bad.png cannot be read as a picture" in told.err
    assert "ben/quiet.wav: quiet.wav" in told.err
    assert "2 of 8 files could not be used" in told.err
    assert "6 entries of 3 people" in told.out
    Image.fromarray(picture(7)).save(folder / "ben" / "bad.png")
    (folder / "ben" / "quiet.wav").unlink()
    assert main(command) == 0
    assert len(Gallery.open(out)) == 7


def test_faces_are_looked_for_unless_pictures_are_crops(folder, tmp_path, bundle, monkeypatch):
    sources = of_folder(folder)
    gallery = indexing.index(folder, sources, tmp_path / "none", bundle)
    assert sorted(gallery.manifest["left_out"]) == [s.file for s in sources if not s.is_voice]
    assert gallery.manifest["left_out"]["carl.png"].startswith("No face was found on carl.png")

    class Found:
        crop = picture(5)

    monkeypatch.setattr(images, "find_face", lambda photograph, name: Found)
    gallery = indexing.index(folder, sources, tmp_path / "found", bundle)
    unit = indexing.spaces_of(bundle)["sss"].embed_faces([Found.crop])[0].numpy()
    np.testing.assert_allclose(gallery.side("sss", "faces").vectors[1], unit, atol=1e-5)


def test_nothing_that_could_be_used(tmp_path, bundle):
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"None of the 1 files in .* can be used: a\.png cannot"):
        indexed(folder, tmp_path / "out", bundle)


def test_a_table_names_people_and_what_is_known_of_them(folder, tmp_path, bundle):
    table = tmp_path / "people.csv"
    table.write_text(
        "file,identity,label,sex,age,licence\n"
        'ann/1.png,1,"Woman, 34",female,34,CC0\nben/face.webp,2,,m,,\ngone.png,3,,,,\n'
    )
    gallery = indexing.index(folder, of_table(table), tmp_path / "out", bundle, crops=True)
    entry = gallery.entry(0)
    assert (entry.identity, entry.label, entry.sex, entry.age) == ("1", "Woman, 34", "female", 34)
    assert (entry.licence, entry.file, gallery.entry(1).sex) == ("CC0", "ann/1.png", "male")
    assert gallery.manifest["left_out"] == {"gone.png": "There is no photograph gone.png"}


def test_other_nets_do_not_go_on(folder, tmp_path, bundle):
    from voicemesh.checkpoints.bundle import Bundle, BundleWriter

    out = tmp_path / "out"
    gallery = indexed(folder, out, bundle)
    gallery.check({name: part.sha256 for name, part in bundle.parts.items()})
    other = tmp_path / "other"
    shutil.copytree(bundle.folder, other)
    part = bundle.part("sss-face-encoder")
    net = bundle.net("sss-face-encoder")
    with torch.no_grad():
        next(net.parameters()).add_(1)
    BundleWriter(other, "other").net("sss-face-encoder", net, part.arguments)
    with pytest.raises(ValueError, match="was embedded by other nets"):
        indexed(folder, out, Bundle.open(other))
    changed = {name: part.sha256 for name, part in Bundle.open(other).parts.items()}
    with pytest.raises(ValueError, match="embedded in 'sss' by another sss-face-encoder"):
        gallery.check(changed)


def test_a_bundle_without_such_nets(folder, tmp_path):
    from bundles import write_bundle

    from voicemesh.checkpoints.bundle import Bundle

    with pytest.raises(ValueError, match="no nets that compare voices and faces; sss-voice-enc"):
        indexed(folder, tmp_path / "out", Bundle.open(write_bundle(tmp_path / "nets")))

"""Galleries on disk: what was written is read, by mapping; whatever is wrong is refused."""

import json
import tracemalloc
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import soundfile
from gallery.toys import NETS, entries, units, written

from voicemesh import images
from voicemesh.gallery import media
from voicemesh.gallery.files import mapped, write, write_pieces
from voicemesh.gallery.folder import MANIFEST, FolderGallery
from voicemesh.gallery.gallery import Gallery
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter
from voicemesh.whole_files import sha256_of


@pytest.fixture
def people(rng):
    found = entries(rng, people=6, pictures=2)
    shown = rng.integers(0, 256, (30, 20, 3), np.uint8)
    found[0] = replace(found[0], picture=media.picture_bytes(shown))
    sound = 0.5 * np.sin(np.arange(16_000) * 0.1)
    found[3] = replace(found[3], voice=media.voice_bytes(sound))
    found[4] = replace(found[4], shape_params=np.arange(5, dtype=np.float32))
    return found


@pytest.fixture
def folder(tmp_path, people):
    return written(tmp_path / "gallery", people).folder


def named(folder, start):
    (path,) = folder.glob(f"{start}*")
    return path


def edit(folder, change):
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_entries_are_those_that_were_given(folder, people):
    gallery = Gallery.open(folder)
    assert (len(gallery), gallery.people, gallery.title) == (12, 6, "Toys")
    assert repr(gallery) == "FolderGallery('toys', 12 entries)"
    assert "JFIF" not in repr(gallery.entry(0))
    for number, told in enumerate(people):
        found = gallery.entry(number)
        for name in ("identity", "label", "sex", "age", "file", "source", "licence"):
            assert getattr(found, name) == getattr(told, name)
        assert (found.picture, found.voice) == (told.picture, told.voice)
        if number == 4:
            np.testing.assert_array_equal(found.shape_params, told.shape_params)
        else:
            assert found.shape_params is None
    assert gallery.numbers("p2") == [4, 5]
    assert gallery.numbers("eve") == []
    with pytest.raises(ValueError, match="No entry 12; 'toys' has 12"):
        gallery.entry(12)


def test_pictures_and_voices_of_the_same_person(folder):
    gallery = Gallery.open(folder)
    assert gallery.picture(1).shape == (30, 20, 3)  # that of entry 0
    assert gallery.picture(2) is None
    rate, samples = gallery.voice(2)  # that of entry 3
    assert (rate, len(samples)) == (16_000, 16_000)
    loudest = np.abs(np.fft.rfft(samples.astype(float))).argmax()
    assert loudest == pytest.approx(0.1 * 16_000 / (2 * np.pi), abs=2)


def decoded(content):
    samples, rate = soundfile.read(BytesIO(content), dtype="float32")
    assert rate == 16_000
    return samples


def test_voices_are_kept_as_loud_as_they_were_and_end_softly():
    turn = 2 * np.pi * 440 * np.arange(8 * 16_000) / 16_000
    found, told = decoded(media.voice_bytes(0.5 * np.cos(turn))), 0.5 * np.cos(turn[:96_000])
    assert len(found) == 96_000  # six seconds of eight
    middle = slice(16_000, 80_000)
    assert found[middle].std() == pytest.approx(told[middle].std(), rel=0.05)
    for end in (slice(0, 32), slice(-32, None)):  # two milliseconds
        assert np.abs(found[end]).max() < 0.2 < np.abs(told[end]).max()
    loud = decoded(media.voice_bytes(1.5 * np.cos(turn)))[middle]  # cut off, not wrapped around
    assert np.corrcoef(loud, told[middle])[0, 1] > 0.95


def test_large_pictures_are_scaled_down_and_keep_their_shape(rng):
    shown = np.full((400, 200, 3), 90, np.uint8)
    shown[:200] = 200
    found = images.read(media.picture_bytes(shown))
    assert found.shape == (160, 80, 3)
    assert abs(found[:70].mean() - 200) < 4 and abs(found[90:].mean() - 90) < 4
    assert images.read(media.picture_bytes(shown[:30, :20])).shape == (30, 20, 3)


def test_embeddings_are_mapped_and_not_read(tmp_path, rng):
    wide = units(rng, 50, 10_000)
    new = [NewEntry(f"p{row}", units={("sss", "faces"): unit}) for row, unit in enumerate(wide)]
    gallery = written(tmp_path / "large", new)
    size = named(gallery.folder, "sss-faces").stat().st_size
    tracemalloc.start()
    opened = FolderGallery(gallery.folder, verify=False)
    assert isinstance(opened.side("sss", "faces").vectors.base, np.memmap)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < size / 10


@pytest.mark.parametrize("start", ["entries", "sss-faces", "pictures", "voices", "strangers"])
def test_an_altered_file_is_refused(folder, start):
    path = named(folder, start)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not the file that the gallery describes: sha256"):
        Gallery.open(folder)
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"has [\d,]+ bytes, stated [\d,]+; copy the gallery"):
        Gallery.open(folder, verify=False)
    path.unlink()
    with pytest.raises(ValueError, match=rf"lacks the file {start}"):
        Gallery.open(folder, verify=False)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda m: m.update(format=9), "is of format 9; this reads 1"),
        (lambda m: m.pop("spaces"), "is no gallery manifest: 'spaces'"),
        (lambda m: m.pop("format"), "is no gallery manifest: 'format'"),
        (lambda m: m.update(pictures=3), "is no gallery manifest"),
        (lambda m: m["files"].update({"../x": {}}), "'../x' is no plain name of a file"),
        (lambda m: m["entries"].update(file="other"), "gives no sha256 of 'other'"),
        (lambda m: m["entries"].update(count=3), "do not have 3 entries each"),
        (lambda m: m["spaces"]["sss"].update(width=9), "not the rows of 'sss'"),
    ],
)
def test_manifests_that_are_wrong(folder, change, fault):
    edit(folder, change)
    with pytest.raises(ValueError, match=fault):
        Gallery.open(folder)


def rewritten(folder, start, change):
    """A file of the gallery changed, and stated as it is now."""
    path = named(folder, start)
    arrays = {name: array.copy() for name, array in mapped(path).items()}
    change(arrays)
    write(path, arrays)
    stated = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    edit(folder, lambda manifest: manifest["files"].update({path.name: stated}))


@pytest.mark.parametrize(
    ("start", "change", "fault"),
    [
        ("entries", lambda a: a.update(sex=a["sex"] + 7), "name sexes that there are not"),
        ("pictures", lambda a: a.update(entries=np.arange(2, dtype=np.int32)), "for each of its"),
        ("sss-faces", lambda a: a["entries"].__setitem__(0, -1), "entries that 'toys' does not"),
        ("sss-faces", lambda a: a["entries"].__setitem__(3, 12), "entries that 'toys' does not"),
        ("sss-faces", lambda a: a.update(vectors=a["vectors"][:5]), "not the rows of 'sss'"),
        ("entries", lambda a: a["label.ends"].__setitem__(0, 999), "'label' do not lie inside"),
    ],
)
def test_files_that_contradict_themselves(folder, start, change, fault):
    rewritten(folder, start, change)
    with pytest.raises(ValueError, match=fault):
        Gallery.open(folder)


def test_files_of_somebody_else_are_never_taken_for_leftovers(tmp_path):
    other = tmp_path / "weights.safetensors"
    other.write_bytes(b"of somebody else")
    with pytest.raises(ValueError, match=r"no gallery and not empty: it has weights\.safetensors"):
        GalleryWriter(tmp_path, "small", NETS)
    assert other.read_bytes() == b"of somebody else"


def test_folders_that_are_no_galleries(tmp_path, folder):
    with pytest.raises(ValueError, match=r"is no gallery: it has no gallery\.json"):
        Gallery.open(tmp_path / "nowhere")
    for text in ("", "[]", "{", "3"):
        (folder / MANIFEST).write_text(text)
        with pytest.raises(ValueError, match="is no gallery manifest"):
            Gallery.open(folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"is no gallery and not empty: it has thesis\.txt"):
        GalleryWriter(tmp_path / "mine", "toys", NETS)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"identity": ""}, "an entry needs an identity"),
        ({"sex": "woman"}, "the sex is 'woman'; give female, male or nothing"),
        ({"units": {("cmpc", "faces"): np.ones(1)}}, "no 'faces' in 'cmpc'; spaces are sss"),
        ({"units": {("sss", "faces"): np.ones(2)}}, "its vector in 'sss' is not of length 1"),
        ({"units": {("sss", "faces"): np.full(2, np.nan)}}, "is not of length 1"),
    ],
)
def test_entries_that_no_gallery_could_keep(tmp_path, change, fault):
    writer = GalleryWriter(tmp_path / "gallery", "toys", NETS)
    with pytest.raises(ValueError, match=fault):
        writer.add("one", [replace(NewEntry("ann", file="a.png"), **change)])
    with pytest.raises(ValueError, match=r"The parts one of .* are not there"):
        writer.finish(["one"])


def test_media_are_spread_over_files_of_limited_size(tmp_path, rng, monkeypatch):
    from voicemesh.gallery import joining

    monkeypatch.setattr(joining, "LARGEST_FILE", 250)
    new = [replace(e, picture=rng.bytes(100)) for e in entries(rng, people=5, pictures=1)]
    new[3] = replace(new[3], picture=None)
    gallery = written(tmp_path / "gallery", new)
    assert len(gallery.manifest["pictures"]) == 2
    for number, told in enumerate(new):
        assert gallery.entry(number).picture == told.picture


def test_writing_twice_gives_the_same_bytes(tmp_path, people, folder):
    again = written(tmp_path / "again", people).folder
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_arrays_that_do_not_lie_inside(tmp_path):
    path = tmp_path / "arrays.safetensors"
    write(path, {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "none": np.zeros((0, 4), "<f4")})
    found = mapped(path)
    np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])
    assert found["none"].shape == (0, 4)
    content = path.read_bytes()
    deep, huge = (
        b"[" * 50_000,
        b'{"a":{"dtype":"F32","shape":[0,%d],"data_offsets":[0,0]}}' % 10**30,
    )
    wrongs = [len(header).to_bytes(8, "little") + header for header in (deep, huge)]
    wrongs += [content[:-1], b"", content[:9], b"\xff" * 40, content.replace(b"I32", b"O32")]
    for wrong in wrongs:
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="is no readable file of a gallery"):
            mapped(path)


def test_pieces_that_do_not_fit_leave_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match=r"the pieces of 'a' do not make up \[3\]"):
        write_pieces(tmp_path / "a.safetensors", {"a": (np.dtype("f4"), (3,), [np.zeros(2)])})
    assert not list(tmp_path.iterdir())


def test_safetensors_reads_what_was_written(tmp_path, rng):
    from safetensors.numpy import load_file

    arrays = {"a": units(rng, 3), "b": np.arange(5, dtype=np.uint8), "c": np.arange(2)}
    write(tmp_path / "x.safetensors", arrays)
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)

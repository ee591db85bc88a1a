"""A Qdrant collection answers as the folder does that it was copied from."""

from dataclasses import replace

import numpy as np
import pytest
from gallery.toys import entries, units, written

from voicemesh.gallery import qdrant
from voicemesh.gallery.gallery import Gallery
from voicemesh.gallery.qdrant import QdrantGallery, upload

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local")
qdrant_client = pytest.importorskip("qdrant_client")


@pytest.fixture
def folder_gallery(tmp_path, rng):
    new = entries(rng, people=9)
    new[4] = type(new[4])(**{**vars(new[4]), "picture": b"a picture", "voice": b"a voice"})
    new[5] = type(new[5])(**{**vars(new[5]), "shape_params": np.arange(4, dtype=np.float32)})
    return written(tmp_path / "gallery", new)


@pytest.fixture
def client():
    return qdrant_client.QdrantClient(":memory:")


@pytest.fixture
def gallery(folder_gallery, client):
    return upload(folder_gallery, client, "people")


@pytest.mark.parametrize("side", ["faces", "voices"])
@pytest.mark.parametrize("sex", [None, "female", "male"])
def test_the_same_answers(gallery, folder_gallery, rng, side, sex):
    for unit in units(rng, 3):
        found, told = (g.search(unit, "sss", side, 5, sex) for g in (gallery, folder_gallery))
        for name, value in vars(told).items():
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-5, err_msg=name)
        for identity in ("p1", "p2"):
            answers = []
            for asked in (gallery, folder_gallery):
                try:
                    answers.append(asked.rank(unit, "sss", side, identity, sex))
                except ValueError as error:
                    answers.append(str(error))
            assert answers[0] == answers[1]


def test_the_same_entries(gallery, folder_gallery):
    assert (len(gallery), gallery.name, gallery.title) == (27, "toys", "Toys")
    assert gallery.spaces == folder_gallery.spaces
    for number in range(len(gallery)):
        found, told = vars(gallery.entry(number)), vars(folder_gallery.entry(number))
        shapes = found.pop("shape_params"), told.pop("shape_params")
        assert found == told
        np.testing.assert_array_equal(*shapes)
    assert gallery.numbers("p3") == [9, 10, 11]
    with pytest.raises(ValueError, match="No entry 27; 'toys' has 27"):
        gallery.entry(27)


def test_many_entries_of_a_person_some_without_a_voice(tmp_path, rng, client, monkeypatch):
    monkeypatch.setattr(qdrant, "AT_ONCE", 5)
    new = entries(rng, people=2, pictures=12)
    for row in (3, 23):
        new[row] = replace(new[row], units={("sss", "faces"): new[row].units["sss", "faces"]})
    kept = written(tmp_path / "gallery", new)
    gallery = upload(kept, client, "many")
    assert gallery.numbers("p1") == list(range(12, 24))
    for row, sides in ((3, ["faces"]), (4, ["faces", "voices"]), (23, ["faces"])):
        (point,) = client.retrieve("many", [row], with_vectors=True)
        assert sorted(point.vector) == [f"sss-{side}" for side in sides]
        np.testing.assert_allclose(point.vector["sss-faces"], new[row].units["sss", "faces"], 1e-5)
    for unit in units(rng, 5):
        found, told = (g.search(unit, "sss", "voices", 2) for g in (gallery, kept))
        np.testing.assert_array_equal(found.numbers, told.numbers)


def test_collections_that_are_none(client, gallery, folder_gallery):
    with pytest.raises(ValueError, match="Qdrant has no collection 'others'"):
        QdrantGallery(client, "others")
    with pytest.raises(ValueError, match="has a collection 'people' already"):
        upload(folder_gallery, client, "people")
    size = qdrant_client.models.VectorParams(size=2, distance=qdrant_client.models.Distance.DOT)
    client.create_collection("foreign", vectors_config=size)
    with pytest.raises(ValueError, match="'foreign' is of format None; this reads 1"):
        QdrantGallery(client, "foreign")


def test_addresses(monkeypatch, gallery):
    asked = []

    def answering(url):
        asked.append(url)
        return gallery.client

    monkeypatch.setattr(qdrant_client, "QdrantClient", answering)
    assert len(Gallery.open("https://example.org:6333/people")) == 27
    assert asked == ["https://example.org:6333"]
    for address in ("http://localhost:6333", "http://localhost:6333/a/b"):
        with pytest.raises(ValueError, match="names no collection; write http://host:port/coll"):
            Gallery.open(address)


@pytest.mark.filterwarnings("ignore:Failed to obtain server version")
def test_a_server_that_does_not_answer():
    with pytest.raises(ValueError, match=r"No Qdrant server answers at http://127\.0\.0\.1:1"):
        Gallery.open("http://127.0.0.1:1/people")

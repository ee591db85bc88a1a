"""Cells against comparing all: recall, filters, people with many pictures, and from disk."""

import faiss
import numpy as np
import pytest
from gallery.toys import NETS, units

from voicemesh.gallery import approximate
from voicemesh.gallery.files import mapped, write
from voicemesh.gallery.gallery import Gallery
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter

PEOPLE, PICTURES, WIDTH = 1500, 3, 12


@pytest.fixture(scope="module")
def vectors():
    """Three pictures of everyone around the person."""
    rng = np.random.default_rng(4)
    person = np.repeat(units(rng, PEOPLE, WIDTH), PICTURES, 0)
    rows = person + 0.1 * rng.standard_normal(person.shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def gallery(vectors, tmp_path_factory):
    writer = GalleryWriter(
        tmp_path_factory.mktemp("cells") / "gallery", "cells", NETS, exact_limit=1000
    )
    new = [
        NewEntry(
            f"p{row // PICTURES}",
            sex=("female", "male")[row // PICTURES % 50 == 7],
            units={("sss", "faces"): vectors[row]},
        )
        for row in range(len(vectors))
    ]
    writer.add("all", new)
    return writer.finish(["all"])


def test_the_exact_nearest(vectors):
    probes = vectors[::500]
    scores = probes @ vectors.T
    told = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    assert approximate.AT_ONCE > len(vectors)
    np.testing.assert_array_equal(approximate.exact_nearest(vectors, probes, 10), told)


def test_equals_among_the_nearest_come_by_their_number(rng):
    whole = rng.integers(-3, 4, (300, WIDTH)).astype(np.float32)  # so that sums are exact
    rows = np.repeat(whole, 5, 0)
    told = np.argsort(-(whole[:9] @ rows.T), axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(approximate.exact_nearest(rows, whole[:9], 5), told)


def test_the_exact_nearest_in_pieces(vectors, monkeypatch):
    whole = approximate.exact_nearest(vectors, vectors[:5], 10)
    monkeypatch.setattr(approximate, "AT_ONCE", 700)
    np.testing.assert_array_equal(approximate.exact_nearest(vectors, vectors[:5], 10), whole)


def test_recall_is_as_stated(vectors, gallery):
    side = Gallery.open(gallery.folder).side("sss", "faces")
    assert side.vectors.dtype == np.float16
    assert 0.97 <= side.recall.recall <= 1
    assert side.recall.visited < side.recall.cells == round(4 * len(vectors) ** 0.5)
    rng = np.random.default_rng(5)
    probes = vectors[rng.permutation(len(vectors))[:100]]
    exact = approximate.exact_nearest(side.vectors, probes, 10)
    found = approximate.recall_of(side.index, side.vectors, probes, exact, side.recall.visited)
    assert found >= 0.95


def test_an_index_is_kept_as_it_was(gallery, vectors, tmp_path):
    """The same cells and 8-bit rows: every distance of every probe to the last bit."""
    built, _ = approximate.build(vectors, vectors[:50])
    built.save(tmp_path / "cells.safetensors")
    opened = approximate.CellIndex.open(tmp_path / "cells.safetensors", 3, *vectors.shape)
    assert (opened.cells, opened.visited) == (built.cells, 3)
    for visited in (3, 40):
        settings = faiss.SearchParametersIVF(nprobe=visited)
        found, told = (i.index.search(vectors[:200], 9, params=settings) for i in (opened, built))
        np.testing.assert_array_equal(found[0], told[0])
        np.testing.assert_array_equal(found[1], told[1])


def change(name, at, value):
    def changed(arrays):
        arrays[name][at] = value

    return changed


@pytest.mark.parametrize(
    ("damage", "flaw"),
    [
        (change("numbers", 5, 4500), "do not hold every row once"),
        (change("numbers", 5, -1), "do not hold every row once"),
        (change("ends", -1, 10**12), "its cells do not hold the rows"),
        (change("ends", 0, -3), "its cells do not hold the rows"),
        (change("centres", (0, 0), np.nan), "not finite"),
        (lambda a: a.update(codes=a["codes"][:-1]), r"codes are uint8 of \(4499, 12\)"),
        (lambda a: a.update(scale=a["scale"][:3]), r"scale are float32 of \(3,\)"),
        (lambda a: a.pop("scale"), "it has centres, codes, ends, numbers"),
    ],
)
def test_a_strangers_index_is_checked_before_it_is_searched(gallery, tmp_path, damage, flaw):
    (path,) = gallery.folder.glob("sss-faces-cells-*.safetensors")
    arrays = {name: array.copy() for name, array in mapped(path).items()}
    damage(arrays)
    write(tmp_path / "cells.safetensors", arrays)
    with pytest.raises(ValueError, match=f"no index of 4500 rows of 12 values: .*{flaw}"):
        approximate.CellIndex.open(tmp_path / "cells.safetensors", 3, 4500, 12)


def test_fewer_cells_find_less(vectors, gallery):
    side = gallery.side("sss", "faces")
    exact = approximate.exact_nearest(side.vectors, vectors[:100], 10)
    few = approximate.recall_of(side.index, side.vectors, vectors[:100], exact, 1)
    every = approximate.recall_of(side.index, side.vectors, vectors[:100], exact, 10**6)
    assert few < 0.9 < 0.999 < every


def test_people_and_filters(vectors, gallery):
    side = gallery.side("sss", "faces")
    for row in (0, 22, 4000):
        found = gallery.search(vectors[row], "sss", count=5)
        assert found.numbers[0] == row
        assert len({gallery.entry(int(n)).identity for n in found.numbers}) == 5
        assert found.percentile[1] == pytest.approx(100 * (PEOPLE - 2) / (PEOPLE - 1))
        scores = side.vectors.astype(np.float32) @ vectors[row]
        men = np.flatnonzero(side.sex == 2)
        few = gallery.search(vectors[row], "sss", count=40, sex="male")
        assert (len(few), few.people) == (30, 30)  # all there are, though far from the probe
        assert few.numbers[0] == men[scores[men].argmax()]
        identity = gallery.entry(int(found.numbers[2])).identity
        assert gallery.rank(vectors[row], "sss", "faces", identity)[0] in (3, 4)

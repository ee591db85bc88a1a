"""The gallery of a population: its held-out people, and guests of the same law."""

import numpy as np
import pytest
from evaluation.toys import toy_face_model, toy_population

from voicemesh.indexing import population as indexing
from voicemesh.indexing.index import spaces_of
from voicemesh.population import portrait_set
from voicemesh.population.portrait_set import PortraitRecipe


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    return toy_population(tmp_path_factory.mktemp("people"), identities=2, validation=3)


@pytest.fixture(scope="module")
def portraits(population):
    recipe = PortraitRecipe(pictures=2, size=32, seed=3)
    return portrait_set.build(population, toy_face_model(), recipe)


def test_everyone_is_there_once_with_all_that_is_known(population, portraits, bundle, tmp_path):
    built = indexing.showcase(population, portraits, bundle, tmp_path / "out", title="People")
    assert (len(built), built.people, built.title) == (3, 3, "People")
    shown = portraits.gathered("validation")
    people, (heard,) = population.people, population.recordings("validation")
    told = {"faces": [], "voices": []}
    for number, person in enumerate(population.validation):
        entry = built.entry(number)
        assert entry.identity == f"{population.recipe.seed}-{person}"
        assert entry.sex == ("male", "female")[people.mode[person]]
        assert entry.label.endswith(f", {int(people.age[person])}")
        rows = shown.identity == person
        np.testing.assert_array_equal(entry.shape_params, shown.shape_params[rows][0])
        front = shown.pixels[rows & (shown.picture == 0)][0].astype(int)
        assert np.abs(built.picture(number).astype(int) - front).mean() < 8
        rate, samples = built.voice(number)
        assert len(samples) == pytest.approx(population.recipe.seconds * rate, rel=0.02)
        spoken = np.flatnonzero(heard.identity == person)
        alike = [np.corrcoef(samples, w[: len(samples)])[0, 1] for w in heard.waveform[spoken]]
        clean = heard.clean[spoken] & ~heard.raised[spoken]
        assert np.argmax(alike) in np.flatnonzero(clean)  # heard without its channel
        space = spaces_of(bundle, "cpu")["sss"]
        faces = space.embed_faces(list(shown.pixels[rows])).numpy().mean(0)
        unit = built.side("sss", "faces").vectors[number]
        np.testing.assert_allclose(unit, faces / np.linalg.norm(faces), atol=1e-5)
        (usual,) = spoken[~clean & ~heard.raised[spoken] & ~heard.clean[spoken]]
        voice = space.embed_voice(indexing.speech_of(heard.waveform[usual])).numpy()
        np.testing.assert_allclose(built.side("sss", "voices").vectors[number], voice, atol=1e-5)
        told["voices"].append([voice])
        told["faces"].append(space.embed_faces(list(shown.pixels[rows])).numpy())
    for side, other in (("faces", "voices"), ("voices", "faces")):  # single ones are searched for
        rows, tops = built.side("sss", side).vectors, []
        for own, singles in enumerate(told[other]):
            tops += [(np.delete(rows, own, 0) @ single).max() for single in singles]
        np.testing.assert_allclose(built.strangers("sss", side), np.sort(tops), atol=1e-5)
    assert built.search(unit, "sss", "faces", 1).numbers.tolist() == [2]


def test_guests_are_drawn_anew_and_come_first(population, portraits, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(type(bundle), "face_model", lambda self: toy_face_model())
    guests = ["2026-3", "2026-1"]
    built = indexing.showcase(population, portraits, bundle, tmp_path / "out", guests)
    assert [built.entry(n).identity for n in range(3)][:2] == ["2026-1", "2026-3"]
    assert len(built) == 5
    with pytest.raises(ValueError, match="is a finished gallery; choose another folder"):
        indexing.showcase(population, portraits, bundle, tmp_path / "out")


@pytest.mark.parametrize("name", ["ann", "3", "1-", "-1", "a-1"])
def test_guests_that_are_none(name):
    with pytest.raises(ValueError, match="is no identity of a population; write SEED-PERSON"):
        indexing.guests_by_seed([name])


def test_portraits_of_other_people(population, portraits, tmp_path):
    other = toy_population(tmp_path, identities=4, validation=2)
    with pytest.raises(ValueError, match=r"of whom .* has no recordings"):
        list(indexing.held_out(other, portraits))

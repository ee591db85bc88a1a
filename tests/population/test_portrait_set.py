"""Portraits on disk: split by identity, resumable, of one recipe."""

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation.toys import toy_face_model, toy_population

from voicemesh.population import portrait_set
from voicemesh.population.portrait_set import PortraitRecipe, PortraitSet, build

RECIPE = PortraitRecipe(pictures=2, size=16, seed=3)


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    return toy_population(tmp_path_factory.mktemp("people"), identities=22, validation=3)


@pytest.fixture(scope="module")
def built(population):
    return build(population, toy_face_model(), RECIPE)


def test_rows_are_the_peoples(built, population):
    train, held_out = built.gathered("train"), built.gathered("validation")
    assert len(train) == 44 and len(held_out) == 6
    np.testing.assert_array_equal(train.identity, np.repeat(population.train, 2))
    np.testing.assert_array_equal(held_out.identity, np.repeat(population.validation, 2))
    np.testing.assert_array_equal(train.picture, np.tile([0, 1], 22))
    assert train.pixels.shape == (44, 16, 16, 3) and train.camera.shape == (44, 3, 4)
    at_rest = train.picture == 0
    assert not train.expression_params[at_rest].any() and train.expression_params[~at_rest].any()
    np.testing.assert_array_equal(train.shape_params[0::2], train.shape_params[1::2])
    assert len(np.unique(train.shape_params[:, 0])) == 22
    assert len(list(built.shards("train"))) == 2


def test_a_build_goes_on_where_it_stopped(built, population):
    lost = built.files["train"][1]
    content, others = lost.read_bytes(), [p.stat().st_mtime_ns for p in built.files["validation"]]
    lost.unlink()
    with pytest.raises(ValueError, match=r"lacks 1 shards, the first is shard-00001"):
        PortraitSet.open(built.folder)
    assert len(PortraitSet.open(built.folder, partial=True).gathered("train")) == 40
    build(population, toy_face_model(), RECIPE)
    assert lost.read_bytes() == content
    assert [p.stat().st_mtime_ns for p in built.files["validation"]] == others


def test_splits_can_follow_each_other(tmp_path):
    population = toy_population(tmp_path, identities=22, validation=3)
    first = build(population, toy_face_model(), replace(RECIPE, splits=("validation",)))
    assert first.recipe.splits == ("validation",)
    with pytest.raises(ValueError, match="no portraits of the split 'train'"):
        first.gathered("train")
    some = build(population, toy_face_model(), replace(RECIPE, splits=("train",), identities=5))
    assert [len(some.files[split]) for split in ("train", "validation")] == [1, 1]
    assert len(some.gathered("train")) == 40  # whole shards


def test_portraits_of_another_recipe_are_refused(built, population):
    with pytest.raises(ValueError, match=r"with other seed \({'seed': 3}\)"):
        build(population, toy_face_model(), replace(RECIPE, seed=4))
    larger = toy_face_model()
    with pytest.raises(ValueError, match="with other face model"):
        build(population, replace(larger, mean=larger.mean * 1.1), RECIPE)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"pictures": 0}, "pictures is 0; it must be at least 1"),
        ({"splits": ("test",)}, "there are train, validation"),
    ],
)
def test_impossible_recipes_are_refused(population, change, fault):
    with pytest.raises(ValueError, match=fault):
        build(population, toy_face_model(), replace(RECIPE, **change))


def test_folders_without_portraits_are_refused(tmp_path, built):
    with pytest.raises(ValueError, match="holds no portraits; make some with `picture`"):
        PortraitSet.open(tmp_path)
    told = json.loads((built.folder / portrait_set.DESCRIPTION).read_text())
    (tmp_path / portrait_set.DESCRIPTION).write_text(json.dumps({**told, "format": 9}))
    with pytest.raises(ValueError, match="has format 9; this version reads 1"):
        PortraitSet.open(tmp_path)
    with pytest.raises(ValueError, match="no split 'test'"):
        next(built.shards("test"))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 1, "recipe": {"cousins": 3}}'])
def test_a_damaged_description_is_named(tmp_path, content):
    (tmp_path / "portraits.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"portraits\.json describes no portraits: "):
        PortraitSet.open(tmp_path)

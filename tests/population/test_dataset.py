"""Data sets: repeatable, resumable, split by identity."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from voicemesh.population import dataset
from voicemesh.population.dataset import Population, populate
from voicemesh.population.law import draw
from voicemesh.population.recipe import PopulationRecipe, effort_of

RECIPE = PopulationRecipe(
    identities=5, validation=3, sessions=2, channels=2, seconds=1.0, coupling=0.5, seed=4, workers=1
)


@pytest.fixture(scope="module", autouse=True)
def small_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "SHARD", 3)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return populate(tmp_path_factory.mktemp("population"), RECIPE)


def contents(population: Population) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in population.folder.glob("*.safetensors")}


def rows(population: Population, split: str) -> dict[str, np.ndarray]:
    shards = list(population.recordings(split))
    names = dataset.Recordings.__dataclass_fields__
    return {name: np.concatenate([getattr(shard, name) for shard in shards]) for name in names}


def test_people_are_the_laws(built):
    expected = draw(8, seed=4, coupling=0.5)
    for name, values in expected.arrays().items():
        np.testing.assert_array_equal(built.people.arrays()[name], values)


def test_every_identity_is_in_one_split_with_all_its_recordings(built):
    train, validation = rows(built, "train"), rows(built, "validation")
    assert set(train["identity"]) == set(built.train) == set(range(5))
    assert set(validation["identity"]) == set(built.validation) == {5, 6, 7}
    assert len(train["identity"]) == 5 * 2 * 3  # sessions; clean and two channels
    assert len(validation["identity"]) == 3 * (2 * 3 + 2)  # and the raised session: clean and one
    assert not train["raised"].any() and validation["raised"].sum() == 6
    assert set(validation["effort"][validation["raised"]]) == {6.0}
    np.testing.assert_array_equal(train["clean"], train["channel"] == -1)
    assert train["waveform"].dtype == np.int16 and train["waveform"].shape[1] == 16_000


def test_recordings_differ_from_each_other(built):
    waveforms = rows(built, "train")["waveform"].astype(float)
    waveforms -= waveforms.mean(1, keepdims=True)
    unit = waveforms / np.linalg.norm(waveforms, axis=1, keepdims=True)
    same = np.abs(unit @ unit.T) - np.eye(len(unit))
    assert same.max() < 0.99999
    # Other sessions and other people share no text and no noise.
    identity, session = (rows(built, "train")[name] for name in ("identity", "session"))
    apart = (identity[:, None] != identity) | (session[:, None] != session)
    assert same[apart].max() < 0.3


def test_workers_change_nothing(built, tmp_path):
    # Spawned workers see the shard size of the file; one shard per split then.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "SHARD", 20)
        alone = populate(tmp_path / "one", RECIPE)
        together = populate(tmp_path / "two", replace(RECIPE, workers=2))
        assert contents(alone) == contents(together)
        assert len(contents(alone)) == 3


def test_an_interrupted_build_goes_on_to_the_same_bits(built, tmp_path, monkeypatch):
    build, calls = dataset._build, []

    def interrupted(folder, recipe, shard):
        calls.append(shard)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return build(folder, recipe, shard)

    monkeypatch.setattr(dataset, "_build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        populate(tmp_path, RECIPE)
    with pytest.raises(ValueError, match="lacks 2 shards, the first is 1"):
        Population.open(tmp_path)
    done = populate(tmp_path, RECIPE)
    assert contents(done) == contents(built) and calls == [0, 1, 1, 2]


def test_another_recipe_is_refused(built):
    with pytest.raises(ValueError, match=r"other seed \(\{'seed': 4\}\)"):
        populate(built.folder, replace(RECIPE, seed=5))


def test_a_share_of_the_sessions_is_strong_and_the_others_stay(built, tmp_path):
    half = populate(tmp_path / "half", replace(RECIPE, strong=0.5))
    usual, mixed = rows(built, "train"), rows(half, "train")
    modes = half.people.mode
    told = [
        effort_of(half.recipe, int(i), int(s), int(modes[i]))
        for i, s in zip(mixed["identity"], mixed["session"], strict=True)
    ]
    strong = np.array([loud for _, loud in told])
    assert 0 < strong.sum() < len(strong)
    np.testing.assert_array_equal(mixed["effort"], [effort for effort, _ in told])
    least = np.where(modes[mixed["identity"]] == 1, 2, 4)
    assert (mixed["effort"][strong] >= least[strong]).all()
    same = (mixed["waveform"] == usual["waveform"]).all(1)
    clean = usual["clean"]  # behind a channel others are heard as well
    np.testing.assert_array_equal(same[clean], ~strong[clean])
    louder = rows(half, "validation")["raised"]
    assert set(rows(half, "validation")["effort"][louder]) == {6.0}


def test_populations_of_before_have_no_strong_effort(built, tmp_path):
    folder = shutil.copytree(built.folder, tmp_path / "old")
    description = json.loads((folder / "dataset.json").read_text())
    del description["recipe"]["strong"]
    (folder / "dataset.json").write_text(json.dumps(description))
    assert contents(populate(folder, RECIPE)) == contents(built)
    with pytest.raises(ValueError, match=r"other strong \(\{'strong': 0.0\}\)"):
        populate(folder, replace(RECIPE, strong=0.5))


def test_more_identities_begin_with_the_same_recordings(built, tmp_path):
    wider = populate(tmp_path, replace(RECIPE, identities=6))
    first, same = next(built.recordings("train")), next(wider.recordings("train"))
    np.testing.assert_array_equal(first.waveform, same.waveform)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"identities": 0}, "identities is 0"),
        ({"seconds": 0.2}, "seconds is 0.2"),
        ({"coupling": 2.0}, "coupling is 2.0"),
        ({"calm": 1.5}, "calm is 1.5"),
        ({"effort_spread": -1.0}, "effort_spread is -1.0"),
        ({"strong": 1.2}, "strong is 1.2"),
    ],
)
def test_impossible_recipes_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        populate(tmp_path / "new", replace(RECIPE, **change))
    assert not (tmp_path / "new").exists()


def test_folders_without_a_population_are_named(tmp_path, built):
    with pytest.raises(ValueError, match="holds no population"):
        Population.open(tmp_path)
    with pytest.raises(ValueError, match="no split 'test'"):
        next(built.recordings("test"))
    told = json.loads((built.folder / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**told, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        Population.open(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b"[]", b'{"format": 1}', b'{"format": 1, "recipe": {"cousins": 3}}'],
)
def test_a_damaged_description_is_named(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content)
    for do in (Population.open, lambda folder: populate(folder, RECIPE)):
        with pytest.raises(ValueError, match=r"dataset\.json describes no population: "):
            do(tmp_path)


def test_no_half_files_stay(tmp_path, monkeypatch):
    def torn(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset, "save_file", torn)
    with pytest.raises(OSError, match="No space"):
        populate(tmp_path, RECIPE)
    assert not list(tmp_path.iterdir())


def test_a_damaged_shard_is_named(built, tmp_path):
    for path in built.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (shard, *_) = sorted(tmp_path.glob("shard-*"))
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(ValueError, match=rf"{shard.name} is damaged .*; remove it and run"):
        list(Population.open(tmp_path).recordings("train"))

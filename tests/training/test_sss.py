"""SSS in its three steps: what moves when, what is kept, and both data layouts end to end."""

import json
import wave
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_population, toy_portraits
from PIL import Image
from safetensors.torch import load_file

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.sss import IdentityState
from voicemesh.nets.sss_small import TrunkVoiceEncoder
from voicemesh.nets.voice_trunk import VoiceTrunk
from voicemesh.population import likelihood
from voicemesh.systems.sss import SeekingTheShapeOfSound
from voicemesh.training import habits, sss, sss_population, sss_publish, sss_published
from voicemesh.training.crowd import Crowd
from voicemesh.training.data import grouped
from voicemesh.training.loop import read_metrics
from voicemesh.training.sss_data import CodedFaces, CodedVoices, Sitters, cut
from voicemesh.training.sss_recipe import BUNDLE, RECIPES, SssRecipe
from voicemesh.training.sss_task import in_three_steps, judged_by

SMALL = replace(
    BUNDLE,
    voice_steps=4,
    face_steps=4,
    front_end="voicemesh",
    voice_widths=(8, 8),
    voice_blocks=(0, 1),
    voice_code=8,
    face_code=8,
    side=16,
    face_units=(1, 1),
    face_widths=(4, 6),
    features=8,
    embedding=6,
    reweighting_steps=40,
    main_steps=60,
    validate_every=50,
    batch_size=16,
    first_update=10,
    update_every=10,
    kept_views=1,
    cross_weight=1.0,
)
TINY = replace(
    SssRecipe(),
    voice_blocks=(1, 1),
    voice_widths=(8, 8),
    face_units=(1, 1, 1, 1),
    face_widths=(4, 5, 6, 7),
    features=6,
    embedding=5,
    reweighting_steps=3,
    main_steps=4,
    main_drops=(2,),
    batch_size=4,
    shortest_cut=3000,
    longest_cut=4000,
    first_update=1,
    update_every=1,
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """One that holds a voice encoder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("bundle")
    sizes = {"input_channels": 112, "widths": [8, 8], "embedding": 6}
    BundleWriter(folder, "small").net("cmp-voice-encoder", VoiceEncoder(112, (8, 8), 6), sizes)
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    made = toy_population(tmp_path_factory.mktemp("population"), 62, 8)
    toy_portraits(made)
    return made


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(habits, "DRAWN", 3000)
    monkeypatch.setattr(sss_population, "DRAWN", 3000)
    monkeypatch.setattr(likelihood, "DRAWN", 3000)


def sitters(count: int = 40) -> Sitters:
    """People whose voices and faces are noisy views of the same few numbers."""
    rng = np.random.default_rng(3)
    codes = rng.standard_normal((count, 8)).astype(np.float32)
    own = codes.repeat(3, 0) + 0.3 * rng.standard_normal((3 * count, 8)).astype(np.float32)
    rows = grouped(np.repeat(np.arange(count), 3), np.arange(count))
    voices = CodedVoices(own[:, ::-1].copy(), rows)
    return Sitters(voices, CodedFaces(own[None], rows), np.arange(count) % 2)


def coded_run(folder, recipe=SMALL, people=None, minutes=float("inf")):
    people = people or sitters()

    def fresh(state, adjusts):
        encoder = VoiceTrunk(112, (8, 8), (0, 1), 8)
        backbone = sss_population.IrBackbone((1, 1), (4, 6), 16, 8, dropout=0.0, stem=2)
        voice, face = sss_population.nets_of(encoder, backbone, recipe)
        classes = sss_population.IdentityClassifier(recipe.embedding, len(people))
        return sss_population.SssNets(recipe, voice, face, classes, state, adjusts)

    return in_three_steps(folder, recipe, fresh, people, judged_by(people), minutes)


def test_voices_find_their_faces(tmp_path):
    best = coded_run(tmp_path, replace(SMALL, main_steps=120))
    assert best["free"] > 0.7 and best["same_sex"] > 0.7
    lines = [line for line in read_metrics(tmp_path / "main" / "metrics.jsonl") if "loss" in line]
    assert lines[-1]["cross"] < lines[0]["cross"]


def test_weights_move_in_the_first_run_only(tmp_path):
    coded_run(tmp_path)
    weights = load_file(tmp_path / "identity-weights.safetensors")["center.weight"]
    assert int((weights > 0).sum()) == 20  # half at first; 2.4 % of 40 is nobody
    torch.testing.assert_close(weights.max(), torch.tensor(0.99**3))
    kept = load_file(tmp_path / "main" / "best.safetensors")
    assert torch.equal(kept["center.weight"], weights)
    assert (kept["center.loss_mean"] == 14).all()


def test_an_interrupted_run_ends_the_same(tmp_path):
    whole = coded_run(tmp_path / "whole")
    for _ in range(20):
        parts = coded_run(tmp_path / "parts", minutes=0)
    assert parts == whole
    ends = [
        tmp_path / name / "main" / "state-60" / "model.safetensors" for name in ("whole", "parts")
    ]
    one, other = (load_file(path) for path in ends)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_what_is_kept_stays_as_it_is(tmp_path):
    """Small backbones are not trained further; only heads and classes are."""
    coded_run(tmp_path)
    first, last = (
        load_file(tmp_path / name / "best.safetensors") for name in ("reweighting", "main")
    )
    moved = {key.split(".")[0] + "." + key.split(".")[1] for key in first if "num" not in key}
    assert {"V.fc", "V.widen", "F.fc", "cls.weight"} <= moved
    frozen = [key for key in first if key.startswith("F.model.body") and key.endswith("1.weight")]
    assert frozen and not any(key in last and last[key].isnan().any() for key in frozen)


def test_a_law_guides_where_there_is_one(tmp_path):
    """Nothing but the law is asked for, and the nets learn whose face is whose."""
    people = sitters()
    law = np.where(np.eye(40, dtype=bool), 9.0, 0.0).astype(np.float32)
    recipe = replace(SMALL, identity_weight=0.0, cross_weight=0.0, main_steps=120)
    best = coded_run(tmp_path, recipe, replace(people, law=law))
    assert best["free"] > 0.7
    lines = [line for line in read_metrics(tmp_path / "main" / "metrics.jsonl") if "law" in line]
    assert lines[-1]["law"] < lines[0]["law"]


def test_a_trunk_begins_with_what_the_bundle_knows(bundle, tmp_path):
    trunk, part = VoiceTrunk(112, (8, 8), (0, 1), 8), "cmp-voice-encoder"
    sss_population.begin(trunk, bundle, part)
    known = bundle.net(part).model[0].weight
    assert torch.equal(trunk.stages[0].weight, known)
    space = TrunkVoiceEncoder("voicemesh", 112, (8, 8), (0, 1), 8, 6, 5)
    sizes = dict(widths=[8, 8], blocks=[0, 1], code=8, features=6, embedding=5)
    BundleWriter(tmp_path, "more").net("sss-voice-encoder", space, sizes)
    sss_population.begin(trunk, Bundle.open(tmp_path), "sss-voice-encoder")
    assert torch.equal(trunk.code.weight, space.model.code.weight)
    before = trunk.code.weight.clone()
    sss_population.begin(trunk, bundle, "")
    assert torch.equal(trunk.code.weight, before)
    with pytest.raises(ValueError, match="cannot become a trunk"):
        sss_population.begin(VoiceTrunk(112, (8, 9), (0, 1), 8), bundle, part)
    with pytest.raises(ValueError, match="has no sss-voice-encoder"):
        sss_population.begin(trunk, bundle, "sss-voice-encoder")


def test_too_few_people_to_judge_by_are_refused(bundle, tmp_path):
    (tmp_path / "few").mkdir()
    few = toy_population(tmp_path / "few", 34, 2)
    toy_portraits(few)
    with pytest.raises(ValueError, match=r"34 people to train on, .* simulate 60 or more"):
        sss.start(few.folder, tmp_path / "run", SMALL, bundle)


def test_too_few_people_for_a_batch_are_refused(tmp_path):
    with pytest.raises(ValueError, match="10 people for batches of 16"):
        coded_run(tmp_path, people=sitters(10))
    with pytest.raises(ValueError, match="no optimiser 'adam'; there are sgd, adamw"):
        coded_run(tmp_path / "other", replace(SMALL, optimiser="adam"))


def test_small_nets_learn_on_a_population_and_are_published(population, bundle, tmp_path, brief):
    best = sss.start(population.folder, tmp_path, SMALL, bundle)
    assert 0 <= best["free"] <= 1 and best["step"] in (50, 60)
    assert json.loads((tmp_path / "main" / "recipe.json").read_text())["recipe"]["small"]
    crowd = Crowd.open(population.folder)
    learnt, judged = sss_population.divided(
        crowd, sss_population.joined_portraits(crowd), crowd.features("voicemesh")
    )
    assert judged.tolist() == [29, 59] and len(learnt) == 60
    assert len(load_file(tmp_path / "identity-weights.safetensors")["center.weight"]) == 60
    writer = BundleWriter(tmp_path / "parts", "parts")
    told = sss_publish.publish(tmp_path, population, bundle, writer)
    assert "sss, 1 heard (2.0 s)" in told
    made = Bundle.open(tmp_path / "parts")
    assert set(made.parts) == {"sss-voice-encoder", "sss-face-encoder", "sss-statistics"}
    space = SeekingTheShapeOfSound.from_bundle(made)
    again, _ = sss_publish.trained(tmp_path)
    speech = torch.randn(40_000)
    torch.testing.assert_close(space.embed_voice(speech), again.embed_voice(speech))
    assert made.tensors("sss-statistics")["odds"].shape == (2, 2)


def test_small_nets_learn_from_several_populations(population, bundle, tmp_path, brief):
    (tmp_path / "second").mkdir()
    other = toy_population(tmp_path / "second", 35, 4, seed=1)
    toy_portraits(other, pictures=3)
    recipe = replace(SMALL, more=(str(other.folder),))
    run = tmp_path / "run"
    best = sss.start(population.folder, run, recipe, bundle)
    assert 0 <= best["free"] <= 1
    # 62 and 35 people, of whom the 30th, 60th and 90th judge
    assert len(load_file(run / "identity-weights.safetensors")["center.weight"]) == 94
    crowd = Crowd.open(population.folder, recipe.more)
    portraits = sss_population.joined_portraits(crowd)
    own = sss_population.VoiceRecipe(
        "voicemesh", SMALL.voice_widths, SMALL.voice_blocks, SMALL.voice_code
    )
    trunk = sss_population.trained_trunk(run / sss_population.VOICE, own)
    seen = sss_population.FaceRecipe(16, (1, 1), (4, 6), 8)
    backbone = sss_population.trained_backbone(run / sss_population.FACE, seen)
    (first,) = sss_population.coded(
        crowd, portraits, trunk, backbone, recipe, np.array([3, 70 + 7])
    )
    alone = Crowd.open(other.folder)
    (second,) = sss_population.coded(
        alone, sss_population.joined_portraits(alone), trunk, backbone, recipe, np.array([7])
    )
    assert [len(rows) for rows in first.faces.rows] == [2, 3]
    last, only = np.array([1]), np.array([0])
    for side in ("voices", "faces"):
        codes = [getattr(s, side).draw(p, None) for s, p in ((first, last), (second, only))]
        torch.testing.assert_close(*codes)
    assert first.sex[1] == second.sex[0] == other.people.mode[7]
    writer = BundleWriter(tmp_path / "parts", "parts")
    sss_publish.publish(run, population, bundle, writer)
    part = Bundle.open(tmp_path / "parts").part("sss-voice-encoder")
    assert "of 94 synthetic people" in part.training
    assert part.results["recipe"]["more"] == ["second"]


def test_nets_of_the_published_layout_learn_on_a_population(population, bundle, tmp_path):
    sss.start(population.folder, tmp_path, replace(TINY, side=16), bundle)
    kept = load_file(tmp_path / "main" / "best.safetensors")
    net = upstream.build("sss-model", kept, "a run")
    assert net.F.cls.weight.shape == (60, 5)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The authors' folders with six people, noise and grey pictures."""
    folder, rng = tmp_path_factory.mktemp("published"), np.random.default_rng(0)
    header = "VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set"
    rows = [f"id{n},Name_{n},{'mf'[n % 2]},UK,{'dev' if n else 'none'}" for n in range(7)]
    (folder / "list_wav").mkdir()
    (folder / "list_wav" / "vox1_train.csv").write_text("\n".join([header, *rows]) + "\n")
    for n in range(1, 7):
        (folder / "wav" / f"id{n}" / "abcdefghijk").mkdir(parents=True)
        (folder / "VGG_ALL_FRONTAL" / f"Name_{n}").mkdir(parents=True)
        for k in (1, 2):
            sound = rng.integers(-3000, 3000, 5000).astype("<i2")
            name = folder / "wav" / f"id{n}" / "abcdefghijk" / f"0000{k}.wav"
            with wave.open(str(name), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(sound.tobytes())
            grey = np.full((128, 120, 3), 30 * n, np.uint8)
            Image.fromarray(grey).save(folder / "VGG_ALL_FRONTAL" / f"Name_{n}" / f"0000000{k}.jpg")
    triple = "id1/abcdefghijk/00001.wav Name_1/00000001.jpg Name_2/00000002.jpg"
    (folder / "list_wav" / "match_v2f_2_val").write_text(triple + "\n")
    return folder


def test_the_authors_data_trains_their_recipe(published, bundle, tmp_path):
    recipe = replace(TINY, main_steps=4, validate_every=2)
    best = sss.start(published, tmp_path, recipe, bundle)
    assert best["matching"] in (0, 0.5, 1)
    net = upstream.build("sss-model", load_file(tmp_path / "main" / "best.safetensors"), "a run")
    assert net.F.cls.weight.shape == (6, 5)  # the one marked `none` is left out
    lines = read_metrics(tmp_path / "reweighting" / "metrics.jsonl")
    assert lines[0]["weighted"] <= 1


def test_small_nets_refuse_the_authors_data(published, bundle, tmp_path):
    with pytest.raises(ValueError, match="choose --recipe published"):
        sss.start(published, tmp_path, SMALL, bundle)
    with pytest.raises(ValueError, match=r"1 of 2 people have no \*.jpg .* such as Name_9"):
        sss_published.files(published / "VGG_ALL_FRONTAL", ["Name_1", "Name_9"], "*.jpg")


def test_pictures_are_varied_as_published():
    picture = np.zeros((112, 112, 3), np.uint8)
    picture[40:72, 30:50] = (250, 120, 10)
    rng = np.random.default_rng(0)
    made = torch.stack([sss_published.varied(picture, rng) for _ in range(40)])
    assert made.shape == (40, 3, 112, 112) and made.min() == -1
    plain = (made[:, :, 56, 40] > 0.5).float().mean(0)
    assert plain[2] > 0.2 and plain[0] == 0  # B, G, R
    turned = sss_published.turned(np.full((112, 112, 3), 90, np.uint8), 10)
    assert turned.shape == (129, 129, 3)
    assert turned[-1, -1].tolist() == [0, 0, 127] and turned[56, 56].tolist() == [90] * 3


def test_recordings_go_round_and_are_cut_alike():
    short, long = np.arange(1000, dtype=np.int16), np.zeros(200_000, np.int16)
    assert cut([short, long], 3000, 4000, np.random.default_rng(1)).shape[:2] == (2, 40)
    assert cut([short], 0, 0, None).shape == (1, 40, 1001)


def test_the_published_recipe_is_the_default():
    published = RECIPES["published"]
    assert published == SssRecipe() and not published.small
    assert (published.reweighting_steps, published.main_steps) == (2400, 10_000)
    assert (published.learning_rate, published.momentum, published.batch_size) == (0.01, 0.9, 64)
    assert IdentityState(3).weight.tolist() == [1, 1, 1]

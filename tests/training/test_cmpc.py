"""CMPC without labels: what a video is, what is remembered, exact resuming, both data layouts."""

import json
import wave
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_face_model, toy_population, toy_portraits
from PIL import Image
from safetensors.torch import load_file

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.population import likelihood
from voicemesh.population.portrait_set import PortraitRecipe, build
from voicemesh.training import cmpc, cmpc_publish, habits
from voicemesh.training.cmpc import CmpcTask, start
from voicemesh.training.cmpc_nets import BUNDLE, RECIPES, CmpcNets, CmpcRecipe
from voicemesh.training.cmpc_videos import PopulationVideos, published_videos
from voicemesh.training.face_views import Views, scaled, viewed
from voicemesh.training.loop import read_metrics

SMALL = replace(
    BUNDLE,
    front_end="voicemesh",
    voice_widths=(6, 8),
    blocks=(1, 1),
    widths=(4, 6),
    coded=False,
    grid=2,
    embedding=8,
    side=16,
    steps=12,
    batch_size=6,
    shortest_crop=60,
    longest_crop=90,
    warm_steps=2,
    levels=(3, 5),
    rounds=3,
    cluster_from=18,
    cluster_every=4,
    long_videos=False,
    held_out=2,
    start="",
    bfloat16=False,
)


class Coloured:
    """Eight videos: a voice in one channel, a face with a patch in one place."""

    learnt, held_out = np.arange(8), np.arange(8)

    def voices(self, videos, frames, rng):
        features = torch.zeros(len(videos), 112, frames)
        features[torch.arange(len(videos)), torch.from_numpy(videos) * 8] = 3
        return features

    def pictures(self, videos, rng):
        pixels = np.zeros((len(videos), 16, 16, 3), np.uint8)
        for picture, video in zip(pixels, videos, strict=True):
            picture[2 * (video % 4) : 2 * (video % 4) + 3, 8 * (video // 4) :] = 255
        return torch.from_numpy(pixels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    population = toy_population(where, identities=8, validation=3)
    build(population, toy_face_model(), PortraitRecipe(pictures=3, size=20))
    return where


@pytest.fixture(scope="module")
def task(folder):
    return CmpcTask(SMALL, cmpc.videos_of(folder, SMALL))


@pytest.fixture(scope="module")
def authors(tmp_path_factory):
    """The published layout: three people, two videos each, and some that have only one half."""
    root, rng = tmp_path_factory.mktemp("voxceleb"), np.random.default_rng(0)
    people = {"id1": "Ann_A", "id2": "Bo_B", "id3": "Cy_C", "id4": "Di_D"}
    (root / "Splits").mkdir()
    sets = zip(people.values(), (1, 2, 4, 3), strict=True)
    (root / "Splits/identity_splits.txt").write_text("".join(f"{n} {s}\n" for n, s in sets))
    heads = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    rows = (f"{voice}\t{face}\tf\tUK\tdev\n" for voice, face in people.items())
    (root / "vox1_meta.csv").write_text(heads + "".join(rows))
    for voice, face in people.items():
        for video in ("v2", "v1", f"{face}-seen"):
            pictures = root / "unzippedFaces" / face / "1.6" / video
            pictures.mkdir(parents=True)
            for number in range(2):
                pixels = rng.integers(0, 256, (30, 24, 3), np.uint8)
                Image.fromarray(pixels).save(pictures / f"{number:07}.jpg")
        for video in ("v1", "v2", f"{voice}-heard"):
            speech = root / "wav" / voice / video
            speech.mkdir(parents=True)
            with wave.open(str(speech / "00001.wav"), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes((3000 * rng.standard_normal(24_000)).astype("<i2").tobytes())
    return root


def test_a_video_is_a_session_with_its_own_pictures(task):
    videos = task.videos
    assert isinstance(videos, PopulationVideos)
    assert len(videos.learnt) == 12 and len(videos.held_out) == 10  # two sessions each
    assert (videos.person[videos.learnt] < 6).all()
    rows = np.concatenate(videos.recordings)
    assert len(np.unique(rows)) == len(rows) == 22  # no clean recording, no raised voice
    assert not videos.utterances.clean[rows].any()
    portraits = np.concatenate(videos.portraits)
    assert sorted(portraits) == list(range(33))
    assert [len(some) for some in videos.portraits[:2]] == [2, 1]
    for video in range(4):
        owners = videos.utterances.identity[videos.recordings[video]]
        assert set(owners) == {videos.person[video]} == set(videos.portraits[video] // 3)


def test_a_long_video_is_all_of_a_person(folder):
    videos = cmpc.videos_of(folder, replace(SMALL, long_videos=True))
    assert videos.person.tolist() == list(range(11))
    assert videos.learnt.tolist() == list(range(6))
    assert all(len(some) == 3 for some in videos.portraits)
    for person, rows in enumerate(videos.recordings):
        assert len(rows) == 2 and (videos.utterances.identity[rows] == person).all()


def test_a_batch_is_a_function_of_its_generator(task):
    batches = [task.batch(np.random.default_rng(4)) for _ in range(2)]
    for name, value in batches[0].items():
        assert torch.equal(value, batches[1][name])
    assert batches[0]["pixels"].shape == (6, 16, 16, 3)
    assert batches[0]["features"].shape[:2] == (6, 112)
    assert 60 <= batches[0]["features"].shape[2] <= 90
    assert (batches[0]["video"] < 12).all()


def test_banks_follow_the_batch_and_validation_leaves_them(task):
    nets, batch = CmpcNets(SMALL, 12), task.batch(np.random.default_rng(1))
    before = nets.voice_bank.clone()
    nets.eval()(batch)
    assert torch.equal(nets.voice_bank, before) and nets.samples == 0
    nets.train()(batch)
    moved = (nets.voice_bank != before).any(1).nonzero()[:, 0]
    assert torch.equal(moved, batch["video"].unique())
    assert nets.samples == 6 and nets.steps == 1


@pytest.mark.parametrize("published", [False, True])
def test_clusters_come_when_due_and_stay_unless_published(task, published):
    recipe = replace(SMALL, published=published)
    nets, rng = CmpcNets(recipe, 12).train(), np.random.default_rng(1)
    active = []
    for _ in range(10):
        losses = nets(task.batch(rng))
        active.append(bool(nets.clustered))
        assert torch.isfinite(losses["loss"])
    assert active == [step in (4, 8) if published else step >= 4 for step in range(10)]
    made = nets.clusters("face")
    assert [len(level.centroids) for level in made] == [3, 5]
    assert all(level.assignment.unique().numel() > 1 for level in made)


def test_a_stopped_run_resumes_exactly(folder, tmp_path, monkeypatch):
    def short(*values, **named):
        return settings(*values, **{**named, "log_every": 3, "validate_every": 6})

    settings = cmpc.LoopSettings
    monkeypatch.setattr(cmpc, "LoopSettings", short)
    bundle, whole, parts = Bundle.open(), tmp_path / "whole", tmp_path / "parts"
    best = start(folder, whole, SMALL, bundle)
    for _ in range(4):  # each stops at the first look at its clock
        start(folder, parts, SMALL, bundle, minutes=-1)
    a, b = (load_file(run / "state-12/model.safetensors") for run in (whole, parts))
    assert a["samples"] == 72 and a["clustered"]
    for name, value in a.items():
        assert torch.equal(value, b[name]), name
    assert read_metrics(whole / "metrics.jsonl") == read_metrics(parts / "metrics.jsonl")
    assert 0 <= best["auc"] <= 1 and best["selection"] == 1 - best["auc"]


def test_a_pair_that_always_comes_together_is_learnt():
    recipe = replace(SMALL, levels=(), views=0.0, temperature=0.3, held_out=0)

    task = CmpcTask(replace(recipe, steps=80, peak_rate=1e-2), Coloured())
    rng = np.random.default_rng(0)
    with torch.inference_mode():
        first = task.validate(torch.device("cpu"))["contrast"]
    for _ in range(80):
        task.net.train()(task.batch(rng))["loss"].backward()
        task.optimiser.step()
        task.optimiser.zero_grad()
        task.schedule.step()
    task.net.eval()
    with torch.inference_mode():
        measured = task.validate(torch.device("cpu"))
    assert measured["auc"] > 0.95 and measured["contrast"] < first


def test_the_published_schedule():
    task = CmpcTask(CmpcRecipe(widths=(4,), blocks=(1,), levels=()), Coloured())
    rate = task.schedule.lr_lambdas[0]
    for step, target in (
        (0, 1e-4),
        (1250, 2.55e-3),
        (2500, 5e-3),
        (13_750, 2.55e-3),
        (25_000, 1e-4),
    ):
        assert 5e-3 * rate(step) == pytest.approx(target)
    assert RECIPES["published"] == CmpcRecipe() and CmpcRecipe().batch_size * 25_000 == 3_200_000


def test_a_voice_net_can_begin_with_a_trunk():
    other = VoiceEncoder(112, (6, 8), 3)
    task = CmpcTask(SMALL, Coloured(), other)
    assert torch.equal(task.net.voice.trunk[0].weight, other.model[0].weight)
    assert task.net.voice.head.out_channels == 8
    for sizes in ((6, 9), (6, 8, 9)):
        with pytest.raises(ValueError, match="begin with has other sizes"):
            cmpc.begin_with(task.net.voice, VoiceEncoder(112, sizes, 3))


def test_heads_learn_on_the_codes_of_finished_backbones(tmp_path, monkeypatch):
    monkeypatch.setattr(habits, "DRAWN", 3000)
    (tmp_path / "population").mkdir()
    population = toy_population(tmp_path / "population", 62, 8)
    toy_portraits(population)
    torch.manual_seed(0)
    sizes = {"input_channels": 112, "widths": [8, 8], "embedding": 6}
    net = VoiceEncoder(112, (8, 8), 6)
    BundleWriter(tmp_path / "bundle", "small").net("cmp-voice-encoder", net, sizes)
    bundle, run = Bundle.open(tmp_path / "bundle"), tmp_path / "run"
    recipe = replace(
        SMALL,
        coded=True,
        long_videos=True,
        voice_widths=(8, 8),
        voice_blocks=(0, 1),
        voice_code=6,
        face_code=5,
        features=8,
        voice_steps=4,
        face_steps=4,
        masked_tracks=0.0,
        kept_views=1,
    )
    best = start(population.folder, run, recipe, bundle)
    assert 0 <= best["auc"] <= 1
    kept = load_file(run / "best.safetensors")
    assert kept["clustered"] and len(kept["voice_bank"]) == 60  # two are held out
    for folder, prefix, side in (("voice", "trunk", "voice"), ("face", "backbone", "face")):
        known = load_file(run / f"{folder}-backbone" / "best.safetensors")
        own = {k.removeprefix(f"{prefix}."): v for k, v in known.items() if k.startswith(prefix)}
        assert all(torch.equal(kept[f"{side}.model.{k}"], v) for k, v in own.items())
    named = replace(recipe, backbones=str(run))
    assert start(population.folder, tmp_path / "again", named, bundle) == best
    writer = BundleWriter(tmp_path / "parts", "parts")
    monkeypatch.setattr(likelihood, "DRAWN", 3000)
    monkeypatch.setattr(cmpc_publish, "LEVELS", (3, 5))
    cmpc_publish.publish(run, population, bundle, writer)
    part = Bundle.open(tmp_path / "parts").part("cmpc-voice-encoder")
    assert "60 synthetic people" in part.training and "with labels" in part.training
    (tmp_path / "second").mkdir()
    toy_portraits(toy_population(tmp_path / "second", 40, 4, seed=1))
    further = replace(recipe, more=(str(tmp_path / "second"),), held_out=4)
    assert 0 <= start(population.folder, tmp_path / "both", further, bundle)["auc"] <= 1
    kept = load_file(tmp_path / "both" / "best.safetensors")
    assert len(kept["voice_bank"]) == 99  # of 102, every thirtieth is held out
    cmpc_publish.publish(tmp_path / "both", population, bundle, writer)
    part = Bundle.open(tmp_path / "parts").part("cmpc-voice-encoder")
    assert "99 synthetic people" in part.training and part.results["recipe"]["more"] == ["second"]
    with pytest.raises(ValueError, match="set long_videos=true"):
        start(population.folder, run, replace(recipe, long_videos=False), bundle)


def test_too_few_videos_are_refused(folder):
    with pytest.raises(ValueError, match="12 videos cannot make 50 clusters"):
        recipe = replace(SMALL, levels=(50,))
        CmpcTask(recipe, cmpc.videos_of(folder, recipe))
    with pytest.raises(ValueError, match="8 people cannot be held out: 8 to train on"):
        cmpc.videos_of(folder, replace(SMALL, held_out=8))


def test_the_published_layout_is_read(authors):
    videos = published_videos(authors, (1, 2), (4,), "cmpc", 16)
    assert videos.names == tuple(
        f"{name}/1.6/{v}" for name in ("Ann_A", "Bo_B", "Cy_C") for v in ("v1", "v2")
    )
    assert videos.learnt.tolist() == [0, 1, 2, 3] and videos.held_out.tolist() == [4, 5]
    some, rng = np.array([3, 0]), np.random.default_rng(0)
    voices = videos.voices(some, 500, rng)
    assert voices.shape == (2, 64, 500)
    assert (voices[:, :, 0] == 0).all()  # 1.5 s of speech, padded on both sides as published
    assert videos.pictures(some, rng).shape == (2, 16, 16, 3)
    assert torch.equal(videos.voices(some, 90, None), videos.voices(some, 90, None))
    other = published_videos(authors, (1,), (), "cmpc2", 16)
    assert other.voices(np.array([1]), 800, rng).shape == (1, 64, 800)
    with pytest.raises(ValueError, match="no videos of SET 9"):
        published_videos(authors, (9,), (), "cmpc", 16)


def test_features_that_lie_beside_a_recording_are_taken(authors, tmp_path):
    videos = published_videos(authors, (1,), (), "cmpc", 16)
    beside = videos.speech[0] / "00001.pkl"
    ready = np.full((64, 700), 7, np.float32)
    ready.dump(beside)
    try:
        assert (videos.voices(np.array([0]), 500, None) == 7).all()
    finally:
        beside.unlink()


def test_the_published_recipe_trains_on_the_published_layout(authors, tmp_path):
    recipe = replace(
        RECIPES["published"],
        **dict(blocks=(1, 1), widths=(4, 6), embedding=6, side=32, steps=3, batch_size=4),
        **dict(levels=(2,), cluster_from=4, cluster_every=2, warm_steps=1),
    )
    best = start(authors, tmp_path, recipe, Bundle.open())
    assert best["step"] == 3 and best["selection"] == -3  # nobody held out: the newest is kept
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"]["published"]


def test_views_stay_near_and_none_is_the_picture():
    pixels = torch.randint(256, (4, 12, 12, 3), dtype=torch.uint8)
    still = Views(mirror=False).scaled(0.0)
    torch.testing.assert_close(viewed(pixels, still), scaled(pixels), atol=1e-5, rtol=0)
    mirrored = viewed(pixels.repeat(8, 1, 1, 1), Views().scaled(0.0))
    plain = scaled(pixels).repeat(8, 1, 1, 1)
    turned = torch.isclose(mirrored, plain.flip(3), atol=1e-5).all(3).all(2).all(1)
    same = torch.isclose(mirrored, plain, atol=1e-5).all(3).all(2).all(1)
    assert (turned ^ same).all() and turned.any() and same.any()
    views = viewed(pixels, Views())
    assert views.abs().max() <= 1 and not torch.allclose(views, scaled(pixels))

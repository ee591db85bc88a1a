import numpy as np
import pytest
import torch
from torch.nn import functional

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import (
    STYLEGAN2_GENERATOR,
    STYLEGAN2_STATISTICS,
    VOICESTYLE_MEMBERS,
    VOICESTYLE_START,
)
from voicemesh.gallery.latents import Latents, keep
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter
from voicemesh.latent.search import SearchOptions
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.voicestyle import VoiceStart
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.voicestyle import Heard, VoiceStyle, Wish
from voicemesh.systems.voicestyle_members import STRANGER, Members

SEARCH = SearchOptions(steps=4, views=1)


@pytest.fixture
def space() -> Cmpc:
    voice = FeatureVoiceEncoder(widths=(4, 4, 4, 4), embedding=6)
    return Cmpc(voice, GridFaceEncoder(24, (1, 1), (4, 6), 2, 6))


@pytest.fixture
def generator() -> Generator:
    return Generator((6, 6), style=5, depth=2)


@pytest.fixture
def heard() -> Heard:
    return Heard(functional.normalize(torch.randn(6), dim=0), None)


@pytest.fixture
def whole(space, generator) -> VoiceStyle:
    statistics = Statistics.sampled(generator, samples=300)
    w = generator.mapping(torch.randn(9, 5)).detach()
    members = Members.of(functional.normalize(torch.randn(9, 6)), w, torch.arange(9) // 3)
    start = VoiceStart(6, 5, 2, 2)
    start.apparent.weight.data.zero_()
    start.open.copy_(torch.eye(2))
    return VoiceStyle(generator, statistics, space, start, members, judge=space)


def test_images_grow_more_similar_step_by_step(whole, heard):
    told = list(whole.imagine(Heard(heard.voice, heard.voice), Wish(2, search=SEARCH), 2))
    assert [state.step for state in told] == [0, 2, 4]
    assert told[0].pixels.shape == (2, 8, 8, 3) and told[0].pixels.dtype == np.uint8
    assert (told[-1].similarity >= told[0].similarity).all()
    np.testing.assert_allclose(told[-1].judged, told[-1].similarity, atol=1e-5)
    with torch.no_grad():
        images = whole.images(torch.from_numpy(told[-1].w))
        again = whole.similarity(whole.space, heard.voice)(images)
    np.testing.assert_allclose(again.numpy(), told[-1].similarity, atol=1e-5)


def test_a_seed_decides_the_candidates(whole, heard):
    first = whole.first(heard, Wish(3))
    torch.testing.assert_close(first, whole.first(heard, Wish(3)))
    assert not torch.allclose(first[0], first[1])
    torch.testing.assert_close(first[:1], whole.first(heard, Wish(1)))
    seeded = whole.first(heard, Wish(3, seed=5))
    torch.testing.assert_close(seeded, whole.first(heard, Wish(3, seed=5)))
    assert not torch.allclose(seeded, whole.first(heard, Wish(3, seed=6)))


def test_a_start_follows_the_voice_and_keeps_a_look(whole, heard):
    v = whole.statistics.whiten(whole.first(heard, Wish(look=1.0)))
    told = v @ whole.start.directions.T
    torch.testing.assert_close(told, whole.start.heard(heard.voice[None]), atol=1e-3, rtol=1e-3)
    nearest = whole.neighbours(heard.voice)[0][:1]
    lent = whole.statistics.whiten(whole.members.w[nearest])
    torch.testing.assert_close(v[:, 2:], lent[:, 2:], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(v[:, :2], lent[:, :2], atol=1e-2)
    half = whole.statistics.whiten(whole.first(heard, Wish(look=0.5)))
    torch.testing.assert_close(half[:, 2:], lent[:, 2:] / 2, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(half[:, :2], v[:, :2], atol=1e-3, rtol=1e-3)


def test_candidates_have_the_looks_of_different_people(whole, heard):
    rows = whole.lenders(heard, Wish(3))
    assert len(set((rows // 3).tolist())) == 3
    assert rows[0] == whole.neighbours(heard.voice)[0][0]
    drawn = whole.lenders(heard, Wish(3, seed=1))
    assert len(set((drawn // 3).tolist())) == 3
    assert len(whole.lenders(heard, Wish(8, seed=1))) == 8  # more than there are people


def test_looks_are_lent_by_faces_of_the_sex_and_age_that_are_heard(whole, heard):
    start = whole.start
    start.apparent.weight.data = torch.eye(2, 6)
    start.apparent.bias.data.zero_()
    start.heard.weight.data.zero_()
    pool, count = whole.neighbours(heard.voice, 3)[0].tolist(), 60
    for wanted in pool:  # near ones, not the nearest
        start.heard.bias.data = whole.members.faces[wanted, :2].clone()
        fits = start.fits(heard.voice, whole.members.faces[torch.tensor(pool)])
        assert float(fits.max()) == 0 and pool[int(fits.argmax())] == wanted
        any_near = Wish(3, temperature=100.0)
        assert whole.lenders(heard, any_near)[0] == wanted
        assert whole.lenders(heard, Wish(temperature=100.0)).tolist() == [wanted]
        drawn = whole.lenders(heard, Wish(1, seed=0, temperature=100.0)).tolist()
        for seed in range(1, count):
            drawn += whole.lenders(heard, Wish(1, seed=seed, temperature=100.0)).tolist()
        odds = float(fits.softmax(0).max())
        assert drawn.count(wanted) == pytest.approx(count * odds, abs=0.25 * count)


def test_neighbours_are_one_of_each_person_best_first(whole, heard):
    rows, weights = whole.neighbours(heard.voice, 8)
    assert len(rows) == 3 and set((rows // 3).tolist()) == {0, 1, 2}
    assert weights.argmax() == 0 and float(weights.sum()) == pytest.approx(1)


def test_truncation_leads_to_the_mean_face(whole, heard):
    w = whole.first(heard, Wish(2, truncation=0.0))
    torch.testing.assert_close(w, whole.statistics.mean.expand(2, -1))


def test_without_members_or_start_samples_serve(space, generator, heard):
    bare = VoiceStyle(generator, Statistics.sampled(generator, samples=300), space)
    told = list(bare.imagine(heard, Wish(2, search=SEARCH), 4))
    assert told[-1].judged is None and not np.allclose(told[0].w[0], told[0].w[1])
    assert (told[-1].similarity >= told[0].similarity).all()


def test_the_published_way_starts_from_the_mean_of_eight(whole, heard):
    states = whole.published(heard, whole.members.w)
    first = next(states)
    np.testing.assert_allclose(first.w[0], whole.members.w[:8].mean(0), atol=1e-5)
    assert next(states).step == 20


def test_a_bundle_holds_it_whole(whole, space, tmp_path, heard):
    writer = BundleWriter(tmp_path, "small")
    arguments = upstream.arguments_of(whole.generator)
    writer.net(STYLEGAN2_GENERATOR, whole.generator, arguments)
    writer.tensors(STYLEGAN2_STATISTICS, whole.statistics.tensors())
    writer.tensors(VOICESTYLE_MEMBERS, whole.members.tensors())
    writer.net(VOICESTYLE_START, whole.start, upstream.arguments_of(whole.start))
    opened = VoiceStyle.from_bundle(Bundle.open(tmp_path), space=space)
    first, second = (made.first(heard, Wish(2)) for made in (opened, whole))
    torch.testing.assert_close(first, second, atol=1e-2, rtol=1e-2)
    with pytest.raises(ValueError, match="lack w"):
        Members.read({"faces": torch.zeros(1, 2), "person": torch.zeros(1)})
    assert tuple(opened.start.open.shape) == (2, 2) and opened.start.traits == 2


def test_the_people_of_a_gallery_are_known_faces(whole, tmp_path):
    gallery = gallery_of(tmp_path, ["a", "b", "a"])
    generator = {STYLEGAN2_GENERATOR: "made by this"}
    assert Members.of_gallery(gallery, generator) is None  # nothing was inverted yet
    latents = Latents(np.array([0, 2], np.int32), np.arange(10.0).reshape(2, 5))
    gallery = keep(gallery, latents, generator)
    shown = Members.of_gallery(gallery, generator | NETS)
    assert shown.entry.tolist() == [0, 2] and shown.person.tolist() == [-1, -1]
    torch.testing.assert_close(shown.w, torch.arange(10.0).reshape(2, 5))
    torch.testing.assert_close(shown.faces, torch.eye(6)[[0, 2]])
    both = whole.members.with_others(shown)
    assert len(both.w) == 11 and both.entry.tolist() == [STRANGER] * 9 + [0, 2]
    moved = shown.faces - shown.faces.mean(0) + whole.members.faces.mean(0)
    torch.testing.assert_close(both.faces[9:], functional.normalize(moved))
    assert Members.of_gallery(gallery, {STYLEGAN2_GENERATOR: "another"} | NETS) is None
    with pytest.raises(ValueError, match="embedded"):
        Members.of_gallery(gallery, generator | {"cmpc-face-encoder": "other"})


NETS = {"cmpc-voice-encoder": "v", "cmpc-face-encoder": "f"}


def gallery_of(folder, people):
    writer = GalleryWriter(folder / "gallery", "small", {"cmpc": NETS})
    entries = [
        NewEntry(name, picture=b"-", units={("cmpc", "faces"): np.eye(6)[row]})
        for row, name in enumerate(people)
    ]
    writer.add("all", entries)
    return writer.finish(["all"])


def test_half_precision_changes_little(whole, heard):
    states = []
    for half in (None, torch.bfloat16):
        whole.half = half
        states.append(list(whole.imagine(heard, Wish(2, search=SEARCH), 4)))
    for full, low in zip(*states, strict=True):
        assert np.abs(full.pixels.astype(int) - low.pixels.astype(int)).mean() < 3
        np.testing.assert_allclose(low.similarity, full.similarity, atol=0.02)
    assert (states[1][-1].similarity > states[1][0].similarity).all()


def test_voices_climb_side_by_side_as_alone(whole):
    units = functional.normalize(torch.randn(2, 6))
    start = whole.generator.mapping(torch.randn(2, 5))
    search = SearchOptions(steps=3, views=0)
    *_, both = whole.climb(units, start, search)
    *_, alone = whole.climb(units[1], start[1:], search)
    torch.testing.assert_close(both.w[1:], alone.w, atol=1e-4, rtol=1e-4)
    assert both.similarity[0] > 0


def test_a_voice_comes_over_to_the_faces():
    start = VoiceStart(4, 3, 2)
    start.voice_mean.fill_(1.0)
    start.face_mean.fill_(-1.0)
    start.face_of_voice.mul_(2)
    torch.testing.assert_close(start.as_face(torch.full((1, 4), 2.0)), torch.ones(1, 4))

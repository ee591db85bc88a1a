"""Photographs and imagined faces through a pipeline of untrained nets."""

import json

import numpy as np
import pytest
from bundles import babble
from PIL import Image
from skimage import data
from whole_bundles import write_whole_bundle

import voicemesh
from voicemesh import images
from voicemesh.audio.recording import Recording
from voicemesh.latent.search import SearchOptions
from voicemesh.systems.voicestyle import Wish


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return voicemesh.load(write_whole_bundle(tmp_path_factory.mktemp("whole") / "b"), "cpu")


@pytest.fixture(scope="module")
def portrait(whole):
    return whole(Recording(babble(3.0), name="babble.wav"), picture=False)


@pytest.fixture(scope="module")
def seen(whole):
    return whole.photograph(data.astronaut(), "astronaut.png")


def test_a_photograph_becomes_a_head(whole, seen):
    model = whole.system.face_model
    shape = whole.shape_of(seen.parameters)
    lengths = model.measurements(shape)
    assert [row.value for row in seen.measurements] == pytest.approx(lengths.tolist(), rel=1e-4)
    assert all(row.low is None for row in seen.measurements)  # no interval is known of these
    assert seen.sex in ("female", "male")
    assert seen.picture.shape == seen.overlay.shape
    assert (seen.picture != seen.overlay).any(2).mean() > 0.1  # the mesh is on it
    assert json.dumps(seen.report())


def test_colours_reach_the_net_in_order(whole, seen):
    from voicemesh.pipeline.photograph import portrait_of

    image = portrait_of(seen.found)
    assert image.min() >= -1 and image.max() <= 1
    shown = seen.found.crop.astype(np.float32).mean((0, 1)) / 127.5 - 1
    np.testing.assert_allclose(image[0].mean((1, 2)), shown, atol=0.02)
    assert shown[0] > shown[2] + 0.05  # more red than blue, so the order matters


def test_a_voice_and_a_photograph_are_compared(whole, portrait, seen):
    comparison = whole.compare(portrait, seen)
    assert comparison.usual is None  # what is usual of voices says nothing here
    assert comparison.distance > 0 and comparison.parts


def test_photographs_that_cannot_be_read(whole, tmp_path):
    with pytest.raises(images.UnusablePhotograph, match=r"No face was found on tea\.png"):
        whole.photograph(data.coffee(), "tea.png")
    with pytest.raises(ValueError, match=r"array \[height, width, 3\], given uint8 \[9, 9, 4\]"):
        whole.photograph(Image.new("RGBA", (9, 9)))


def test_a_path_and_a_picture_are_as_good_as_pixels(whole, seen, tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(data.astronaut()).save(path)
    for given in (path, str(path), Image.open(path)):
        again = whole.photograph(given)
        np.testing.assert_array_equal(again.parameters, seen.parameters)
    assert whole.photograph(path).name == "face.png"
    assert repr(whole.photograph(path)) == f"Photographed('face.png': {seen.sex})"


def test_the_image_branch_waits_until_it_is_asked(whole, portrait):
    assert portrait.pictured is None
    pictured = whole.pictured(portrait).pictured
    assert set(pictured.percents) == set(portrait.percents) == {"fore", "cheek", "ear", "mid"}
    at_once = whole(Recording(babble(3.0), name="babble.wav")).pictured
    np.testing.assert_allclose(at_once.parameters, pictured.parameters, atol=1e-4)


def test_percents_are_against_the_nearest_mean(whole, portrait):
    model = whole.system.face_model
    names = list(model.measures)
    mean = model.measure(whole.references[portrait.sex])
    ours = model.measurements(whole.shape_of(portrait.parameters))
    at = names.index("ear")
    assert portrait.percents["ear"] == pytest.approx(100 * float(ours[at] / mean[at] - 1), abs=1e-3)
    told = portrait.report()
    root = len(portrait.face.vertices) ** 0.5
    published = told["sex"]["published_distances"]["male"]
    assert published == pytest.approx(portrait.sex_distances["male"] / root, abs=1e-4)


def test_images_grow_and_tell_what_they_grew_from(whole, portrait):
    imaginer = whole.imaginer
    heard = imaginer.hear(portrait.speech)
    wish = Wish(candidates=2, seed=5, neighbours=4, search=SearchOptions(steps=4))
    states = list(imaginer.imagine(heard, wish))
    assert states[0].step == 0 and states[-1].step == 4
    assert all(state.pixels.shape[:1] == (2,) for state in states)
    again = list(imaginer.imagine(heard, wish))[-1]
    assert np.array_equal(again.pixels, states[-1].pixels)  # a seed means the same again
    known = imaginer.prototypes(heard, wish)
    assert len(known.pixels) == 4 and known.weights.sum() == pytest.approx(1, abs=1e-5)


def test_a_bundle_without_the_nets_says_so(tmp_path):
    from bundles import write_bundle

    bare = voicemesh.load(write_bundle(tmp_path), "cpu")
    assert bare.matcher is None and bare.imaginer is None and bare.reader is None
    with pytest.raises(ValueError, match="no part 'cmp-teacher'"):
        bare.photograph(data.astronaut())

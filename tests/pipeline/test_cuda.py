"""The product on a GPU beside the product on a CPU: all that a visitor can ask for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import voicemesh
from voicemesh import images
from voicemesh.audio import recording as recordings
from voicemesh.latent.precision import NAMES
from voicemesh.pipeline import Pipeline
from voicemesh.systems.inversion import SHORT, Inverter
from voicemesh.systems.voicestyle import VoiceStyle, Wish

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
VOICES = "woman-22.flac", "man-44.flac"
FACE = EXAMPLES / "man-44.webp"
NEAR = 0.2  # mm; convolutions of a GPU round to TF32


@pytest.fixture(scope="module")
def both() -> tuple[Pipeline, Pipeline]:
    return voicemesh.load(device="cpu"), voicemesh.load(device="cuda")


@pytest.fixture(scope="module")
def portraits(both):
    return [[whole(EXAMPLES / voice) for voice in VOICES] for whole in both]


def apart(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(first - second, axis=-1).mean())


def test_a_gpu_is_chosen_and_everything_is_warmed_up():
    whole = voicemesh.load()
    whole.warm_up()
    assert whole.device.type == "cuda" and whole.openness is not None


def test_portraits(portraits):
    for ours, theirs in zip(*portraits, strict=True):
        assert apart(ours.face.vertices, theirs.face.vertices) < NEAR
        assert ours.sex == theirs.sex and ours.face_type == theirs.face_type
        assert ours.pitch_hz.value == pytest.approx(theirs.pitch_hz.value, rel=0.02)
        assert apart(ours.pictured.face.vertices, theirs.pictured.face.vertices) < 2 * NEAR
        seen = [one.pictured.image.astype(float) for one in (ours, theirs)]
        assert np.abs(seen[0] - seen[1]).mean() < 2
        if ours.spoken is not None:
            heard = [one.spoken.image.astype(float) for one in (ours, theirs)]
            assert np.abs(heard[0] - heard[1]).mean() < 2


def test_matches(both, portraits):
    found = [
        whole.matched(told[0], same_sex=True).matches
        for whole, told in zip(both, portraits, strict=True)
    ]
    for ours, theirs in zip(*found, strict=True):
        assert ours.matches[0].similarity == pytest.approx(theirs.matches[0].similarity, abs=0.02)
        mine, other = ({m.entry.identity for m in ranking.matches} for ranking in (ours, theirs))
        assert len(mine & other) >= len(mine) - 2


def test_several_recordings_and_comparisons(both, portraits):
    together = []
    for whole, told in zip(both, portraits, strict=True):
        several = whole.several([recordings.load(EXAMPLES / voice) for voice in VOICES])
        together.append((several, whole.compare(*told)))
    (ours, compared), (theirs, expected) = together
    assert apart(ours.fused.face.vertices, theirs.fused.face.vertices) < NEAR
    assert compared.distance == pytest.approx(expected.distance, abs=NEAR)
    assert compared.report().keys() == expected.report().keys()


def test_photographs(both):
    ours, theirs = (whole.photograph(images.read(FACE), FACE.name) for whole in both)
    np.testing.assert_allclose(ours.parameters, theirs.parameters, atol=0.05)
    crop = np.asarray(images.read(FACE))
    for space in both[0].matcher.names:
        if "voices" in both[0].matcher.sides(space):
            found = [whole.matcher.of_face(crop, space) for whole in both]
            best = [ranking.matches[0].similarity for ranking in found]
            assert best[0] == pytest.approx(best[1], abs=0.03)


@pytest.mark.parametrize("precision", NAMES)
def test_images_of_a_voice_are_refined(both, portraits, precision):
    speech = torch.from_numpy(portraits[0][0].speech)
    bundle, wish = both[0].bundle, Wish(candidates=2)
    wish = replace(wish, search=replace(wish.search, steps=8))
    courses = []
    for device, name in (("cpu", "float32"), ("cuda", precision)):
        system = VoiceStyle.from_bundle(bundle, device, precision=name)
        courses.append(list(system.imagine(system.hear(speech), wish)))
    ours, theirs = courses
    assert np.abs(ours[0].pixels.astype(float) - theirs[0].pixels).mean() < 4
    np.testing.assert_allclose(ours[0].similarity, theirs[0].similarity, atol=0.04)
    for course in courses:
        assert np.isfinite(course[-1].w).all()
        assert (course[-1].similarity > course[0].similarity + 0.01).all()


@pytest.mark.parametrize("precision", NAMES)
def test_pictures_are_inverted(both, precision):
    inverter = Inverter.from_bundle(both[0].bundle, "cuda", precision=precision)
    short = replace(SHORT, course=replace(SHORT.course, steps=12))
    losses = [float(step.loss) for step in inverter.invert([np.asarray(images.read(FACE))], short)]
    assert np.isfinite(losses).all() and min(losses[6:]) < losses[0]

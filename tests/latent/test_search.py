from dataclasses import replace

import pytest
import torch

from voicemesh.latent.projection import Course
from voicemesh.latent.search import SearchOptions, climb, published_refinement, varied
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import Generator

OPTIONS = SearchOptions(steps=6, rate=0.1, views=1, seed=2)


@pytest.fixture
def scene():
    generator = Generator((6, 6), style=5, depth=2).requires_grad_(False)
    statistics = Statistics.sampled(generator, samples=400)
    wanted = torch.randn(3, 8, 8)

    def similarity(image):
        return torch.cosine_similarity(image.flatten(1), wanted.flatten()[None])

    return generator, statistics, similarity


def test_every_candidate_rises(scene):
    start = scene[0].mapping(torch.randn(3, 5))
    found = list(climb(*scene, start, OPTIONS, show_every=2))
    assert [state.step for state in found] == [0, 2, 4, 6]
    torch.testing.assert_close(found[0].w, start, atol=1e-4, rtol=1e-4)
    assert (found[-1].similarity > found[0].similarity + 1e-3).all()
    torch.testing.assert_close(found[-1].images, scene[0](found[-1].w, ()))
    again = list(climb(*scene, start, OPTIONS, show_every=6))
    torch.testing.assert_close(again[-1].w, found[-1].w)


def test_a_penalty_holds_it_near_the_start(scene):
    start = scene[0].mapping(torch.randn(2, 5))
    ways = []
    for stay in (0.0, 100.0):
        *_, last = climb(*scene, start, replace(OPTIONS, stay=stay))
        ways.append((last.w - start).norm())
    assert ways[1] < 0.5 * ways[0]


def test_few_axes_are_few_directions(scene):
    start = scene[0].mapping(torch.randn(1, 5))
    *_, last = climb(*scene, start, replace(OPTIONS, axes=2))
    v = scene[1].whiten(last.w)
    torch.testing.assert_close(v[:, 2:], torch.zeros(1, 3), atol=1e-4, rtol=0)


def test_the_published_refinement_rises(scene):
    start = scene[1].mean[None]
    course = Course(steps=20, rate=0.1)
    found = list(published_refinement(*scene, start, course, show_every=10))
    assert [state.step for state in found] == [0, 10, 20]
    assert found[-1].similarity > found[0].similarity


def test_views_are_alike_but_not_equal():
    image = torch.rand(4, 3, 16, 16)
    seen = varied(image, torch.Generator().manual_seed(1))
    assert seen.shape == image.shape
    assert 0.01 < (seen - image).abs().mean() < 0.5

from dataclasses import replace

import numpy as np
import pytest
import torch

from voicemesh.latent.losses import Identity, face_crop, noise_regularity, normalise_noise
from voicemesh.latent.projection import (
    INVERSION,
    Course,
    Options,
    block_means,
    pixels_of,
    prepared,
    project,
)
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import Generator

SHORT = Options(replace(INVERSION, steps=20), noise=False, seed=3)


@pytest.fixture
def scene():
    generator = Generator((6, 6), style=5, depth=2).requires_grad_(False)
    statistics = Statistics.sampled(generator, samples=500)
    w = generator.mapping(torch.randn(2, 5))
    wanted = generator(w)
    return generator, statistics, lambda image: (image - wanted).square().mean((1, 2, 3))


@pytest.mark.parametrize("options", [SHORT, replace(SHORT, w_plus=True, noise=True)])
def test_inversion_comes_nearer(scene, options):
    steps = list(project(*scene, 2, options))
    assert (steps[-1].loss < 0.6 * steps[0].loss).all()
    assert steps[-1].w.shape == ((2, 4, 5) if options.w_plus else (2, 5))
    again = list(project(*scene, 2, options))
    torch.testing.assert_close(again[-1].w, steps[-1].w)


def test_the_first_step_stays(scene):
    start = torch.full((2, 5), 0.1)
    steps = project(*scene, 2, SHORT, start)
    torch.testing.assert_close(next(steps).w, start)
    assert not torch.equal(next(steps).w, start)


def test_a_prior_holds_the_latent(scene):
    free, held = (list(project(*scene, 2, replace(SHORT, prior=p)))[-1].w for p in (0.0, 10.0))
    likely = scene[1].whiten
    assert likely(held).square().sum() < likely(free).square().sum()


def test_the_course_warms_up_and_cools_down():
    course = Course(steps=200, rate=0.5)
    rates = [course.rate_at(n) for n in range(200)]
    assert rates[0] == 0 and max(rates) == 0.5 and rates[199] < 0.01
    assert course.shake_at(0) == 0.05 and course.shake_at(150) == 0


def test_true_noise_is_regular():
    noise = [torch.randn(1, 1, 32, 32)]
    smooth = [torch.nn.functional.avg_pool2d(torch.randn(1, 1, 34, 34), 3, 1)]
    normalise_noise(smooth)
    torch.testing.assert_close(smooth[0].std(), torch.tensor(1.0))
    assert noise_regularity(noise) < 0.1 * noise_regularity(smooth)


def test_identity_looks_at_the_middle():
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    identity = Identity(net)
    image = torch.rand(2, 3, 128, 128) - 0.5
    features = identity(image)
    torch.testing.assert_close(identity.loss(features, image), torch.zeros(2), atol=1e-6, rtol=0)
    edges = image.clone()
    edges[:, :, :16] = 1
    torch.testing.assert_close(identity(edges), features)
    assert face_crop(image).shape == (2, 3, 112, 112)
    swapped = Identity(net, bgr=True)(image.flip(1))
    torch.testing.assert_close(swapped, features)


def test_pictures_and_images(rng):
    picture = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    target = prepared([picture, picture], 10)
    assert target.shape == (2, 3, 10, 10) and target.abs().max() <= 1
    same = prepared([picture[:, 5:25]], 20)
    np.testing.assert_allclose(pixels_of(same)[0], picture[:, 5:25], atol=1)
    assert pixels_of(torch.full((1, 3, 2, 2), 3.0)).max() == 255
    assert block_means(torch.zeros(1, 3, 32, 32), 8).shape[2] == 8
    assert block_means(torch.zeros(1, 3, 4, 4), 8).shape[2] == 4

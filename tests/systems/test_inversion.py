from dataclasses import replace

import numpy as np
import pytest
import torch
from systems.test_voicestyle import generator, space, whole  # noqa: F401

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.latent.losses import pyramid_differences
from voicemesh.latent.projection import Course, pixels_of
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.lpips import Lpips
from voicemesh.systems.inversion import SHORT, Inverter
from voicemesh.systems.voicestyle import GENERATOR

QUICK = replace(SHORT, course=Course(steps=15, rate=0.1, shake=0.0))


@pytest.fixture
def pictures(whole):  # noqa: F811
    with torch.no_grad():
        return list(pixels_of(whole.images(whole.members.w[:2])))


def test_inversion_by_our_own_features_comes_nearer(whole, pictures):  # noqa: F811
    inverter = Inverter(whole.generator, whole.statistics, encoder=whole)
    steps = list(inverter.invert(pictures, QUICK))
    assert (steps[-1].loss < 0.9 * steps[0].loss).all()


def test_an_encoder_starts_nearer(whole, pictures):  # noqa: F811
    known = whole.members
    whole.start.linear.weight.data.zero_()
    v = whole.statistics.whiten(known.w[:1])[0]
    whole.start.linear.bias.data.copy_(v)
    target = torch.zeros(1, 3, 8, 8)
    guess = Inverter(whole.generator, whole.statistics, encoder=whole).guess(target)
    torch.testing.assert_close(guess, known.w[:1], atol=1e-2, rtol=1e-2)
    assert Inverter(whole.generator, whole.statistics).guess(target) is None


def test_the_published_networks_are_used_where_they_are(whole, pictures, tmp_path):  # noqa: F811
    writer = BundleWriter(tmp_path, "published", largest=None)
    nets = {
        GENERATOR: whole.generator,
        "lpips": Lpips(((1, 4), (1, 4))),
        "identity-encoder": IrBackbone((1,), (16,), features=4, reduction=16, dropout=0.6),
    }
    for part, net in nets.items():
        writer.net(part, net, upstream.arguments_of(net))
    inverter = Inverter.from_bundle(Bundle.open(tmp_path))
    first = next(inverter.invert([np.zeros((9, 12, 3), np.uint8)]))
    assert first.w.shape == (1, 5) and len(first.noise) == 3
    torch.testing.assert_close(first.w, inverter.statistics.mean[None])


def test_edges_count_for_every_image_by_itself():
    image = torch.rand(3, 3, 32, 32)
    apart = [pyramid_differences(image[n : n + 1], image[:1]) for n in range(3)]
    together = pyramid_differences(image, image[:1].expand(3, -1, -1, -1))
    torch.testing.assert_close(together, torch.cat(apart))
    assert together[0] == 0 and together[1] > 0.1

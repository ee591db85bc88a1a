from dataclasses import replace

import numpy as np
import pytest
import torch
from systems.test_voicestyle import generator, space, whole  # noqa: F401

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import (
    STYLEGAN2_ENCODER,
    STYLEGAN2_GENERATOR,
    STYLEGAN2_STATISTICS,
    VOICESTYLE_STATISTICS,
)
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.latents import latents_of
from voicemesh.gallery.media import picture_bytes
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter
from voicemesh.latent.losses import pyramid_differences
from voicemesh.latent.projection import Course, pixels_of, prepared
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.lpips import Lpips
from voicemesh.systems.inversion import SHORT, Inverter

QUICK = replace(SHORT, course=Course(steps=15, rate=0.1, shake=0.0))


@pytest.fixture
def pictures(whole):  # noqa: F811
    with torch.no_grad():
        return list(pixels_of(whole.images(whole.members.w[:2])))


@pytest.fixture
def encoder(whole):  # noqa: F811
    """It has one answer: the latent of the first known face."""
    net = IrBackbone((1,), (16,), 8, 5, reduction=4, dropout=0.0)
    norm = net.output_layer[-1]
    norm.weight.data.zero_()
    norm.bias.data.copy_(whole.statistics.whiten(whole.members.w[:1])[0])
    return net


def test_inversion_by_our_own_features_comes_nearer(whole, pictures):  # noqa: F811
    identity = IrBackbone((1,), (16,), features=4, reduction=4)
    inverter = Inverter(whole.generator, whole.statistics, identity=identity)
    steps = list(inverter.invert(pictures, QUICK))
    assert (steps[-1].loss < 0.9 * steps[0].loss).all()


def test_an_encoder_starts_nearer(whole, pictures, encoder):  # noqa: F811
    inverter = Inverter(whole.generator, whole.statistics, encoder=encoder)
    guess = inverter.guess(torch.zeros(1, 3, 8, 8))
    torch.testing.assert_close(guess, whole.members.w[:1], atol=1e-2, rtol=1e-2)
    bare = Inverter(whole.generator, whole.statistics)
    assert bare.guess(torch.zeros(1, 3, 8, 8)) is None
    starts = [next(one.invert(pictures[:1], QUICK)).loss for one in (inverter, bare)]
    near = inverter.nearness(prepared(pictures[:1], whole.generator.size))
    with torch.no_grad():  # not zero: the picture's pixels are clipped
        known = near(whole.images(whole.members.w[:1]))
    torch.testing.assert_close(starts[0], known, atol=1e-2, rtol=0)
    assert starts[0] < 0.5 * starts[1]


def test_half_precision_leads_to_the_same_latents(whole, pictures):  # noqa: F811
    found = []
    for half in (None, torch.bfloat16):
        inverter = Inverter(whole.generator, whole.statistics, half=half)
        *_, last = inverter.invert(pictures, QUICK)
        found.append(last)
    torch.testing.assert_close(found[1].loss, found[0].loss, atol=0.02, rtol=0.1)
    assert (found[1].w - found[0].w).norm() < 0.2 * (found[0].w - whole.statistics.mean).norm()


def test_latents_are_kept_with_a_gallery(whole, pictures, encoder, tmp_path):  # noqa: F811
    writer = GalleryWriter(tmp_path / "gallery", "small", {})
    shown = [None, picture_bytes(pictures[1]), picture_bytes(pictures[0])]
    writer.add("all", [NewEntry(f"p{n}", picture=p) for n, p in enumerate(shown)])
    gallery = writer.finish(["all"])
    inverter = Inverter(whole.generator, whole.statistics, encoder=encoder)
    kept = inverter.keep_with(gallery, {STYLEGAN2_GENERATOR: "this"})
    found = latents_of(kept, {STYLEGAN2_GENERATOR: "this", "other": "x"})
    assert found.entries.tolist() == [1, 2] and found.w.shape == (2, 5)
    assert latents_of(kept, {STYLEGAN2_GENERATOR: "another"}) is None
    again = inverter.keep_with(kept, {STYLEGAN2_GENERATOR: "that"})
    assert len(list(tmp_path.glob("gallery/latents-*"))) == 1
    assert latents_of(again, {STYLEGAN2_GENERATOR: "that"}) is not None
    assert len(FolderGallery(tmp_path / "gallery")) == 3  # every file as the manifest says
    (name,) = tmp_path.glob("gallery/latents-*")
    name.write_bytes(name.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="sha256"):
        FolderGallery(tmp_path / "gallery")


def test_the_published_networks_are_used_where_they_are(whole, pictures, tmp_path):  # noqa: F811
    writer = BundleWriter(tmp_path, "published", largest=None)
    nets = {
        STYLEGAN2_GENERATOR: whole.generator,
        "lpips": Lpips(((1, 4), (1, 4))),
        "identity-encoder": IrBackbone((1,), (16,), features=4, reduction=16, dropout=0.6),
    }
    for part, net in nets.items():
        writer.net(part, net, upstream.arguments_of(net))
    inverter = Inverter.from_bundle(Bundle.open(tmp_path))
    first = next(inverter.invert([np.zeros((9, 12, 3), np.uint8)]))
    assert first.w.shape == (1, 5) and len(first.noise) == 3
    torch.testing.assert_close(first.w, inverter.statistics.mean[None])


def test_pictures_are_inverted_by_the_law_that_the_encoder_tells(whole, encoder, tmp_path):  # noqa: F811
    law = whole.statistics
    writer = BundleWriter(tmp_path, "ours")
    for part, axes in ((STYLEGAN2_STATISTICS, len(law.axes)), (VOICESTYLE_STATISTICS, 2)):
        writer.tensors(part, law.shortened(axes).tensors())
    writer.net(STYLEGAN2_GENERATOR, whole.generator, upstream.arguments_of(whole.generator))
    bundle = Bundle.open(tmp_path)
    assert len(Inverter.from_bundle(bundle).statistics.axes) == 2  # those of a search
    writer.net(STYLEGAN2_ENCODER, encoder, upstream.arguments_of(encoder))
    inverter = Inverter.from_bundle(Bundle.open(tmp_path))
    assert len(inverter.statistics.axes) == len(law.axes) == 5
    known = whole.members.w[:1]
    torch.testing.assert_close(inverter.guess(torch.zeros(1, 3, 8, 8)), known, atol=0.02, rtol=0.02)


def test_edges_count_for_every_image_by_itself():
    image = torch.rand(3, 3, 32, 32)
    apart = [pyramid_differences(image[n : n + 1], image[:1]) for n in range(3)]
    together = pyramid_differences(image, image[:1].expand(3, -1, -1, -1))
    torch.testing.assert_close(together, torch.cat(apart))
    assert together[0] == 0 and together[1] > 0.1

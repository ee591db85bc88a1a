import numpy as np
import pytest
import torch
from whole_bundles import write_whole_bundle

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import STYLEGAN2_GENERATOR
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.latents import Latents, keep
from voicemesh.gallery.leaning import SexAxis
from voicemesh.pipeline.imagining import Imaginer
from voicemesh.pipeline.matching import Matcher
from voicemesh.systems.voicestyle import Wish


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    """The people of its gallery have latents."""
    folder = write_whole_bundle(tmp_path_factory.mktemp("bundle"))
    bundle = Bundle.open(folder)
    w = torch.randn(12, bundle.net(STYLEGAN2_GENERATOR).features).numpy()
    latents = Latents(np.arange(12, dtype=np.int32), w)
    keep(
        FolderGallery(folder / "gallery"),
        latents,
        {STYLEGAN2_GENERATOR: bundle.part(STYLEGAN2_GENERATOR).sha256},
    )
    BundleWriter(folder, "whole").gallery(folder / "gallery")
    return Bundle.open(folder)


def test_images_grow_from_true_pictures_of_the_gallery(bundle):
    imaginer = Imaginer(bundle, torch.device("cpu"))
    speech = np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)
    heard = imaginer.hear(speech)
    grown = imaginer.prototypes(heard, Wish())
    assert grown.shown == (True,) * 8 and grown.weights.sum() == pytest.approx(1)
    rows, _ = imaginer.system.neighbours(heard.voice)
    entry = int(imaginer.system.members.entry[rows[0]])
    size = imaginer.system.generator.size
    assert grown.pixels.shape == (8, size, size, 3)
    colour = imaginer.gallery.picture(entry).mean((0, 1))
    np.testing.assert_allclose(grown.pixels[0].mean((0, 1)), colour, atol=2)
    assert imaginer.first(speech).pixels.shape == (1, size, size, 3)


def test_images_follow_the_sex_that_the_mesh_heard(bundle):
    imaginer = Imaginer(bundle, torch.device("cpu"))
    speech = np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)
    heard = imaginer.hear(speech)
    known, same = imaginer.axis, Matcher(bundle, torch.device("cpu")).axis("cmpc")
    assert (known is None) == (same is None)
    if known is not None:
        np.testing.assert_array_equal(known.direction, same.direction)
    direction = np.eye(len(heard.voice))[0]
    at = float(heard.voice[0])
    imaginer.axis = SexAxis(direction, {"female": at - 0.1, "male": at - 0.7})
    assert torch.equal(imaginer.hear(speech, "female").voice, heard.voice)
    assert torch.equal(imaginer.hear(speech).voice, heard.voice)
    led = imaginer.hear(speech, "male").voice
    assert led.dtype == heard.voice.dtype and float(led.norm()) == pytest.approx(1, abs=1e-5)
    assert float(led[0]) < at - 0.3
    first = imaginer.system.first(imaginer.hear(speech, "male"))
    assert not torch.allclose(first, imaginer.system.first(heard))

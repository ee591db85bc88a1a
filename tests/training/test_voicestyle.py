import numpy as np
import torch
from torch.nn import functional

from voicemesh.latent.statistics import bent
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.voicestyle import LatentStart
from voicemesh.systems.cmpc import Cmpc
from voicemesh.training.data import FeatureSet
from voicemesh.training.voicestyle import (
    Shown,
    StartRecipe,
    bridge,
    chosen_rows,
    fit,
    more_heads,
    shown,
)

RECIPE = StartRecipe(axes=4, hidden=8, steps=150, batch_size=64, held_out=0.2)


def test_a_voice_finds_what_it_tells(rng):
    torch.manual_seed(0)
    truth = torch.randn(300, 4)
    seen = Shown(bent(truth), functional.normalize(truth @ torch.randn(4, 6) + 0.1))
    owners = np.arange(200).repeat(2)
    told = torch.cat([truth[owners][:, :2], torch.randn(400, 2)], 1)
    voices = functional.normalize(told @ torch.randn(4, 6) + 0.3)
    statistics, start, results = fit(seen, 200, voices, owners, RECIPE)
    assert results["told_by_faces"] > 0.7
    assert 0.25 < results["told_by_voices"] < 0.6  # a voice tells half of it
    assert len(statistics.axes) == 4
    left = start.open.square().sum() / 4
    assert abs(float(left) - (1 - results["told_by_voices"])) < 0.15
    expected = start.of_voice(voices[:1])
    luck = start.of_voice(voices[:1].expand(500, -1), torch.randn(500, 4))
    assert (luck.mean(0) - expected).abs().max() < 0.2
    assert float(luck.var(0).sum()) > 1


def test_the_bridge_takes_voices_to_faces():
    voices = torch.randn(500, 5)
    faces = voices @ torch.randn(5, 5) + 2
    start = LatentStart(5, 2)
    bridge(start, voices, faces, 1e-6)
    torch.testing.assert_close(start.as_face(voices), faces, atol=1e-3, rtol=1e-3)


def test_images_are_seen_as_they_are_made():
    space = Cmpc(
        FeatureVoiceEncoder(widths=(4,) * 4, embedding=6), GridFaceEncoder(16, (1,), (4,), 2, 6)
    )
    generator = Generator((6, 6), style=8, depth=1).requires_grad_(False)
    seen = shown(generator, space, torch.randn(40, 5))
    assert seen.w.shape == (40, 8) and seen.faces.shape == (40, 6)
    torch.testing.assert_close(seen.faces.norm(dim=1), torch.ones(40))


def test_more_heads_follow_the_same_law(rng):
    z = torch.randn(4000, 3) @ torch.tensor([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 0]]) + 1
    more = more_heads(z, 4000, rng)
    torch.testing.assert_close(more.mean(0), z.mean(0), atol=0.1, rtol=0)
    np.testing.assert_allclose(np.cov(more.T), np.cov(z.T), atol=0.12)


def test_few_recordings_of_each_person_and_none_without_a_channel():
    identity = np.array([3, 3, 3, 5, 5, 9])
    clean = np.array([True, False, False, False, False, False])
    cached = FeatureSet((), identity, np.zeros(6, np.int64), clean)
    assert chosen_rows(cached, np.array([3, 5]), 1).tolist() == [1, 3]
    assert chosen_rows(cached, np.array([3, 5]), 9).tolist() == [1, 2, 3, 4]

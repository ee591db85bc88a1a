import numpy as np
import pytest
import torch
from torch import nn

from voicemesh.evaluation.voicestyle import Reader, correlation, figures, plain_limit, refinement
from voicemesh.images import Convention
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import Generator
from voicemesh.systems.association import VoiceFaceSpace
from voicemesh.systems.voicestyle import Heard, VoiceStyle


class Means(VoiceFaceSpace):
    """A space whose face embedding is the mean colour and a constant."""

    parts, convention = ("voice", "face"), Convention(8)

    def windows(self, speech):
        return speech[None]


class Colour(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, image):
        means = image.mean((2, 3))
        return torch.cat([means, self.one.expand(len(image), 1)], 1)


@pytest.fixture
def space():
    return Means(Colour(), Colour())


def people(rng, count):
    """Men are red, the old are blue."""
    male, age = rng.random(count) < 0.5, rng.uniform(20, 80, count)
    pixels = np.zeros((count, 8, 8, 3), np.uint8)
    pixels[..., 0] = np.where(male, 200, 60)[:, None, None]
    pixels[..., 1] = rng.integers(100, 150, count)[:, None, None]
    pixels[..., 2] = (3 * age).astype(np.uint8)[:, None, None]
    return list(pixels), male, age


def test_sex_and_age_are_read_off_faces(rng, space):
    reader = Reader.fit(space, *people(rng, 200))
    pixels, male, age = people(rng, 60)
    faces = space.embed_faces(pixels).numpy()
    told = figures(reader, space, pixels, faces, male, age)
    assert told["sex"] == 1 and told["age"] > 0.95 and told["identity"] == 1
    same = figures(reader, space, pixels[:1] * 60, faces, male, age)
    assert same["age"] == 0 and 0.4 < same["identity"] < 0.6
    assert same["sex"] == pytest.approx((male == male[0]).mean())


def test_refinement_is_judged(space):
    torch.manual_seed(1)
    generator = Generator((6, 6), style=5, depth=2)
    statistics = Statistics.sampled(generator, samples=300)
    system = VoiceStyle(generator, statistics, space, judge=space)
    voices = [Heard(v, v) for v in nn.functional.normalize(torch.randn(2, 4))]
    told = refinement(system, voices)
    assert told["voices"] == 2 and told["raised"] == 1
    assert told["similarity after"] > told["similarity before"]
    assert told["judge's gain"] == pytest.approx(
        told["similarity after"] - told["similarity before"], abs=1e-4
    )
    assert len(told["pixels"]) == 2
    assert 1.0 < plain_limit(system, 0) < 4.0


def test_what_never_changes_correlates_with_nothing():
    assert correlation(np.ones(4), np.arange(4.0)) == 0
    assert correlation(np.arange(4.0), -np.arange(4.0)) == pytest.approx(-1)

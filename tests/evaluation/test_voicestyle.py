from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from voicemesh.evaluation import realness, voicestyle, voicestyle_sheets
from voicemesh.evaluation.face_reading import Look, Reader, correlation, figures
from voicemesh.evaluation.voicestyle import Judges, Seen, plain_limit, refinement, table
from voicemesh.evaluation.voicestyle_images import drawn_images, samples_of
from voicemesh.images import Convention
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.portrait_critic import PortraitCritic
from voicemesh.nets.stylegan2 import Discriminator, Generator
from voicemesh.systems.association import VoiceFaceSpace
from voicemesh.systems.inversion import Inverter
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
    reader = Reader.fit(Look(space), *people(rng, 200))
    pixels, male, age = people(rng, 60)
    faces = pixels = np.stack(pixels)
    told = figures(reader, pixels, faces, male, age)
    assert told["sex"] == 1 and told["age"] > 0.95 and told["identity"] == 1
    blind = pixels.copy()
    blind[male, ..., 2] = 150  # only the women's ages are seen
    of_sexes = figures(reader, blind, faces, male, age)
    assert of_sexes["age of women"] > 0.9 and abs(of_sexes["age of men"]) < 0.6
    same = figures(reader, np.repeat(pixels[:1], 60, 0), faces, male, age)
    assert same["age"] == 0 and 0.4 < same["identity"] < 0.6
    assert same["sex"] == pytest.approx((male == male[0]).mean())


@pytest.fixture
def system(space):
    torch.manual_seed(1)
    generator = Generator((6, 6), style=5, depth=2)
    return VoiceStyle(generator, Statistics.sampled(generator, samples=300), space, judge=space)


def test_refinement_is_judged(system):
    voices = [Heard(v, v) for v in nn.functional.normalize(torch.randn(2, 4))]
    told, pixels = refinement(system, voices)
    assert told["voices"] == 2 and told["raised"] == 1 and told["least gain"] > 0
    assert told["similarity after"] > told["similarity before"]
    assert told["judge's gain"] == pytest.approx(
        told["similarity after"] - told["similarity before"], abs=1e-4
    )
    assert pixels.shape == (2, 8, 8, 3)
    assert 1.0 < plain_limit(system, 0) < 4.0


def test_generated_faces_are_told_from_true_ones(rng):
    true, made = rng.normal(size=(400, 3)), rng.normal(size=(400, 3))
    made[:, 0] += 3
    apart = realness.Classifier.fit(true, made)
    assert apart.accuracy > 0.9 and (apart.scores(made) > 0).mean() < 0.1
    alike = realness.Classifier.fit(true, rng.normal(size=(400, 3)))
    assert 0.4 < alike.accuracy < 0.6
    plain = rng.normal(size=1000)
    assert realness.within(plain, plain) == pytest.approx(0.95, abs=0.01)
    assert realness.within(plain + 9, plain) == 0


def test_the_frechet_distance_of_gaussians(rng):
    a = rng.normal(size=(20_000, 2))
    b = rng.normal(size=(20_000, 2)) * [2, 1] + [0, 3]
    assert realness.frechet_distance(a, b) == pytest.approx(9 + 1, abs=0.3)
    assert realness.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_a_discriminator_judges_each_image_by_itself(rng):
    torch.manual_seed(0)
    critic = Discriminator((4, 4)).eval()
    pixels = rng.integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    scores = realness.discriminator_scores(critic, pixels)
    np.testing.assert_allclose(scores[5:], realness.discriminator_scores(critic, pixels[5:]))
    assert len(scores) == 6 and scores.std() > 0


def test_a_run_without_a_discriminator_is_refused(tmp_path):
    with pytest.raises(ValueError, match="adversarial stage"):
        realness.critic_of(tmp_path)
    for step, critic in ((10, Discriminator((4, 6), 3)), (9, PortraitCritic(4, 3))):
        (tmp_path / f"state-{step}").mkdir()
        save_file(critic.state_dict(), tmp_path / f"state-{step}" / realness.CRITIC)
    assert realness.critic_of(tmp_path).widths == (4, 6)  # of the newest state
    (tmp_path / "state-10" / realness.CRITIC).unlink()
    patches = realness.critic_of(tmp_path)
    assert patches.width == 4
    pixels = np.zeros((3, 16, 16, 3), np.uint8)
    pixels[1] = 99
    scores = realness.discriminator_scores(patches, pixels)
    assert scores[0] == scores[2] != scores[1]
    with pytest.raises(ValueError, match=r"Inception weights|torchmetrics"):
        realness.fid([], [], tmp_path / "none")


def test_inception_distance_by_torchmetrics(rng):
    pytest.importorskip("torchmetrics")

    class Means(nn.Module):
        num_features = 3

        def forward(self, image):
            return image.float().mean((2, 3))

    true, other = (
        [rng.integers(low, low + 90, (8, 8, 3)).astype(np.uint8) for _ in range(60)]
        for low in (0, 120)
    )
    near = realness.fid(true[:30], true[30:], Path("none"), Means())
    assert realness.fid(true, other, Path("none"), Means()) > 10 * near


def test_realness_and_sheets_of_all_images(system, space, rng, tmp_path):
    true = rng.integers(0, 255, (30, 8, 8, 3)).astype(np.uint8)
    heard = tuple(Heard(v, v) for v in nn.functional.normalize(torch.randn(3, 4)))
    samples = samples_of(system, 40, 0)
    seen = Seen(
        true[:3], samples[:3], samples[3:5], samples, heard, true, drawn_images(system, 20, 0)
    )
    told = voicestyle.realness(Judges(Look(space)), seen, true)
    assert told["refined in range"] >= 0 and told["score"].startswith("classifier")
    assert told["frechet of our features"] > told["frechet of true portraits"] >= 0
    assert told["classifier right"] > 0.5
    assert told["drawn classifier right"] > 0.9 and told["drawn taken for true"] < 0.2
    assert "classifier" in table({"people": 3, "realness": told})
    inverter = Inverter(system.generator, system.statistics)
    inverter.invert = lambda pictures: iter([SimpleNamespace(w=torch.zeros(len(pictures), 5))])
    written = voicestyle_sheets.write(tmp_path, seen, system, inverter)
    sizes = {path.name: Image.open(path).size for path in written}
    assert sizes["samples.jpg"] == (2 * 64 + 12, 3 * 8)
    assert sizes["voices.jpg"] == (7 * 8, 2 * 8)
    assert sizes["inversions.jpg"] == (2 * 2 * 8 + 12, 6 * 8)


def test_what_never_changes_correlates_with_nothing():
    assert correlation(np.ones(4), np.arange(4.0)) == 0
    assert correlation(np.arange(4.0), -np.arange(4.0)) == pytest.approx(-1)

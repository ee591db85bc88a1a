from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from voicemesh.latent.statistics import Statistics, bent
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.voicestyle import VoiceStart
from voicemesh.population.law import draw
from voicemesh.systems.cmpc import Cmpc
from voicemesh.training.data import FeatureSet
from voicemesh.training.inversion import EncoderRecipe, begin_as, fit_encoder, samples_of
from voicemesh.training.voicestyle import latents_of
from voicemesh.training.voicestyle_start import (
    StartRecipe,
    bridge,
    chosen_rows,
    faces_of,
    fit,
    longer,
    traits_of,
)

RECIPE = StartRecipe(axes=6, told=4, held_out=0.2)


def test_a_start_moves_along_what_voices_tell_and_nothing_else():
    torch.manual_seed(0)
    told = torch.randn(600, 3)  # sex, age, size
    latent = torch.cat([told, torch.randn(600, 3)], 1)
    w = bent(latent)
    statistics = Statistics.of(w)
    faces = functional.normalize(latent @ torch.randn(6, 6) + 0.1)
    owners = np.arange(600).repeat(2)
    heard = torch.cat([told[owners, :2], torch.randn(1200, 2)], 1)  # of the size it tells nothing
    voices = functional.normalize(heard @ torch.randn(4, 6) + 0.2)
    start, results = fit(statistics, w, faces, told, voices, owners, RECIPE)
    assert results["directions"] == len(start.directions) == 2
    assert results["age of starts"] > 0.75 and results["explained of direction 1"] > 0.5
    torch.testing.assert_close(start.readings @ start.directions.T, torch.eye(2))
    v = statistics.whiten(w)[owners]
    moved = start(voices, torch.zeros_like(v))
    lent = torch.randn(1200, 6)
    apart = start(voices, lent) - start(voices, torch.zeros(1200, 6))
    assert start.places(apart).abs().max() < 1e-4
    for trait in range(2):  # what is lent changes neither the sex nor the age
        read = torch.linalg.lstsq(v, told[owners, trait : trait + 1]).solution[:, 0]
        assert (apart @ read).std() < 0.2 * (lent @ read).std()
    fits = torch.stack([start.fits(one, faces) for one in voices[:100]])
    off = (told[None, :, :2] - told[owners[:100], None, :2]).square().sum(2)
    assert off.gather(1, fits.argmax(1)[:, None]).median() < 0.2 * off.mean()
    left = start.places(v - moved)
    torch.testing.assert_close(torch.cov(left.T), start.open @ start.open, atol=0.15, rtol=0.3)


def test_a_voice_heard_for_longer_is_the_mean_of_its_recordings():
    voices = functional.normalize(torch.tensor([[1.0, 0], [0, 1], [0, 1]]))
    more, own = longer(voices, torch.tensor([4, 4, 7]))
    assert own.tolist() == [4, 4, 7, 4]
    torch.testing.assert_close(more[3], torch.full((2,), 0.5**0.5))


def test_the_bridge_takes_voices_to_faces():
    voices = torch.randn(500, 5)
    faces = voices @ torch.randn(5, 5) + 2
    start = VoiceStart(5, 2, 1)
    bridge(start, voices, faces, 1e-6)
    torch.testing.assert_close(start.as_face(voices), faces, atol=1e-3, rtol=1e-3)


def test_images_are_seen_as_they_are_made():
    space = Cmpc(
        FeatureVoiceEncoder(widths=(4,) * 4, embedding=6), GridFaceEncoder(16, (1,), (4,), 2, 6)
    )
    generator = Generator((6, 6), style=8, depth=1).requires_grad_(False)
    w = latents_of(generator, torch.randn(40, 5))
    faces = faces_of(generator, space, w)
    assert w.shape == (40, 8) and faces.shape == (40, 6)
    torch.testing.assert_close(faces.norm(dim=1), torch.ones(40))


def test_traits_are_scores_sex_and_age_first():
    people = draw(200, 1)
    traits = traits_of(people)
    torch.testing.assert_close(traits.mean(0), torch.zeros(20), atol=1e-5, rtol=0)
    assert float(
        torch.corrcoef(torch.stack([traits[:, 1], torch.from_numpy(people.age).float()]))[0, 1]
    ) == pytest.approx(1)
    assert set(np.sign(traits[:, 0].numpy())) == {-1, 1}


def test_few_recordings_of_each_person_and_none_without_a_channel():
    identity = np.array([3, 3, 3, 5, 5, 9])
    clean = np.array([True, False, False, False, False, False])
    cached = FeatureSet((), identity, np.zeros(6, np.int64), clean)
    assert chosen_rows(cached, np.array([3, 5]), 1).tolist() == [1, 3]
    assert chosen_rows(cached, np.array([3, 5]), 9).tolist() == [1, 2, 3, 4]


def test_an_encoder_learns_where_samples_are():
    torch.manual_seed(3)
    generator = Generator((8, 8, 8), style=3, depth=1).requires_grad_(False)
    statistics = Statistics.sampled(generator, samples=400)
    pixels, v = samples_of(generator, statistics, 20, seed=5)
    recipe = EncoderRecipe((1, 1), (8, 8), 4, samples=300, steps=120, batch_size=32, held_out=60)
    net, told = fit_encoder(generator, statistics, pixels, v, recipe)
    assert told["told"] > 0.3 and net(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
    turned = Statistics(  # other axes of the same space: the last layer alone has to change
        statistics.mean, statistics.radius, statistics.centre, statistics.axes.flip(0)
    )
    quick = replace(recipe, steps=0, samples=400)
    _, again = fit_encoder(
        generator, turned, pixels, turned.whiten(statistics.unwhiten(v)), quick, [net]
    )
    assert again["told"] > 0.3


def test_an_encoder_begins_as_another_net():
    arguments = {"units": (1,), "widths": (4,), "side": 8, "reduction": 2, "dropout": 0.0}
    older, net = (IrBackbone(**arguments, features=n) for n in (3, 5))
    begin_as(net, older)
    torch.testing.assert_close(net.input_layer[0].weight, older.input_layer[0].weight)
    assert net.output_layer[3].weight.shape[0] == 5

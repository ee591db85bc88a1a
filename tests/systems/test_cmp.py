"""The supervised perceptionist: front ends, invariances, both kinds of face model."""

import pytest
import torch
from evaluation.toys import toy_face_model

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.systems.cmp import CrossModalPerceptionist, front_end_of, shape_gram


@pytest.fixture
def ours():
    model = toy_face_model()
    statistics = {
        "mean_male": torch.full((40,), -0.5),
        "mean_female": torch.full((40,), 0.5),
        "log_f0_scale": torch.tensor([5.0, 0.3]),
        "log_vtl_scale": torch.tensor([2.8, 0.1]),
        "age_scale": torch.tensor([40.0, 10.0]),
    }
    voice = VoiceEncoder(112, (8, 8), 16)
    return CrossModalPerceptionist(
        front_end_of(voice), voice, SupervisedHead(16), model, VoiceTraits(16), statistics
    )


@pytest.fixture
def speech():
    time = torch.arange(32_000) / 16_000
    return torch.sign(torch.sin(800 * time)) * 0.1 + 0.01 * torch.randn(32_000)


def test_level_and_polarity_do_not_matter(ours, speech):
    plain = ours.parameters(speech)
    torch.testing.assert_close(ours.parameters(-0.02 * speech), plain, atol=1e-3, rtol=1e-3)


def test_a_batch_is_its_voices(ours, speech):
    both = ours.perceive(torch.stack([speech, speech.flip(0)]))
    alone = ours.perceive(speech.flip(0)[None])
    torch.testing.assert_close(both.parameters[1:], alone.parameters, atol=1e-4, rtol=1e-4)
    assert both.embedding.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_traits_are_told_in_their_units(ours, speech):
    seen = ours.perceive(speech[None])
    torch.testing.assert_close(seen.pitch_hz.log(), 5.0 + 0.3 * seen.traits[:, 1])
    torch.testing.assert_close(seen.tract_cm.log(), 2.8 + 0.1 * seen.traits[:, 2])
    torch.testing.assert_close(seen.age, 40.0 + 10.0 * seen.traits[:, 3])


def test_the_mesh_is_that_of_the_parameters(ours, speech):
    seen, mesh = ours.perceive(speech[None]), ours.mesh(speech)
    expected = ours.face_model.vertices(seen.parameters[0, 1:41], seen.parameters[0, 41:])
    torch.testing.assert_close(torch.from_numpy(mesh.vertices), expected)


def test_sex_is_that_of_the_nearer_mean_mesh(ours):
    params = torch.randn(30, 40) * 0.3
    means = [ours.statistics[name] for name in ("mean_male", "mean_female")]
    men, women = (ours.face_model.vertices(mean) for mean in means)
    meshes = ours.face_model.vertices(params)
    nearer = (meshes - women).flatten(1).norm(dim=1) <= (meshes - men).flatten(1).norm(dim=1)
    assert torch.equal(ours.female(params), nearer)
    assert 0 < nearer.sum() < 30
    assert shape_gram(ours.face_model).shape == (40, 40)


def test_published_nets_read_the_published_features(speech):
    voice = VoiceEncoder(64, (8, 8), 16)
    system = CrossModalPerceptionist(
        front_end_of(voice), voice, SupervisedHead(16), toy_face_model()
    )
    assert system.front_end is FRONT_ENDS["cmp"]
    seen = system.perceive(speech[None])
    assert seen.parameters.shape == (1, 51) and seen.pitch_hz is None
    with pytest.raises(ValueError, match="no part 'cmp-statistics'"):
        system.female(seen.shape_params)
    features = system.front_end(speech[None])
    assert torch.equal(system.perceive_published(features).parameters, seen.parameters)


def test_published_features_need_a_net_that_reads_them(ours, speech):
    features = FRONT_ENDS["cmp"](speech[None])
    with pytest.raises(ValueError, match="a bundle needs 'cmp-feature-encoder'"):
        ours.perceive_published(features)
    reader = VoiceEncoder(64, (8, 8), 16)
    nets = ours.voice, ours.head, ours.face_model, ours.traits, ours.statistics
    both = CrossModalPerceptionist(ours.front_end, *nets, feature_voice=reader)
    with torch.inference_mode():
        heard = torch.nn.functional.normalize(reader(features))
    torch.testing.assert_close(both.perceive_published(features).embedding, heard)


def test_something_must_make_a_face(ours):
    with pytest.raises(ValueError, match="none is given"):
        CrossModalPerceptionist(ours.front_end, ours.voice, None, ours.face_model)


def test_an_encoder_of_unknown_features_is_refused():
    with pytest.raises(ValueError, match="reads 77 channels"):
        front_end_of(VoiceEncoder(77, (8,), 16))


@pytest.mark.parametrize("name", ["cmp", "voicemesh", "voicemesh-cycles"])
def test_an_encoder_hears_through_the_front_end_of_its_channels(name):
    front_end = FRONT_ENDS[name]
    assert front_end_of(VoiceEncoder(front_end.channels, (8,), 16)) is front_end

"""Published layouts and arguments of the Cross-Modal Perceptionist networks."""

import torch
import torch.nn.functional as F

from voicemesh.nets.cmp import (
    TRAITS,
    EmbeddingClassifier,
    FaceEmbedder,
    FaceGenerator,
    SupervisedHead,
    VoiceEncoder,
    VoiceTraits,
)


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_published_sizes():
    assert parameters(VoiceEncoder()) == 2_670_720
    assert parameters(SupervisedHead()) == 3_315
    assert parameters(FaceGenerator()) == 12_191_875
    assert parameters(FaceEmbedder()) == 3_310_720
    assert parameters(EmbeddingClassifier(64, 924)) == 64 * 924


def test_encoder_follows_its_arguments():
    net = VoiceEncoder(input_channels=7, widths=(8, 12), embedding=5).eval()
    assert [key for key in net.state_dict() if "bias" in key] == [
        "model.1.bias",
        "model.4.bias",
        "model.6.bias",
    ]
    for frames in (1, 2, 33):
        assert net(torch.randn(3, 7, frames)).shape == (3, 5)


def test_embedding_is_the_mean_over_frames():
    net = VoiceEncoder(3, (4,), 2).eval()
    features = torch.randn(2, 3, 41)
    torch.testing.assert_close(net(features), net.model(features).mean(2))


def test_head_puts_scale_first_and_is_linear():
    net = SupervisedHead(embedding=6, shape_params=4, expression_params=3).eval()
    a, b = F.normalize(torch.randn(2, 2, 6), dim=-1)
    assert net(a).shape == (2, 8)
    torch.testing.assert_close(net(a)[:, :1], net.classifier_scale[1](a))
    torch.testing.assert_close(net(a)[:, 5:], net.classifier_exp[1](a))
    torch.testing.assert_close(net((a + b) / 2), (net(a) + net(b)) / 2)


def test_head_drops_in_training_only():
    net, unit = SupervisedHead(dropout=0.5), F.normalize(torch.ones(1, 64), dim=-1)
    assert not torch.equal(net.train()(unit), net(unit))
    assert torch.equal(net.eval()(unit), net(unit))


def test_traits_have_names():
    assert VoiceTraits(embedding=9)(torch.zeros(2, 9)).shape == (2, len(TRAITS))


def test_faces_double_with_every_width_and_critics_undo_it():
    faces = FaceGenerator(5, (8, 6, 4))(F.normalize(torch.randn(2, 5)))
    assert faces.shape == (2, 3, 16, 16)
    embedding = FaceEmbedder(3, (4, 6, 8), 7)(faces)
    assert embedding.shape == (2, 7)
    assert EmbeddingClassifier(7, 9)(embedding).shape == (2, 9)


def test_faces_are_not_bounded():
    net = FaceGenerator(4, (4, 4))
    net.model[-1].bias.data.fill_(5.0)
    assert net(torch.zeros(1, 4)).mean() > 2

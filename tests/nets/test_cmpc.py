"""CMPC: published sizes, free input sizes, embeddings that are never below zero."""

import torch

from voicemesh.nets.cmpc import (
    FeatureVoiceEncoder,
    GridFaceEncoder,
    ResNetEncoder,
    VoiceFacePair,
)


def test_published_sizes():
    with torch.device("meta"):
        for channels, count in ((1, 21_278_400), (3, 21_284_672)):
            net = ResNetEncoder(channels)
            assert sum(p.numel() for p in net.parameters()) == count
        assert len(VoiceFacePair().state_dict()) == 432


def test_small_pair_takes_any_size_and_is_not_negative():
    net = VoiceFacePair((1, 1, 1), (4, 6, 8)).eval()
    for frames, side in ((7, 9), (50, 33)):
        voice, face = net(torch.randn(2, 16, frames), torch.randn(2, 3, side, side))
        assert voice.shape == face.shape == (2, 8)
        assert min(voice.min(), face.min()) >= 0


def test_the_first_stage_keeps_the_size_and_the_others_halve_it():
    net = ResNetEncoder(1, (1, 1, 1), (4, 4, 4)).eval()
    x = net.maxpool(net.conv1(torch.randn(1, 1, 64, 64)))
    assert x.shape[2:] == (16, 16)
    x = net.layer1(x)
    assert x.shape[2:] == (16, 16)
    assert net.layer2(x).shape[2:] == (8, 8)
    assert net.layer1[0].downsample is None
    assert net.layer2[0].downsample is not None


def test_another_embedding_is_pooled_from_the_last_width():
    wide, narrow = ResNetEncoder(1, (1,), (6,)).eval(), ResNetEncoder(1, (1,), (6,), 3).eval()
    narrow.load_state_dict(wide.state_dict())
    x = torch.randn(2, 1, 9, 9)
    torch.testing.assert_close(narrow(x), wide(x).unflatten(1, (3, 2)).mean(2))


def test_small_nets_take_both_signs_and_any_length():
    voice = FeatureVoiceEncoder("voicemesh", 6, (4, 4), 5).eval()
    face = GridFaceEncoder(24, (1, 1), (4, 6), 2, 5).eval()
    for frames, side in ((9, 24), (50, 33)):
        pair = voice(torch.randn(3, 6, frames)), face(torch.randn(3, 3, side, side))
        assert pair[0].shape == pair[1].shape == (3, 5)
        assert min(side.min() for side in pair) < 0 < max(side.max() for side in pair)


def test_a_grid_tells_places_and_a_mean_does_not():
    """A spot at one of two places, far from the edges."""
    net = GridFaceEncoder(80, (1,), (4,), 4, 5).eval()
    pictures = torch.zeros(2, 3, 80, 80)
    pictures[0, :, 38:42, 24:28] = pictures[1, :, 38:42, 52:56] = 1
    means = net.trunk(pictures)
    torch.testing.assert_close(means[0], means[1], rtol=1e-3, atol=1e-4)
    assert (net(pictures)[0] - net(pictures)[1]).norm() > 0.05 * net(pictures).norm()

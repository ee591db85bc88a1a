"""Seeking the Shape of Sound: published sizes, arguments, and the odd order of its blocks."""

import torch
import torch.nn.functional as F

from voicemesh.nets.sss import (
    EmbeddingHeads,
    GatedBlock,
    IdentityClassifier,
    IrFaceEncoder,
    ShapeOfSound,
    ThinResNet,
    ThinVoiceEncoder,
)


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_published_sizes():
    with torch.device("meta"):
        assert parameters(ThinVoiceEncoder()) == 1_503_638
        assert parameters(IrFaceEncoder()) == 43_759_808
        # The published file has 653 tensors; two filters and a fixed convolution are not learnt.
        assert len(ShapeOfSound().state_dict()) == 653 - 4


def test_small_nets_share_a_space():
    net = ShapeOfSound(
        (1, 2), (8, 16), (1, 1), (4, 8), side=12, features=9, embedding=5, identities=7
    )
    voice, face = net.eval()(torch.randn(3, 10, 33), torch.randn(3, 3, 12, 12))
    assert voice.shape == face.shape == (3, 5)
    assert net.F.cls(voice).shape == (3, 7)
    assert net.center.weight.tolist() == [1] * 7
    assert net.center.loss_mean.tolist() == [14] * 7


def test_time_is_halved_twice_and_any_length_goes():
    net = ThinResNet((1, 1, 1, 1), (8, 8, 8, 8), features=3).eval()
    for frames, left in ((1, 1), (5, 2), (16, 4), (351, 88)):
        assert net.frames(torch.randn(2, 40, frames)).shape == (2, 8, left)


def test_attention_is_a_mean_that_weighs():
    net = ThinResNet((1,), (8,), features=4).eval()
    frames = net.frames(torch.randn(2, 9, 20))
    weights = net.attention_weights(frames)
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert weights.std(1).min() > 0
    with torch.no_grad():
        net.attention.zero_()  # every frame alike: the plain mean
    log_mel = torch.randn(2, 9, 20)
    torch.testing.assert_close(net(log_mel), net.fc(net.frames(log_mel).mean(2)))


def test_a_block_rectifies_before_its_first_norm():
    block = GatedBlock(2, 2, 1, 2).eval()
    block.bn1.running_mean.fill_(5)  # below every rectified value: the norm comes out negative
    seen = []
    block.conv2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    block(torch.zeros(1, 2, 3, 3))
    assert seen[0].max() < 0


def test_margin_is_taken_off_the_target_only():
    classify = IdentityClassifier(4, 6)
    z, targets = torch.randn(3, 4), torch.tensor([5, 0, 2])
    difference = classify(z) - classify(z, targets, 0.35)
    torch.testing.assert_close(difference, 0.35 * F.one_hot(targets, 6).float(), atol=1e-6, rtol=0)
    assert torch.equal(classify(z, targets), classify(z))


def test_heads_drop_the_embedding_itself():
    heads = EmbeddingHeads(features=6, embedding=50, identities=3)
    voice, face = heads(torch.randn(8, 6), torch.randn(8, 6))
    assert 0.3 < (voice == 0).float().mean() < 0.7
    assert 0.3 < (face == 0).float().mean() < 0.7

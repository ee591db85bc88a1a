"""Losses of Seeking the Shape of Sound against loops, and how identities are taken in."""

import math

import pytest
import torch
import torch.nn.functional as F

from voicemesh.nets.sss import IdentityState
from voicemesh.training import sss_losses
from voicemesh.training.sss_losses import Reweighting


def batch(size: int = 6, embedding: int = 5, identities: int = 9):
    voice, face = torch.randn(2, size, embedding, dtype=torch.float64)
    classes = torch.randn(identities, embedding, dtype=torch.float64)
    return voice, face, classes, torch.arange(size) * 2 % identities


def test_cross_modal_is_its_formula():
    others, anchors, _, _ = batch()
    d = [[float(v @ (x / x.norm())) for x in others] for v in anchors]
    target = [
        math.log(1 + 3.4 + sum(math.exp(d[i][j] - d[i][i] if j != i else 0) for j in range(6)))
        for i in range(6)
    ]
    ours = sss_losses.cross_modal(others, anchors)
    torch.testing.assert_close(ours, torch.tensor(target, dtype=torch.float64))
    # The length of the others is no matter, that of the anchors is a temperature.
    torch.testing.assert_close(sss_losses.cross_modal(3 * others, anchors), ours)
    assert not torch.allclose(sss_losses.cross_modal(others, 3 * anchors), ours)


def test_cross_modal_survives_long_vectors_and_a_batch_of_one():
    others, anchors, _, _ = batch()
    assert sss_losses.cross_modal(others.float(), 1e4 * anchors.float()).isfinite().all()
    torch.testing.assert_close(
        sss_losses.cross_modal(others[:1], anchors[:1]),
        torch.tensor([5.4], dtype=torch.float64).log(),
    )


def test_equal_identities_are_no_negatives_if_they_are_told():
    others, anchors, _, _ = batch(3)
    targets = torch.tensor([4, 1, 4])
    ours = sss_losses.cross_modal(others, anchors, targets)
    torch.testing.assert_close(
        ours[:2],
        torch.stack(
            [
                sss_losses.cross_modal(others[:2], anchors[:2])[0],
                sss_losses.cross_modal(others, anchors)[1],
            ]
        ),
    )


def test_weights_scale_the_published_identity_terms_by_their_mean_only():
    voice, face, classes, targets = batch()
    weights = torch.tensor([0.0, 0, 0, 0, 0, 6], dtype=torch.float64)
    published = sss_losses.losses(voice, face, classes, targets, weights)
    meant = sss_losses.losses(voice, face, classes, targets, weights, published=False)
    each = F.cross_entropy(face @ classes.T, targets, reduction="none")
    torch.testing.assert_close(published.face, each.mean())
    torch.testing.assert_close(meant.face, each[5])
    torch.testing.assert_close(published.cross, published.cross_each[5])
    total = published.total((2.0, 3.0, 5.0))
    torch.testing.assert_close(
        total, 2 * published.face + 3 * published.voice + 5 * published.cross
    )


def test_gradients_reach_both_sides_and_the_classes():
    voice, face, classes, targets = batch(4, 3, 9)
    weights = torch.tensor([0.5, 1.5, 0, 2], dtype=torch.float64)
    for published in (True, False):
        assert torch.autograd.gradcheck(
            lambda *z, as_told=published: sss_losses.losses(*z, targets, weights, as_told).total(),
            [value.requires_grad_() for value in (voice, face, classes)],
        )


def test_running_losses_follow_their_own_identities():
    state = IdentityState(4)
    sss_losses.remember(state, torch.tensor([2, 0, 2]), torch.tensor([4.0, 1.0, 6.0]))
    expected = torch.tensor([0.9 * 14 + 0.1, 14, 0.9 * 14 + 0.5, 14])
    torch.testing.assert_close(state.loss_mean, expected)


def test_the_easiest_come_in_first():
    state = IdentityState(10)
    state.loss_mean.copy_(torch.tensor([5.0, 3, 9, 1, 7, 2, 8, 4, 6, 0]))
    rule = Reweighting(first_share=0.5, share=0.2, enough=0.9, decay=0.9)
    assert sss_losses.reweigh(state, rule) == 0.5
    assert state.weight.nonzero().flatten().tolist() == [1, 3, 5, 7, 9]
    state.loss_mean[9] = 100  # already in: its loss is no matter
    assert sss_losses.reweigh(state, rule) == 0.7
    assert state.weight[[0, 8]].tolist() == [1, 1]
    torch.testing.assert_close(state.weight[[1, 9]], torch.tensor([0.9, 0.9]))
    assert sss_losses.reweigh(state, rule) == 0.9
    before = state.weight.clone()
    assert sss_losses.reweigh(state, rule) == 0.9
    assert torch.equal(state.weight, before)
    assert state.weight[2] == 0  # the hardest stays out


def test_the_published_run_takes_eighteen_updates():
    state = IdentityState(924)
    state.loss_mean.copy_(torch.randn(924))
    counts = []
    for _ in range(20):
        sss_losses.reweigh(state)
        counts.append(int((state.weight > 0).sum()))
    assert counts[:2] == [462, 484] and counts[17:] == [836] * 3
    own = sss_losses.batch_weights(state.weight, state.weight.argsort(descending=True))
    torch.testing.assert_close(own[0], torch.tensor(1.257), atol=1e-3, rtol=0)
    torch.testing.assert_close(own[835], torch.tensor(1.060), atol=1e-3, rtol=0)


def test_a_batch_without_weight_is_weighted_evenly():
    weight = torch.tensor([0.0, 0, 0, 1])
    assert sss_losses.batch_weights(weight, torch.tensor([0, 2])).tolist() == [1, 1]
    assert sss_losses.batch_weights(weight, torch.tensor([0, 3])).tolist() == [0, 4]


@pytest.mark.parametrize("published", [True, False])
def test_steps_lower_the_loss(published):
    voice, face, classes, targets = (value.float() for value in batch(8, 16, 8))
    targets = targets.long()
    free = [value.clone().requires_grad_() for value in (voice, face, classes)]
    optimiser = torch.optim.SGD(free, lr=0.5)
    values = []
    for _ in range(20):
        total = sss_losses.losses(*free, targets, torch.ones(8), published).total()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        values.append(total.item())
    assert values[-1] < 0.8 * values[0]


def test_a_law_says_who_is_hardly_a_negative():
    torch.manual_seed(0)
    voices, faces = torch.randn(2, 5, 3, dtype=torch.float64)
    sure = 1e3 * torch.eye(5, dtype=torch.float64)
    logits = voices @ F.normalize(faces).T, faces @ F.normalize(voices).T
    plain = sum(F.cross_entropy(some, torch.arange(5)) for some in logits) / 2
    torch.testing.assert_close(sss_losses.guided(voices, faces, sure), plain)
    alike = sure.clone()
    alike[0, 1] = alike[0, 0]  # the second face fits the first voice as well as its own
    told = sss_losses.guided(voices, faces, alike)
    halves = logits[0][0].log_softmax(0)
    away = (halves[0] - halves[1]) / 2 / 5 / 2
    back = logits[1][1].log_softmax(0)  # and the first voice fits the second face
    torch.testing.assert_close(told, plain + away + (back[1] - back[0]) / 2 / 5 / 2)

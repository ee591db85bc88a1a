"""Losses against their definitions in loops."""

import torch

from voicemesh.training.losses import session_triplet, weighted_error


def test_weighted_error_is_its_definition():
    predicted, target, weights = torch.randn(3, 5), torch.randn(3, 5), torch.rand(5)
    expected = sum(
        float(w * (p - t) ** 2)
        for row, true in zip(predicted, target, strict=True)
        for p, t, w in zip(row, true, weights, strict=True)
    )
    told = weighted_error(predicted, target, weights)
    torch.testing.assert_close(told, torch.tensor(expected / 3))


def test_triplet_is_its_definition():
    unit, identities, margin = torch.randn(6, 4), torch.tensor([1, 1, 2, 2, 3, 3]), 1.1
    total, count = 0.0, 0
    for i in range(6):
        twins = [j for j in range(6) if identities[j] == identities[i]]
        own = max(float((unit[i] - unit[j]).norm()) for j in twins)
        for j in range(6):
            if identities[j] != identities[i]:
                total += max(0.0, own - float((unit[i] - unit[j]).norm()) + margin)
                count += 1
    assert total > 0
    torch.testing.assert_close(
        session_triplet(unit, identities, margin), torch.tensor(total / count)
    )


def test_triplet_of_separated_people_is_zero():
    unit = torch.tensor([[1.0, 0], [1.0, 0], [0, 1.0], [0, 1.0]])
    assert session_triplet(unit, torch.tensor([0, 0, 1, 1]), 0.5) == 0


def test_triplet_without_pairs_is_zero_and_has_a_gradient():
    unit = torch.randn(3, 2, requires_grad=True)
    loss = session_triplet(unit, torch.tensor([0, 1, 2]), 5.0)
    loss.backward()
    assert loss == 0 and torch.isfinite(unit.grad).all()

"""Losses of the unsupervised framework against their definitions in loops."""

import math

import pytest
import torch

from voicemesh.training import distillation as losses


def test_pkt_is_its_definition():
    output, target = torch.randn(4, 6), torch.randn(4, 3)

    def shares(rows: torch.Tensor) -> list[list[float]]:
        table = [[(float(torch.cosine_similarity(a, b, 0)) + 1) / 2 for b in rows] for a in rows]
        return [[value / sum(row) for value in row] for row in table]

    model, reference = shares(output), shares(target)
    expected = sum(
        r * math.log(r / m)
        for ours, theirs in zip(reference, model, strict=True)
        for r, m in zip(ours, theirs, strict=True)
    )
    assert float(losses.pkt(output, target)) == pytest.approx(expected / 16, abs=1e-6)
    assert float(losses.pkt(output, 3 * output)) == pytest.approx(0, abs=1e-7)


def test_triplet_takes_each_axis_alone():
    anchor = torch.zeros(1, 3, 4)
    positive, negative = anchor.clone(), anchor.clone()
    positive[0, 0, 0], negative[0, 1, 2] = 2.0, 5.0
    # x: 2 - 0 + 1; y: 0 - 5 + 1 < 0; z: 0 - 0 + 1
    told = losses.mesh_triplet(anchor, positive, negative)
    assert float(told) == pytest.approx((3 + 0 + 1) / 3, abs=1e-4)


def test_the_sum_is_that_of_its_terms():
    meshes = torch.randn(2, 5, 3, 7)
    teacher = torch.randn(5, 4), torch.randn(5, 6)
    student = torch.randn(5, 4), torch.randn(5, 6)
    told = losses.distillation(*meshes, teacher, student, mesh_weight=2.0, pkt_weight=3.0)
    torch.testing.assert_close(told.mesh, (meshes[0] - meshes[1]).square().mean())
    torch.testing.assert_close(told.pooled, losses.pkt(teacher[0], student[0]))
    torch.testing.assert_close(told.total, 2 * told.mesh + 3 * (told.pooled + told.middle))


@pytest.mark.parametrize(
    "loss", [losses.attention, losses.similarity, losses.neuron_selectivity, losses.relational]
)
def test_a_perfect_student_loses_nothing(loss):
    rows = torch.randn(5, 4)
    assert float(loss(rows, rows.clone())) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        *(losses.pkt, losses.attention, losses.similarity, losses.correlation),
        *(losses.neuron_selectivity, losses.relational),
    ],
)
def test_gradients_are_finite_even_for_equal_rows(loss):
    student = torch.ones(4, 3) + torch.tensor([[0.0], [0.0], [0.1], [0.2]])
    student.requires_grad_()
    loss(student, torch.rand(4, 3)).backward()
    assert torch.isfinite(student.grad).all()


def test_critics_are_judged_by_cross_entropy():
    scores = torch.tensor([[0.0], [math.log(3.0)]])
    assert float(losses.judged(scores, True)) == pytest.approx(-math.log(0.5 * 0.75) / 2)
    assert float(losses.judged(scores, False)) == pytest.approx(-math.log(0.5 * 0.25) / 2)
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert float(losses.recognised(logits, torch.tensor([1]))) == pytest.approx(-math.log(0.75))

"""Heads beside each other: the fit is rigid, the signs are outward, the parts are disjoint."""

import pytest
import torch
from bundles import egg

from voicemesh.checkpoints.bundle import EMBEDDED, Bundle
from voicemesh.mesh.comparison import PARTS, brought_together, outward, parts_of, rigid


def turned(angle: float) -> torch.Tensor:
    c, s = torch.tensor(angle).cos(), torch.tensor(angle).sin()
    return torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def test_rigid_undoes_a_turn_and_a_shift():
    points = torch.randn(20, 3) * 50
    moved = points @ turned(0.7).T + torch.tensor([3.0, -4.0, 5.0])
    turn, shift = rigid(points, moved)
    torch.testing.assert_close(turn, turned(0.7), atol=1e-5, rtol=0)
    torch.testing.assert_close(shift, torch.tensor([3.0, -4.0, 5.0]), atol=1e-3, rtol=0)


def test_rigid_neither_mirrors_nor_scales():
    points = torch.randn(20, 3)
    turn, _ = rigid(points, 3 * points * torch.tensor([-1.0, 1, 1]))
    torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.det(turn) > 0.99


def test_brought_together_by_some_points_alone():
    model = egg()
    head = model.vertices(torch.zeros(40))
    other = head @ turned(0.3).T + 7
    other[0] += 500  # not among those it is brought together by
    onto = brought_together(other, head, torch.arange(1, len(head)))
    torch.testing.assert_close(onto[1:], head[1:], atol=2e-3, rtol=0)


def test_outward_is_positive_outside():
    model = egg()
    head = model.vertices(torch.zeros(40))
    assert outward(head * 1.1, head, model.triangles).min() > 5
    assert outward(head * 0.9, head, model.triangles).max() < -5


def test_parts_of_the_embedded_head_are_where_they_are_named():
    model = Bundle.open(EMBEDDED).face_model()
    parts = parts_of(model)
    assert tuple(parts) == PARTS
    members = torch.cat(list(parts.values()))
    assert len(members.unique()) == len(members)
    mean = model.vertices(torch.zeros_like(model.shape_mean))
    middle = {name: mean[at].mean(0) for name, at in parts.items()}
    heights = ["Jaw and chin", "Mouth", "Nose", "Eyes and brows", "Forehead", "Skull"]
    assert sorted(heights, key=lambda name: middle[name][1]) == heights
    assert middle["Nose"][2] == max(point[2] for point in middle.values())
    assert all(abs(point[0]) < 2 for point in middle.values())
    assert mean[parts["Nose"], 0].abs().max() < 30
    assert mean[members, 1].min() > mean[model.landmarks[8], 1] - 15  # the neck belongs to none


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_of_any_model_are_disjoint(seed):
    parts = parts_of(egg(seed=seed))
    members = torch.cat(list(parts.values()))
    assert len(members.unique()) == len(members) and "Ears" not in parts

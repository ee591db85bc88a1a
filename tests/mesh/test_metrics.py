"""Errors between faces: known values, what they ignore, what they notice."""

import pytest
import torch

from voicemesh.mesh import metrics
from voicemesh.mesh.landmarks import BASEL_VERTICES, RATIO_LENGTHS

PAIRS = {name: (2 * i, 2 * i + 1) for i, name in enumerate(RATIO_LENGTHS)}


def test_lengths_of_pairs_in_their_order():
    vertices = torch.randn(3, 10, 3)
    lengths = metrics.pair_lengths(vertices, PAIRS)
    expected = [(vertices[:, 2 * i] - vertices[:, 2 * i + 1]).norm(dim=-1) for i in range(5)]
    torch.testing.assert_close(lengths, torch.stack(expected, -1))
    assert metrics.pair_lengths(torch.randn(BASEL_VERTICES, 3)).shape == (5,)


def test_ratio_error_ignores_size_and_pose():
    vertices = torch.randn(10, 3, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    moved = 1.7 * vertices @ turn + 5
    a, b = (metrics.pair_lengths(v, PAIRS) for v in (vertices, moved))
    torch.testing.assert_close(metrics.ratio_error(a, b), torch.zeros(4, dtype=torch.float64))


def test_ratio_error_is_in_units_of_the_eye_corners():
    target = torch.tensor([[80.0, 100, 90, 130, 95]])
    predicted = torch.tensor([[40.0, 54, 41, 65, 47.5]])  # half the size: only two lengths differ
    expected = torch.tensor([[0.1, 0.1, 0.0, 0.0]])
    torch.testing.assert_close(metrics.ratio_error(predicted, target), expected)


def test_named_lengths_pick_columns():
    lengths = torch.arange(12.0).reshape(2, 6)
    names = ["ear", "other", "mid", "oicd", "fore", "cheek"]
    assert metrics.named_lengths(lengths, names)[0].tolist() == [3, 4, 5, 0, 2]
    with pytest.raises(ValueError, match="measures no cheek, mid; it has oicd"):
        metrics.named_lengths(lengths, ["oicd", "fore", "ear"])


def test_keypoint_error_scales_but_never_moves():
    target, landmarks = torch.randn(30, 3, dtype=torch.float64), torch.arange(5, 25)

    def error(predicted):
        return metrics.keypoint_error(predicted, target, landmarks, (0, 1))

    assert error(3 * target) < 1e-12
    extent = target.amax(0) - target.amin(0)
    moved = error(target + torch.tensor([0.0, 0, 2]))
    torch.testing.assert_close(moved, (20 * 4 / (extent[0] * extent[1])).sqrt())


def test_landmark_distance_ignores_position_only():
    target, landmarks = torch.randn(2, 30, 3), torch.arange(5, 25)
    distance = metrics.landmark_distance(target + 7, target, landmarks)
    torch.testing.assert_close(distance, torch.zeros(2), rtol=0, atol=1e-5)
    grown = metrics.landmark_distance(1.1 * target, target, landmarks)
    points = target[:, 5:25] - target[:, 5:25].mean(1, keepdim=True)
    torch.testing.assert_close(grown, 0.1 * points.norm(dim=-1).mean(1))


def test_every_identity_counts_once():
    errors = torch.tensor([[1.0], [3], [10], [2]])
    means = metrics.identity_means(errors, torch.tensor([4, 4, 9, 4]))
    assert means.tolist() == [[2.0], [10.0]]

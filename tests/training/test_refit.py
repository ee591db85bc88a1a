"""The head by least squares."""

import torch

from voicemesh.training.refit import least_squares


def test_a_linear_truth_is_found():
    unit = torch.nn.functional.normalize(torch.randn(500, 6)).double()
    slope, intercept = torch.randn(6, 3).double(), torch.randn(3).double()
    found = least_squares(unit, unit @ slope + intercept)
    torch.testing.assert_close(found, (slope, intercept), atol=2e-3, rtol=2e-3)


def test_an_empty_direction_is_no_trouble():
    x = torch.randn(100, 4).double()
    x[:, 2] = 0.5
    slope, intercept = least_squares(x, x[:, :1])
    torch.testing.assert_close(
        slope[:, 0], torch.tensor([1.0, 0, 0, 0]).double(), atol=1e-3, rtol=0
    )
    assert abs(float(intercept)) < 1e-3

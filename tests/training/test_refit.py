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


def test_a_row_that_counts_thrice_is_three_rows():
    x, y = torch.randn(2, 30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    weights = torch.ones(30, dtype=torch.float64)
    weights[:5] = 3
    weighed, repeated = (
        least_squares(x, y, weights),
        least_squares(*(torch.cat([v, v[:5], v[:5]]) for v in (x, y))),
    )
    for one, other in zip(weighed, repeated, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    assert not torch.allclose(weighed[0], least_squares(x, y)[0], atol=1e-2)

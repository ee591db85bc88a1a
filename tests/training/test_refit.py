"""The head by least squares; the sex by two clouds of embeddings."""

import pytest
import torch

from voicemesh.nets.cmp import VoiceTraits
from voicemesh.training.refit import discriminant, effort_reader, least_squares, refit_sex


def two_clouds(count: int = 4000):
    """Women stand one deviation off in both directions, whose noise is shared."""
    made = torch.Generator().manual_seed(2)
    female = torch.arange(count) % 2 == 1
    noise = torch.randn(count, 2, dtype=torch.float64, generator=made)
    noise[:, 1] += 0.5 * noise[:, 0]
    return noise + female[:, None].double(), female


def test_two_clouds_of_one_covariance_give_their_log_odds():
    x, female = two_clouds(40_000)
    slope, offset = discriminant(x, female)
    spread = torch.tensor([[1, 0.5], [0.5, 1.25]], dtype=torch.float64)
    right = torch.linalg.solve(spread, torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(slope, right, atol=0.05, rtol=0)
    assert float(offset) == pytest.approx(-float(right.sum()) / 2, abs=0.05)


def test_raised_voices_teach_the_sex_to_look_past_the_pitch():
    """Entries: the pitch, which both sexes share once men raise their voices, and the tract."""
    made = torch.Generator().manual_seed(3)
    female = torch.arange(6000) % 2 == 1
    noise = torch.randn(6000, 2, dtype=torch.float64, generator=made)
    calm = noise + female[:, None] * torch.tensor([4.0, -2.0])
    shouting = ~female & (torch.arange(6000) % 3 == 0)
    raised = calm + shouting[:, None] * torch.tensor([4.0, 0.0])

    def right(units):
        traits = VoiceTraits(2)
        before = traits.linear.weight[1:].clone()
        refit_sex(traits, units.float(), female)
        torch.testing.assert_close(traits.linear.weight[1:], before)
        odds = traits(raised.float())[:, 0]
        return float(((odds > 0) == female)[shouting].float().mean())

    assert right(calm) < 0.4 < 0.6 < right(raised)


def test_effort_is_read_in_semitones():
    made = torch.Generator().manual_seed(5)
    unit = torch.nn.functional.normalize(torch.randn(3000, 6, generator=made))
    noise = torch.randn(3000, generator=made)
    effort = 4 + 10 * unit[:, 1] - 3 * unit[:, 4]
    reader = effort_reader(unit, (effort + noise).double())
    assert reader.shape == (7,) and reader.dtype == torch.float32
    assert float((unit @ reader[:-1] + reader[-1] - effort).abs().max()) < 0.3


def test_a_linear_truth_is_found():
    unit = torch.nn.functional.normalize(torch.randn(500, 6)).double()
    slope, intercept = torch.randn(6, 3).double(), torch.randn(3).double()
    found = least_squares(unit, unit @ slope + intercept)
    torch.testing.assert_close(found, (slope, intercept), atol=2e-3, rtol=2e-3)


def test_an_empty_direction_is_no_trouble():
    x = torch.randn(100, 4).double()
    x[:, 2] = 0.5
    assert float(discriminant(x, x[:, 0] > 0)[0][2].abs()) < 1e-9
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

"""A code that does not take raised men for women."""

import numpy as np
import pytest
import torch

from voicemesh.nets.voice_trunk import VoiceTrunk
from voicemesh.training.refit import discriminant
from voicemesh.training.steady import Steady

PITCH, FORMANTS = 0, 1


def voices(count: int, effort: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of half women, half men: the pitch tells them apart better than the formants do."""
    generator = torch.Generator().manual_seed(int(10 * effort))
    female = torch.arange(count) % 2 == 1
    codes = torch.randn(count, 5, generator=generator)
    codes[:, PITCH] += 6 * female + effort
    codes[:, FORMANTS] += 3.5 * female
    return codes, female


@pytest.fixture(scope="module")
def steady():
    return Steady.fit(*voices(4000, 0), *voices(1000, 4.5))


def wrong(codes: torch.Tensor, female: torch.Tensor, steady: Steady | None) -> float:
    """Share misjudged by what is learnt from ordinary voices alone."""
    turned = (lambda x: x) if steady is None else steady.of
    usual, sexes = voices(4000, 0)
    slope, offset = discriminant(turned(usual).double(), sexes)
    return float(((turned(codes).double() @ slope + offset > 0) != female).float().mean())


def test_raised_men_are_heard_as_men(steady):
    raised, female = voices(1000, 4.5)
    men = ~female
    assert wrong(raised[men], female[men], None) > 0.5
    assert wrong(raised[men], female[men], steady) < 0.25
    assert wrong(*voices(2000, 0), steady) < 0.06


def test_what_tells_no_sex_stays(steady):
    usual, _ = voices(500, 0)
    turned = steady.of(usual)
    torch.testing.assert_close(turned[:, 2:], usual[:, 2:], atol=0.3, rtol=0)
    torch.testing.assert_close(turned.mean(0), usual.mean(0), atol=0.2, rtol=0)
    assert torch.linalg.matrix_rank(steady.turn, atol=1e-4) == 4


def test_a_trunk_gives_such_codes_and_a_run_keeps_how(steady, tmp_path):
    torch.manual_seed(0)
    trunk, frames = VoiceTrunk(9, (4, 6), (0, 1), 5).eval(), torch.randn(3, 9, 40)
    before = trunk(frames)
    assert Steady.of_run(tmp_path) is None
    steady.save(tmp_path)
    kept = Steady.of_run(tmp_path)
    kept.put_into(trunk)
    torch.testing.assert_close(trunk(frames), steady.of(before), atol=1e-4, rtol=1e-4)
    assert not np.allclose(trunk(frames).detach(), before.detach(), atol=0.1)

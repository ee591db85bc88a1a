"""The rate of training: it rises, stays where it is told to, falls to nothing, and resumes."""

import pytest
from torch import nn

from voicemesh.training.schedules import held_cycle


def rates(optimiser, schedule, steps: int) -> list[float]:
    told = []
    for _ in range(steps):
        told.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    return told


def made(steps: int = 100, rise: float = 0.2, hold: float = 0.5):
    return held_cycle(nn.Linear(2, 2).parameters(), steps, 0.01, 0.0, rise, hold)


def test_the_rate_stays_at_its_peak_for_so_long():
    told = rates(*made(), 100)
    assert told[0] == pytest.approx(0.01 / 25) and told[-1] < 1e-4
    assert told[:20] == sorted(told[:20])
    assert told[20:70] == pytest.approx([0.01] * 50, rel=1e-2)
    assert told[70:] == sorted(told[70:], reverse=True)


def test_without_a_hold_it_is_one_cycle():
    held, plain = rates(*made(), 100), rates(*made(50, 0.4, 0.0), 50)
    assert held[:20] == pytest.approx(plain[:20]) and held[70:] == pytest.approx(plain[20:])


def test_a_state_goes_on_where_it_stopped():
    whole = rates(*made(), 100)
    optimiser, schedule = made()
    rates(optimiser, schedule, 60)
    again, resumed = made()
    again.load_state_dict(optimiser.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert rates(again, resumed, 40) == pytest.approx(whole[60:])


def test_no_room_is_named():
    with pytest.raises(ValueError, match="leave no room in 100 steps"):
        made(rise=0.5, hold=0.5)

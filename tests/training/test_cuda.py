"""Training on a GPU: what the CPU tests hold against numbers, here against the CPU itself."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from training.test_stylegan2 import SMALL

from voicemesh.training.stylegan2_players import Players

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


def played(cpu: bool, steps: int) -> list[dict[str, float]]:
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=cpu)
    players = Players(replace(SMALL, noise=False, adaptive=False), accelerator)
    assert accelerator.device.type == ("cpu" if cpu else "cuda")
    told = []
    for step in range(steps):
        torch.manual_seed(step)
        real = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        told.append(players.iterate(step, real.to(accelerator.device)))
    AcceleratorState._reset_state(reset_partial_state=True)
    return told


@pytest.fixture
def exact():
    library = torch.backends.cudnn.conv  # whose attributes pytest cannot put back
    known, library.fp32_precision = library.fp32_precision, "ieee"
    yield
    library.fp32_precision = known


def test_both_players_of_stylegan2_and_their_penalties(exact):
    for ours, theirs in zip(played(False, 4), played(True, 4), strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=0.02, abs=1e-3), name


def test_augmented_images_and_states(tmp_path):
    AcceleratorState._reset_state(reset_partial_state=True)
    players = Players(SMALL, Accelerator())
    players.adaptive.probability = 0.8
    for step in range(3):
        told = players.iterate(step, torch.randn(4, 3, 8, 8, device="cuda"))
    assert all(value == value for value in told.values())
    players.save(tmp_path, 3)
    assert Players(SMALL, players.accelerator).resume(tmp_path) == 3
    AcceleratorState._reset_state(reset_partial_state=True)

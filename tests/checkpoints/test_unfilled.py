"""Nets that are filled from files draw no weights before."""

import pytest
import torch
from torch import nn

from voicemesh.checkpoints.unfilled import LEAST, SPARE, TIMES, Bounded, Unfilled


def test_nothing_is_drawn_inside():
    weights = torch.full((4, 4), 7.0)
    with Unfilled():
        for draw in (nn.init.normal_, nn.init.kaiming_normal_, nn.init.uniform_):
            assert draw(weights) is weights
        weights.normal_()
        nn.init.kaiming_uniform_(tensor=weights)
        assert (weights == 7).all()
        assert (nn.init.zeros_(torch.ones(2)) == 0).all()  # what is not drawn is set
    assert (nn.init.normal_(weights) != 7).any()


def test_meta_tensors_stay_on_meta():
    with torch.device("meta"), Unfilled():
        layer = nn.Linear(3, 2)
        nn.init.normal_(layer.weight)
    assert layer.weight.is_meta


def test_nets_may_be_as_large_as_their_file_allows():
    side = 1000
    with torch.device("meta"), Bounded(side**2), Unfilled():
        nn.Linear(side, side)
        with pytest.raises(ValueError, match="more values than the 1,000,000 that the file holds"):
            nn.Linear(side * TIMES, side + SPARE // side)


def test_empty_layers_count_as_well():
    with torch.device("meta"), Bounded(0):
        for _ in range(SPARE // LEAST):
            torch.zeros(0)
        with pytest.raises(ValueError, match="more values than the 0 that the file holds"):
            torch.zeros(0)

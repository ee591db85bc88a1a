"""What the law lets expect of a voice."""

import numpy as np
import pytest
import torch

from voicemesh.evaluation import expectation
from voicemesh.population.law import LENGTHS, draw


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 20_000)


def explained_within(coupling):
    """Share of the face length's variance within a sex, told by the voice."""
    people = draw(4000, 5, coupling)
    params = torch.from_numpy(people.lengths).float()  # lengths stand for shape parameters
    told = expectation.expected_shape(people, params, np.arange(2000), coupling)[2000:].numpy()
    column, rest = LENGTHS.index("menton_sellion"), people.take(np.arange(2000, 4000))
    shares = []
    for mode in (0, 1):
        own = rest.mode == mode
        truth, answer = rest.lengths[own, column], told[own, column]
        shares.append(1 - ((truth - answer) ** 2).mean() / truth.var())
    return np.mean(shares)


def test_the_voice_tells_a_little_within_a_sex():
    assert 0.06 < explained_within(0.8) < 0.2


def test_without_coupling_it_tells_next_to_nothing():
    assert explained_within(0.0) < 0.02  # the age is all that is heard


def test_the_sex_is_told():
    people = draw(2000, 6, 0.8)
    params = torch.from_numpy(people.lengths).float()
    told = expectation.expected_shape(people, params, np.arange(1000), 0.8).numpy()
    neck = told[:, LENGTHS.index("neck_circumference")]
    assert ((neck < 365) == (people.mode == 1)).mean() > 0.98

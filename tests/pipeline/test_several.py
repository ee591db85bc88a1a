"""Several recordings through the pipeline of a bundle that knows how they are joined."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from bundles import EMBEDDING, SHAPES, babble, write_bundle

import voicemesh
from voicemesh.audio.recording import Recording
from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.systems.fusion import TRAITS, Repeats
from voicemesh.systems.joining import Joining

TOLD = SHAPES + 3


@pytest.fixture(scope="module")
def joins(tmp_path_factory):
    folder = write_bundle(tmp_path_factory.mktemp("joins"))
    usual, eye = 0.2 * torch.ones(EMBEDDING), 0.05 * torch.eye(EMBEDDING)
    told = 0.3 * torch.linspace(-1, 1, TOLD)
    ties = 0.02 * torch.sin(torch.arange(float(EMBEDDING * TOLD))).reshape(EMBEDDING, TOLD)
    joining = Joining(
        usual=torch.stack([-usual, usual]),
        person=eye.expand(2, -1, -1).clone(),
        session=eye.expand(2, -1, -1).clone(),
        told=torch.stack([-told, told]),
        ties=ties.expand(2, -1, -1).clone(),
        evidence=torch.tensor([1.0, 0.0, 0.5]),
        doubts=torch.tensor([0.05, 0.03]),
    )
    shapes, traits = (Repeats(0.1 * torch.eye(k), torch.eye(k)) for k in (SHAPES, 4))
    known = shapes.tensors() | traits.tensors(TRAITS) | joining.tensors()
    BundleWriter(folder, "untrained").tensors("cmp-repeats", known)
    return voicemesh.load(folder, "cpu")


def test_all_together_are_told_by_joining(joins):
    recordings = [Recording(babble(2.0, 110 + 40 * k, k), name=f"{k}.wav") for k in range(3)]
    several = joins.several(recordings)
    units = torch.stack([torch.from_numpy(one.embedding)[None] for one in several.each])
    told = joins.system.perceive_several(units)
    np.testing.assert_allclose(several.fused.parameters, told.parameters[0], atol=1e-5)
    mean = np.mean([one.parameters for one in several.each], 0)
    assert np.abs(several.fused.parameters - mean).max() > 1e-3
    alone, fused = several.each[0], several.fused
    for one, other in zip(alone.measurements, fused.measurements, strict=True):
        assert other.high - other.low < one.high - one.low
    assert (fused.uncertainty <= alone.uncertainty).all()
    for name in ("pitch_hz", "tract_cm"):
        one, other = getattr(alone, name), getattr(fused, name)
        assert other.high / other.value < one.high / one.value
    assert 0 < several.narrower < 0.5


def test_the_more_the_surer_and_never_certain(joins):
    sure = [joins.certainty_after(count).lengths for count in (1, 2, 3, 1000)]
    for less, more in pairwise(sure):
        assert (0.5 * less < more).all() and (more < less).any()
    torch.testing.assert_close(sure[0], joins.certainty.lengths)

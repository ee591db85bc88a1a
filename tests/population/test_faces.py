"""Heads have the lengths asked for, and what is free is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from voicemesh.mesh.landmarks import LENGTHS
from voicemesh.mesh.morphable import Measure, MorphableModel
from voicemesh.mesh.packing import load
from voicemesh.population import faces
from voicemesh.population.law import draw
from voicemesh.population.tables import LENGTH_LAW

SHAPES = 25
HEAD = Path(__file__).parents[2] / "assets" / "bundle" / "head.safetensors"


@pytest.fixture
def rods() -> MorphableModel:
    """18 rods as long as the law's means, bent by 25 random shapes, and 68 landmarks."""
    means = torch.tensor([sum(LENGTH_LAW[name].mean) / 2 for name in LENGTHS])
    feet = torch.randn(18, 3) * 50
    ways = torch.nn.functional.normalize(torch.randn(18, 3), dim=1)
    mean = torch.cat([feet, feet + ways * means[:, None], torch.randn(68, 3) * 50])
    basis = 0.1 * torch.randn(len(mean), 3, SHAPES)
    spread = torch.tensor([LENGTH_LAW[name].deviation[0] for name in LENGTHS])
    basis[18:36] += (spread[:, None] * ways)[..., None] * torch.randn(18, 1, SHAPES) / 3
    return MorphableModel(
        name="rods",
        mean=mean,
        shape_basis=basis,
        expression_basis=torch.zeros(len(mean), 3, 1),
        shape_mean=torch.zeros(SHAPES),
        shape_deviation=torch.rand(SHAPES) + 0.5,
        expression_mean=torch.zeros(1),
        expression_deviation=torch.ones(1),
        triangles=torch.zeros(1, 3, dtype=torch.int64),
        landmarks=torch.arange(36, 104),
        measures={
            "other": Measure((40, 41)),
            **{name: Measure((i, 18 + i)) for i, name in enumerate(LENGTHS)},
        },
    )


def test_lengths_are_met(rods):
    people = draw(40, seed=2)
    fitted = faces.heads(people, rods)
    measured = rods.measurements(fitted.shape_params)[:, 1:].double().numpy()
    np.testing.assert_allclose(measured - people.lengths, fitted.misses, atol=1e-3)
    assert max(fitted.rms.values()) < 0.4 and tuple(fitted.rms) == LENGTHS


def test_heads_stay_as_near_as_possible_to_their_free_shape(rods):
    people = draw(3, seed=2)
    free = faces.free_shapes(people, rods)
    fitted = faces.shape_params(people, rods).double()
    leaf = fitted.float().requires_grad_()
    lengths = rods.measurements(leaf)[:, 1:]
    slopes = torch.stack(
        [torch.autograd.grad(lengths[:, j].sum(), leaf, retain_graph=True)[0] for j in range(18)], 1
    )
    # The way from the free shape to the head lies in the span of the lengths' slopes.
    moved = (fitted - free)[..., None]
    inside = slopes.double().mT @ torch.linalg.lstsq(slopes.double().mT, moved).solution
    torch.testing.assert_close(inside, moved, atol=0.02, rtol=0)


def test_null_axes_are_obeyed_before_lengths(rods):
    people = draw(20, seed=4)
    directions = faces.axis_directions(rods)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(3, dtype=torch.float64))
    shapes = faces.free_shapes(people, rods)
    torch.testing.assert_close(shapes @ directions.T, torch.from_numpy(people.axes))
    wider = replace(people, axes=-people.axes)
    assert not torch.allclose(faces.free_shapes(wider, rods), shapes)


def test_free_shapes_have_unit_variance(rods):
    shapes = faces.free_shapes(draw(4000, seed=4), rods)
    assert shapes.std(0).numpy() == pytest.approx(np.ones(SHAPES), abs=0.08)


def test_a_head_depends_on_its_person_alone(rods):
    people = draw(12, seed=6)
    few = faces.shape_params(people.take(np.arange(5)), rods)
    torch.testing.assert_close(faces.shape_params(people, rods)[:5], few, atol=1e-4, rtol=0)
    assert not torch.allclose(faces.shape_params(people, rods, seed=1)[:5], few, atol=0.1)


def test_a_model_without_the_lengths_is_refused(rods):
    bare = replace(rods, measures={k: v for k, v in rods.measures.items() if k != "bigonial"})
    with pytest.raises(ValueError, match="'rods' has no measure bigonial"):
        faces.heads(draw(2, seed=0), bare)


def test_the_shipped_head_meets_the_law_within_a_millimetre():
    fitted = faces.heads(draw(300, seed=5), load(HEAD))
    assert max(fitted.rms.values()) < 1.0, fitted.rms
    assert fitted.misses.abs().max() < 8
    assert fitted.shape_params.square().mean() < 1.3  # about as likely as the model's own heads

"""The linear model: vertices, lengths, colours, and the file they come from."""

from dataclasses import replace

import pytest
import torch

from voicemesh.mesh.look import Look


def test_vertices_are_the_formula(model):
    q, r = torch.randn(3, 2, 5), torch.randn(3, 2, 2)
    expected = (
        model.mean
        + torch.einsum("vcs,...s->...vc", model.shape_basis, q * model.shape_deviation)
        + torch.einsum("vcs,s->vc", model.shape_basis, model.shape_mean)
        + torch.einsum(
            "vce,...e->...vc",
            model.expression_basis,
            r * model.expression_deviation + model.expression_mean,
        )
    )
    torch.testing.assert_close(model.vertices(q, r), expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(model.vertices(q, torch.zeros(3, 2, 2)), model.vertices(q))


def test_lengths_are_polylines(model):
    vertices = model.vertices(torch.randn(4, 5))
    width, ring, arc = model.measure(vertices).unbind(-1)
    torch.testing.assert_close(width, (vertices[:, 3] - vertices[:, 17]).norm(dim=-1))
    steps = [(vertices[:, a] - vertices[:, b]).norm(dim=-1) for a, b in ((4, 8), (8, 15), (15, 16))]
    torch.testing.assert_close(arc, sum(steps))
    torch.testing.assert_close(ring - arc, (vertices[:, 16] - vertices[:, 4]).norm(dim=-1))


def test_measurements_need_no_mesh(model):
    q, r = torch.randn(4, 5), torch.randn(4, 2)
    torch.testing.assert_close(model.measurements(q, r), model.measure(model.vertices(q, r)))
    empty = replace(model, measures={})
    assert empty.measurements(q).shape == (4, 0)


def test_lengths_are_differentiable(model):
    model = replace(model, **{n: v.double() for n, v in model.tensors() if v.is_floating_point()})
    assert torch.autograd.gradcheck(
        model.measurements, torch.randn(5, dtype=torch.float64, requires_grad=True)
    )


def test_mesh_is_arrays_for_files(model):
    mesh = model.mesh(torch.zeros(5))
    assert mesh.vertices.shape == (90, 3)
    assert mesh.colours.min() >= 0 and mesh.colours.max() <= 1


def test_skin_follows_the_published_table(model):
    plain = replace(model, paint=None, paint_names=())
    table = {0.08: (192, 167, 145), 0.25: (165, 139, 114), 0.6: (126, 100, 76), 1.2: (86, 65, 50)}
    for melanin, colour in table.items():
        found = plain.colours(Look(melanin=melanin, blood=0.008))[0] * 255
        torch.testing.assert_close(found, torch.tensor(colour).float(), rtol=0, atol=3)


def test_paint_changes_what_it_covers(model):
    light, dark = model.colours(Look(melanin=0.05)), model.colours(Look(melanin=0.9))
    assert (light > dark).all()
    assert model.colours().std(0).max() > 0.01  # lips differ from skin
    with pytest.raises(ValueError, match="Unknown paint tattoo; known: blood"):
        replace(model, paint_names=("lips", "tattoo")).colours()

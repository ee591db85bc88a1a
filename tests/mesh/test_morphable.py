"""The linear model: vertices, lengths, colours, and the file they come from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from voicemesh.mesh.look import Look
from voicemesh.mesh.morphable import Measure, MorphableModel, pack, unpack


@pytest.fixture
def model() -> MorphableModel:
    """A cloud of 90 points with random bases; every sixth channel of paint is used."""
    return MorphableModel(
        name="cloud",
        mean=torch.randn(90, 3) * 60,
        shape_basis=torch.randn(90, 3, 5),
        expression_basis=torch.randn(90, 3, 2),
        shape_mean=torch.randn(5),
        shape_deviation=torch.rand(5) + 0.5,
        expression_mean=torch.randn(2),
        expression_deviation=torch.rand(2) + 0.5,
        triangles=torch.randint(0, 90, (40, 3)),
        landmarks=torch.randint(0, 90, (68,)),
        measures={
            "width": Measure((3, 17), label="Width"),
            "ring": Measure((4, 8, 15, 16), closed=True),
            "arc": Measure((4, 8, 15, 16)),
        },
        paint=torch.rand(90, 2),
        paint_names=("lips", "melanin"),
        regions={"face": torch.tensor([1, 2, 3])},
    )


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
    model = replace(model, **{n: v.double() for n, v in model._tensors() if v.is_floating_point()})
    assert torch.autograd.gradcheck(
        model.measurements, torch.randn(5, dtype=torch.float64, requires_grad=True)
    )


def test_file_round_trip(model, tmp_path):
    model.save(tmp_path / "head.safetensors")
    read = MorphableModel.load(tmp_path / "head.safetensors")
    assert (read.name, read.paint_names) == (model.name, model.paint_names)
    assert read.measures == model.measures
    assert list(read.measures) == list(model.measures)  # their order is that of `measure`
    torch.testing.assert_close(read.regions["face"], model.regions["face"])
    torch.testing.assert_close(read.triangles, model.triangles)
    step = model.shape_basis.abs().amax((0, 1)) / 127
    assert ((read.shape_basis - model.shape_basis).abs() <= 0.51 * step).all()
    read.save(tmp_path / "again.safetensors")
    again = MorphableModel.load(tmp_path / "again.safetensors")
    torch.testing.assert_close(again.shape_basis, read.shape_basis, rtol=1e-6, atol=0)


def test_full_precision_round_trip(model):
    again = unpack(*pack(model, compact=False))
    for name, value in model._tensors():
        torch.testing.assert_close(getattr(again, name), value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda tensors: tensors.pop("mean"), "missing mean"),
        (lambda tensors: tensors.update(extra=torch.ones(1)), "unexpected extra"),
    ],
)
def test_a_file_with_other_tensors_is_refused(model, change, fault, tmp_path):
    tensors, header = pack(model)
    change(tensors)
    with pytest.raises(ValueError, match=rf"head\.safetensors: {fault}"):
        unpack(tensors, header, "head.safetensors")
    with pytest.raises(ValueError, match="format 99"):
        unpack(tensors, header | {"format": 99})


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="There is no file"):
        MorphableModel.load(tmp_path / "gone")
    (tmp_path / "x").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="x is no safetensors file"):
        MorphableModel.load(tmp_path / "x")


def test_a_file_of_another_net_is_refused(model, tmp_path):
    model.save(tmp_path / "head.safetensors")
    save_file(load_file(tmp_path / "head.safetensors"), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds no net, not a MorphableModel"):
        MorphableModel.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mean": torch.zeros(9, 3)}, r"x: .*shape_basis is \(90, 3, 5\), not \(9, 3, 5\)"),
        ({"shape_deviation": torch.ones(4)}, r"shape_deviation is \(4,\), not \(5,\)"),
        ({"triangles": torch.tensor([[0, 1, 90]])}, "x: it names vertices 0 to 90 of 90"),
        ({"landmarks": torch.full((68,), -1)}, "it names vertices -1"),
        ({"paint": torch.zeros(90, 3)}, r"paint is \(90, 3\), not \(90, 2\)"),
    ],
)
def test_tensors_that_do_not_agree(model, change, fault):
    tensors, header = pack(model, compact=False)
    with pytest.raises(ValueError, match=fault):
        unpack(tensors | change, header, "x")


@pytest.mark.parametrize("lost", ["name", "measures", "paint_names"])
def test_a_header_with_a_hole(model, lost):
    tensors, header = pack(model)
    del header[lost]
    with pytest.raises(ValueError, match=f"x: the header of the model is incomplete .*{lost}"):
        unpack(tensors, header, "x")


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

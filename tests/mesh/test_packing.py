"""The file of a head: what it keeps, what it leaves out, what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.mesh.packing import load, pack, save, unpack

HEAD = Path(__file__).parents[2] / "assets" / "bundle" / "head.safetensors"


def test_file_round_trip(model, tmp_path):
    save(model, tmp_path / "head.safetensors")
    read = load(tmp_path / "head.safetensors")
    assert (read.name, read.paint_names) == (model.name, model.paint_names)
    assert read.measures == model.measures
    assert list(read.measures) == list(model.measures)  # their order is that of `measure`
    torch.testing.assert_close(read.regions["face"], model.regions["face"])
    torch.testing.assert_close(read.triangles, model.triangles)
    step = model.shape_basis.abs().amax((0, 1)) / 127
    assert ((read.shape_basis - model.shape_basis).abs() <= 0.51 * step).all()
    save(read, tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors")
    torch.testing.assert_close(again.shape_basis, read.shape_basis, rtol=1e-6, atol=0)


def test_full_precision_round_trip(model):
    again = unpack(*pack(model, compact=False))
    for name, value in model.tensors():
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
        load(tmp_path / "gone")
    (tmp_path / "x").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="x is no safetensors file"):
        load(tmp_path / "x")


def test_a_file_of_another_net_is_refused(model, tmp_path):
    save(model, tmp_path / "head.safetensors")
    save_file(load_file(tmp_path / "head.safetensors"), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds no net, not a MorphableModel"):
        load(tmp_path / "other.safetensors")


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
    with pytest.raises(ValueError, match=f"x: the header of the model is damaged .*{lost}"):
        unpack(tensors, header, "x")


@pytest.fixture
def mirrored(model) -> MorphableModel:
    """The same cloud with its first 40 points repeated on the other side, ten on the seam."""
    order = torch.randperm(90)
    side = torch.tensor([-1.0, 1.0, 1.0])

    def alike(values: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
        seam = values[80:] * (sign > 0)
        return torch.cat([values[:40], values[:40] * sign, seam])[order]

    return replace(
        model,
        mean=alike(model.mean, side),
        shape_basis=alike(model.shape_basis, side[:, None]),
        expression_basis=alike(model.expression_basis, side[:, None]),
        paint=alike(model.paint, torch.ones(2)),
    )


def test_one_side_of_a_head_is_enough(mirrored):
    tensors, header = pack(mirrored)
    assert {len(tensors[n]) for n in ("mean", "shape_basis_int8", "expression_basis", "paint")} == {
        50
    }
    read = unpack(tensors, header)
    torch.testing.assert_close(read.mean, mirrored.mean, rtol=0, atol=0)
    torch.testing.assert_close(read.paint, mirrored.paint.half().float(), rtol=0, atol=0)
    step = mirrored.shape_basis.abs().amax((0, 1)) / 127
    assert ((read.shape_basis - mirrored.shape_basis).abs() <= 0.51 * step).all()
    mean = mirrored.mean.clone()
    mean[7, 1] += 1e-5
    assert "mirror" not in pack(replace(mirrored, mean=mean))[0]
    basis = mirrored.shape_basis.clone()
    basis[7, 1, 3] += 1
    assert "mirror" not in pack(replace(mirrored, shape_basis=basis))[0]
    assert "mirror" not in pack(mirrored, compact=False)[0]


def test_a_mirror_that_does_not_fit_is_refused(mirrored):
    tensors, header = pack(mirrored)
    turned = tensors["mirror"].long().roll(1)
    with pytest.raises(ValueError, match="x: mirror does not pair the 90 vertices"):
        unpack(tensors | {"mirror": turned}, header, "x")
    with pytest.raises(ValueError, match="mirror does not pair the 90 vertices"):
        unpack(tensors | {"mirror": torch.full((90,), 90)}, header)
    with pytest.raises(ValueError, match=r"x: mean is \(49, 3\), not of 50 rows for one side"):
        unpack(tensors | {"mean": tensors["mean"][1:]}, header, "x")


def test_files_of_the_first_format_are_read(model):
    tensors, header = pack(model)
    again = unpack(tensors, header | {"format": 1})
    torch.testing.assert_close(again.mean, model.mean, rtol=0, atol=0)


def test_our_head_is_small_and_loses_nothing_when_packed_again():
    assert HEAD.stat().st_size < 3_000_000
    head = load(HEAD)
    again = unpack(*pack(head))
    farthest = torch.zeros(())
    for seed in range(3):
        torch.manual_seed(seed)
        q, r = torch.randn(40) * 2, torch.randn(10) * 2
        apart = (again.vertices(q, r) - head.vertices(q, r)).norm(dim=1).max()
        farthest = torch.maximum(farthest, apart)
    assert farthest < 0.001  # millimetres
    torch.testing.assert_close(again.paint, head.paint, rtol=0, atol=0)


def test_damaged_headers_and_scales_are_refused(model, tmp_path):
    tensors, header = pack(model)
    with pytest.raises(ValueError, match=r"x: shape_basis_scale is \(4,\), not \(5,\)"):
        unpack(tensors | {"shape_basis_scale": torch.ones(4)}, header, "x")
    with pytest.raises(ValueError, match=r"x: model format \[1\]; this reads 2"):
        unpack(tensors, [1], "x")
    odd = {"vertices": ["here", 2], "closed": False, "label": ""}
    with pytest.raises(ValueError, match="x: the header of the model is damaged"):
        unpack(tensors, header | {"measures": [["width", odd]]}, "x")
    words = {"net": "MorphableModel", "arguments": "{broken"}
    save_file({"mean": torch.ones(2, 3)}, tmp_path / "odd.safetensors", words)
    with pytest.raises(ValueError, match=r"odd\.safetensors: the header of the model is damaged"):
        load(tmp_path / "odd.safetensors")

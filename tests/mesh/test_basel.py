"""Published face data behind the morphable model."""

import numpy as np
import pytest
import torch

from voicemesh.mesh import basel
from voicemesh.mesh.landmarks import BASEL_VERTICES, RATIOS


def tensors(vertices: int) -> dict[str, torch.Tensor]:
    return {
        "u": torch.randn(3 * vertices, 1) * 1e5,
        "w_shp": torch.randn(3 * vertices, 40),
        "w_exp": torch.randn(3 * vertices, 10),
        "param_mean": torch.randn(102),
        "param_std": torch.rand(102) * 1e4,
    }


def test_vertices_are_the_published_decoding_in_millimetres():
    data, q = tensors(70), torch.randn(51)
    shape = q[1:41] * data["param_std"][12:52] + data["param_mean"][12:52]
    expression = q[41:] * data["param_std"][52:62] + data["param_mean"][52:62]
    flat = data["u"][:, 0] + data["w_shp"] @ shape + data["w_exp"] @ expression
    model = basel.face_model(data)
    vertices = model.vertices(q[1:41], q[41:])
    torch.testing.assert_close(vertices, flat.reshape(-1, 3) / 1000, rtol=1e-4, atol=1e-2)
    scale = q[0] * 1.538597731841497e-05 + 0.0005920184194110334
    scaled = basel.scaled_vertices(model, q[None])[0]
    torch.testing.assert_close(scaled, scale * flat.reshape(-1, 3), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("scale", [0.02, 1.0, 55.0])
def test_a_mesh_at_any_scale_tells_its_shape(scale):
    model, shape, expression = basel.face_model(tensors(70)), torch.randn(40), torch.randn(10)
    vertices = scale * model.vertices(shape, expression)
    torch.testing.assert_close(basel.shape_of_scaled(model, vertices), shape, atol=2e-3, rtol=2e-3)


def test_without_whitening_parameters_are_raw():
    data = tensors(70)
    del data["param_mean"], data["param_std"]
    model = basel.face_model(data)
    moved = model.vertices(torch.eye(40)[3]) - model.mean
    torch.testing.assert_close(moved, model.shape_basis[..., 3], rtol=1e-3, atol=1e-4)


def test_lengths_are_those_of_the_mesh_that_has_them():
    assert basel.face_model(tensors(70)).measures == {}
    whole = basel.face_model(tensors(BASEL_VERTICES))
    assert set(RATIOS) < set(whole.measures)
    gap = whole.mean[1678] - whole.mean[42117]
    fore = list(whole.measures).index("fore")
    torch.testing.assert_close(whole.measure(whole.mean)[fore], gap.norm())
    neckless = basel.PAIRS[basel.NO_NECK_VERTICES]
    assert "ear" not in neckless and max(max(pair) for pair in neckless.values()) < 38_365


def test_triangles_are_turned_outward():
    # An octahedron wound inwards, as published: seen from outside it turns clockwise.
    points = torch.tensor(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], dtype=torch.float32
    )
    outward = [
        (0, 1, 2),
        (1, 3, 2),
        (3, 4, 2),
        (4, 0, 2),
        (1, 0, 5),
        (3, 1, 5),
        (4, 3, 5),
        (0, 4, 5),
    ]
    inward = np.array([(a, c, b) for a, b, c in outward])
    for published in (inward, inward.T):
        corners = points[basel.outward(published, 6)]
        normals = (corners[:, 1] - corners[:, 0]).cross(corners[:, 2] - corners[:, 0], dim=1)
        assert ((normals * corners.mean(1)).sum(1) > 0).all()
    with pytest.raises(ValueError, match="vertices 0 to 5; the mesh has 0 to 4"):
        basel.outward(inward, 5)


def test_landmarks_as_vertices_or_coordinates():
    ids = np.arange(68) * 7
    flat = (3 * ids[:, None] + np.arange(3)).ravel()
    assert basel.landmark_vertices(ids).tolist() == basel.landmark_vertices(flat).tolist()
    for wrong in (ids[:67], flat + 1):
        with pytest.raises(ValueError, match="68 landmarks or their 204 coordinates"):
            basel.landmark_vertices(wrong)

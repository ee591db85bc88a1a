import threading

import numpy as np
import pytest
import torch

from voicemesh.kernels.rasterize import (
    EMPTY,
    EMPTY_DEPTH,
    Fragments,
    _span,
    interpolate,
    interpolate_reference,
    rasterize,
    rasterize_reference,
)
from voicemesh.kernels.rasterize_cpu import interpolate_cpu, rasterize_cpu, warm_up

CASES = [(1, 1, 1), (7, 17, 13), (60, 33, 40)]
WIDE = (9, 20, 90)  # boxes that several programs share  # triangles, height, width


def scene(count, height, width, dtype=torch.float32):
    """Random triangles that overlap, leave the image and share depths."""
    generator = torch.Generator().manual_seed(count)
    points = torch.rand(count * 3, 3, generator=generator, dtype=torch.float64)
    points = points * torch.tensor([width * 1.4, height * 1.4, 40]) - torch.tensor([3.0, 2, 20])
    points[:, 2] = points[:, 2].round()  # equal depths happen
    points[::5, :2] = points[::5, :2].round()  # corners on samples
    order = torch.randperm(count * 3, generator=generator)
    return points.to(dtype), order.reshape(-1, 3)


def by_definition(vertices, triangles, size):
    """Pixel by pixel in Python floats."""
    height, width = size
    nearest = np.full(size, EMPTY)
    depth = np.full(size, EMPTY_DEPTH)
    for t, corners in enumerate(triangles.tolist()):
        p0, p1, p2 = (vertices[i].tolist() for i in corners)
        edges = np.array([[p2[0] - p0[0], p1[0] - p0[0]], [p2[1] - p0[1], p1[1] - p0[1]]])
        for y in range(height):
            for x in range(width):
                u, v = np.linalg.solve(edges, [x - p0[0], y - p0[1]])
                z = p0[2] + u * (p2[2] - p0[2]) + v * (p1[2] - p0[2])
                if u >= 0 and v >= 0 and u + v < 1 and z > depth[y, x]:
                    nearest[y, x], depth[y, x] = t, z
    return nearest, depth


def assert_same(found, wanted):
    assert torch.equal(found.triangle.cpu(), wanted.triangle)
    assert torch.equal(found.weights.cpu(), wanted.weights)
    assert torch.equal(found.depth.cpu(), wanted.depth)


@pytest.mark.parametrize("case", CASES)
def test_reference_equals_definition(case):
    size = case[1:]
    vertices, triangles = scene(*case, dtype=torch.float64)
    vertices += torch.rand(vertices.shape, dtype=torch.float64) * 1e-3  # no edge through a sample
    found = rasterize_reference(vertices, triangles, size)
    nearest, depth = by_definition(vertices, triangles, size)
    assert np.array_equal(found.triangle.numpy(), nearest)
    np.testing.assert_allclose(found.depth.numpy(), depth, rtol=1e-9)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_cpu_equals_reference(case, bands):
    vertices, triangles = scene(*case)
    size = case[1:]
    assert_same(
        rasterize_cpu(vertices, triangles, size, bands),
        rasterize_reference(vertices, triangles, size),
    )


@pytest.mark.parametrize("case", [*CASES, WIDE])
def test_triton_equals_reference(case, device):
    from voicemesh.kernels.rasterize_triton import rasterize_triton

    vertices, triangles = scene(*case)
    size = case[1:]
    found = rasterize_triton(
        vertices.to(device), triangles.to(device), size, 32, 8, 1024, programs=2
    )
    assert_same(found, rasterize_reference(vertices, triangles, size))


def forms(device):
    from voicemesh.kernels.rasterize_triton import rasterize_triton

    def triton_form(vertices, triangles, size):
        mesh = vertices.to(device), triangles.to(device)
        return rasterize_triton(*mesh, size, 16, 8, 64, programs=2)

    return [rasterize_reference, rasterize_cpu, triton_form]


def test_of_equal_depths_the_earlier_triangle_wins(device):
    vertices = torch.tensor([[0.0, 0, -3], [0, 6, -3], [6, 0, -3]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 2, 0]])
    for form in forms(device):
        assert set(form(vertices, triangles, (8, 8)).triangle[0, :6].tolist()) == {0}


def test_edges_of_p0_belong_to_the_triangle_the_far_edge_does_not(device):
    vertices = torch.tensor([[1.0, 1, 5], [1, 4, 5], [4, 1, 5]])
    triangles = torch.tensor([[0, 1, 2]])
    drawn = torch.zeros(6, 6, dtype=torch.bool)
    for y, x in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]:
        drawn[y, x] = True
    for form in forms(device):
        assert torch.equal(form(vertices, triangles, (6, 6)).triangle.cpu() >= 0, drawn)


def test_a_triangle_without_area_covers_its_box_with_its_first_corner(device):
    vertices = torch.tensor([[1.0, 1, 9], [2, 2, 5], [3, 3, 1]])
    triangles = torch.tensor([[0, 1, 2]])
    for shift, last in ((0, 4), (0.25, 5)):  # behind the box
        for form in forms(device):
            fragments = form(vertices + shift, triangles, (6, 6))
            covered = fragments.depth[1:last, 1:last]
            assert (covered == 9 + shift).all() and (fragments.depth > 0).sum() == covered.numel()


def test_a_corner_that_only_touches_the_image_is_drawn(device):
    triangles = torch.tensor([[0, 1, 2]])
    for x, y, outside in ((2, 0, -3), (2, 4, 8)):
        corners = torch.tensor([[x, y, 1.0], [x - 1, outside, 1], [x + 1, outside, 1]])
        for form in forms(device):
            for turned in (corners, corners[:, [1, 0, 2]]):
                drawn = form(turned, triangles, (5, 5)).triangle.cpu() >= 0
                assert drawn.nonzero().tolist() == [turned[0, [1, 0]].int().tolist()]


def test_a_triangle_whose_area_rounds_to_nothing_has_none(device):
    vertices = torch.tensor([[1e-12, 0, 9], [0, 0, 5], [1e-12, 1e-12, 1]])
    triangles = torch.tensor([[0, 1, 2]])
    for form in forms(device):
        fragments = form(vertices, triangles, (4, 4))
        assert (fragments.depth[:2, :2] == 9).all() and (fragments.depth > 0).sum() == 4


def test_zeros_of_either_sign_are_equal_depths(device):
    vertices = torch.tensor([[0.0, 0, -0.0], [0, 6, -0.0], [6, 0, -0.0], [0, 0, 0], [0, 6, 0]])
    triangles = torch.tensor([[0, 1, 2], [3, 4, 2]])
    for form in forms(device):
        assert set(form(vertices, triangles, (8, 8)).triangle[0, :6].tolist()) == {0}


def test_the_last_row_and_column_of_a_box_are_drawn(device):
    triangles = torch.tensor([[0, 1, 2]])
    for last in (7, 8, 9):  # within a window, and the first or the second of the next one
        vertices = torch.tensor([[last, last, 1], [last, 0, 1], [0, last, 1]]).float()
        for form in forms(device):
            assert form(vertices, triangles, (12, 12)).triangle[last, last] == 0


def test_wide_boxes_wait_in_the_queue(device):
    from voicemesh.kernels.rasterize_triton import LAST, WIDE, WINDOW, _draw_kernel

    inf, beyond, empty = float("inf"), 2.0 * WIDE, torch.iinfo(torch.int64).min
    vertices = torch.tensor(
        [[0, 0, 1], [0, beyond, 1], [3, 0, 1], [beyond, 0, 1], [3, 3, 1], [0, inf, 1]]
    ).to(device)
    triangles = torch.tensor([[0, 1, 2], [0, 3, 2], [0, 2, 4], [0, 3, 5]]).int().to(device)
    keys = torch.full((WIDE + 4, WIDE + 4), empty).to(device)
    queue = torch.zeros(5, dtype=torch.int32, device=device)
    mesh = vertices, triangles, keys, queue
    _draw_kernel[(1,)](*mesh, 4, *keys.shape, 4, WINDOW, WIDE, enable_fp_fusion=False)
    assert queue.tolist() == [2, 0, 1, 0, 0]  # two of them wait, the first and the second
    assert set((keys[keys != empty] & LAST.value ^ LAST.value).tolist()) == {2}


def test_both_sides_and_negative_depths_are_drawn_by_nearness(device):
    vertices = torch.tensor(
        [[0.0, 0, -7], [0, 9, -7], [9, 0, -7], [0, 0, -2], [0, 9, -2], [9, 0, -2]]
    )
    triangles = torch.tensor([[0, 1, 2], [3, 5, 4]])
    for form in forms(device):
        assert set(form(vertices, triangles, (4, 4)).triangle.flatten().tolist()) == {1}


def test_a_triangle_far_larger_than_the_image_fills_it(device):
    vertices = torch.tensor([[-1e8, -1e8, 3], [-1e8, 5e8, 3], [5e8, -1e8, 3]])
    triangles = torch.tensor([[0, 1, 2]])
    for form in forms(device):
        for size in ((5, 7), (9, 80)):  # within one piece of its box, and in two
            assert (form(vertices, triangles, size).triangle == 0).all()


def test_nothing_to_draw(device):
    beyond = [[99.0, 99, 0], [99, 95, 0], [4, 1e30, 0], [5, 2e30, 0]]
    vertices = torch.tensor([[0.0, 0, 0], [float("nan"), 1, 0], [5, 0, 0], *beyond])
    for triangles in ([], [[0, 1, 2]], [[3, 4, 3]], [[5, 6, 5]]):
        triangles = torch.tensor(triangles, dtype=torch.int64).reshape(-1, 3)
        for form in forms(device):
            fragments = form(vertices, triangles, (3, 5))
            assert (fragments.triangle == EMPTY).all() and (fragments.weights == 0).all()
            assert (fragments.depth == EMPTY_DEPTH).all()


def test_non_contiguous_vertices_and_wide_indices():
    vertices, triangles = scene(9, 20, 20)
    strided = torch.cat([vertices, vertices], 1)[:, :3]
    assert not strided.is_contiguous()
    assert_same(
        rasterize(strided, triangles, (20, 20)), rasterize_reference(vertices, triangles, (20, 20))
    )


def test_concurrent_calls_agree():
    vertices, triangles = scene(60, 33, 40)
    wanted = rasterize_cpu(vertices, triangles, (200, 200), bands=1)
    found = [None] * 4

    def work(i):
        found[i] = rasterize_cpu(vertices, triangles, (200, 200), bands=2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fragments in found:
        assert_same(fragments, wanted)


def test_weights_give_back_position_and_depth():
    vertices, triangles = scene(60, 33, 40, dtype=torch.float64)
    fragments = rasterize(vertices, triangles, (33, 40))
    at = interpolate(fragments, triangles, vertices)
    y, x = torch.nonzero(fragments.triangle >= 0, as_tuple=True)
    torch.testing.assert_close(at[y, x, 0], x.double())
    torch.testing.assert_close(at[y, x, 1], y.double())
    torch.testing.assert_close(at[y, x, 2], fragments.depth[y, x])


def test_interpolate_cpu_equals_reference():
    vertices, triangles = scene(60, 33, 40)
    attributes = torch.randn(len(vertices), 5)
    fragments = rasterize(vertices, triangles, (33, 40))
    found = interpolate_cpu(fragments, triangles, attributes)
    assert torch.equal(found, interpolate_reference(fragments, triangles, attributes))
    assert (found[fragments.triangle < 0] == 0).all() and found.any()


def test_interpolate_by_triton_equals_reference(device):
    from voicemesh.kernels.interpolate_triton import interpolate_triton

    vertices, triangles = scene(60, 33, 40)
    fragments = rasterize(vertices, triangles, (33, 40))
    on = [Fragments(*(part.to(device) for part in fragments)), triangles.to(device)]
    for channels in (5, 33):  # by a program, and by two of which the last one has one channel left
        attributes = torch.randn(len(vertices), channels)
        attributes[0] = float("inf")  # of triangles seen, and of nothing else
        expected = interpolate_reference(fragments, triangles, attributes)
        found = interpolate_triton(*on, attributes.to(device), values=8192)
        assert torch.equal(found.cpu(), expected)
    for nothing in (attributes[:, :0], attributes[:0]):
        empty = interpolate_triton(
            Fragments(*(part[:0].to(device) for part in fragments)), on[1], nothing.to(device)
        )
        assert empty.shape == (0, 40, nothing.shape[1])


def test_interpolate_has_the_gradient_of_its_weights():
    vertices, triangles = scene(7, 9, 8, dtype=torch.float64)
    fragments = rasterize(vertices, triangles, (9, 8))
    attributes = torch.randn(len(vertices), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: interpolate(fragments, triangles, a), attributes)


@pytest.mark.parametrize(
    ("triangles", "size", "told"),
    [
        ([[0, 1, 3]], (4, 4), "vertices 0 to 3"),
        ([[0, -1, 2]], (4, 4), "vertices -1 to 2"),
        ([[0, 1, 2]], (0, 4), "at least 1"),
    ],
)
def test_refuses(triangles, size, told):
    with pytest.raises(ValueError, match=told):
        rasterize(torch.zeros(3, 3), torch.tensor(triangles), size)


def test_triangles_on_a_gpu_are_asked_once_until_they_change(monkeypatch):
    asked, aminmax = [], torch.Tensor.aminmax
    monkeypatch.setattr(torch.Tensor, "aminmax", lambda x: asked.append(x) or aminmax(x))
    _, triangles = scene(7, 9, 8)
    for _ in range(3):
        assert _span(triangles, keep=True) == [0, 20]
    assert len(asked) == 1
    triangles[3, 1] = 21
    assert _span(triangles, keep=True) == [0, 21]
    with torch.inference_mode():
        changing = triangles.clamp(max=20)
        assert _span(changing, keep=True) == [0, 20]
        changing[3, 1] = 21
        assert _span(changing, keep=True) == [0, 21]


def test_triangles_that_change_behind_the_back_are_seen():
    vertices, triangles = scene(7, 9, 8)
    rasterize(vertices, triangles, (9, 8))
    with pytest.raises(ValueError, match="vertices 0 to 19"):
        rasterize(vertices[:-1], triangles, (9, 8))
    triangles.numpy()[3, 1] = 21
    with pytest.raises(ValueError, match="name vertices 0 to 21"):
        rasterize(vertices, triangles, (9, 8))


def test_warm_up():
    warm_up()

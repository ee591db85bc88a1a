import numpy as np
import pytest

from voicemesh.mesh import render
from voicemesh.mesh.lighting import Lighting, light, vertex_normals


def octahedron():
    """A closed mesh around the origin, triangles counter-clockwise seen from outside."""
    vertices = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    triangles = [[x, y, z] for x in (0, 1) for y in (2, 3) for z in (4, 5)]
    outward = []
    for corners in triangles:
        normal = np.linalg.det(vertices[corners])
        outward.append(corners if normal > 0 else corners[::-1])
    return vertices.astype(np.float32), np.array(outward, np.int32)


def square(low=2.0, high=6.0, depth=0.0):
    vertices = np.array(
        [[low, low, depth], [high, low, depth], [high, high, depth], [low, high, depth]], np.float32
    )
    return vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def test_normals_point_outward_and_have_unit_length():
    vertices, triangles = octahedron()
    normals = vertex_normals(vertices * [1, 2, 1], triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(normals, vertices, atol=1e-6)


def test_normals_are_weighted_by_area_and_zero_where_nothing_is():
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 1], [9, 9, 9]], np.float32)
    normals = vertex_normals(vertices, np.array([[0, 1, 2], [0, 2, 3]]))
    np.testing.assert_allclose(normals[0], np.array([3, 0, 9]) / np.hypot(3, 9), rtol=1e-6)
    assert (normals[4] == 0).all()


def test_light_is_brightest_towards_the_light():
    vertices, triangles = octahedron()
    shone = light(vertices, vertex_normals(vertices, triangles))
    assert shone.dtype == np.float32 and shone.max() <= 1
    assert shone[:, 0].argmax() == 4  # the vertex at the front
    np.testing.assert_allclose(shone[4], 1, atol=1e-6)  # .3 + .6 + .1, all towards the viewer
    np.testing.assert_allclose(shone[5], 0.4, atol=1e-6)  # .3 + .1: gleams though it faces away


def test_light_follows_its_settings():
    vertices, triangles = octahedron()
    from_left = Lighting(0.2, 0.5, 0.0, light=(-9.0, 0, 0), directional_colour=(1.0, 0.5, 0.0))
    shone = light(vertices, vertex_normals(vertices, triangles), from_left)
    np.testing.assert_allclose(shone[1], [0.7, 0.45, 0.2], atol=1e-6)
    np.testing.assert_allclose(shone[0], 0.2, atol=1e-6)


def test_draw_writes_truncated_bytes_and_leaves_its_input():
    vertices, triangles = square()
    image = np.full((9, 9, 3), 40, np.uint8)
    colours = np.tile(np.float32([0.5, 0.999, 0.0]), (4, 1))
    drawn = render.draw(image, vertices, triangles, colours)
    assert (image == 40).all()
    assert drawn[4, 3].tolist() == [127, 254, 0]
    assert drawn[8, 8].tolist() == [40, 40, 40]


def test_draw_blends_by_alpha_whatever_the_order():
    near, triangles = square(depth=3.0)
    far, _ = square(depth=-3.0)
    vertices = np.concatenate([far, near])
    colours = np.repeat(np.float32([[1.0], [0.2]]), 4, axis=0)
    image = np.full((9, 9, 1), 100, np.uint8)
    for order in ([triangles, triangles + 4], [triangles + 4, triangles]):
        drawn = render.draw(image, vertices, np.concatenate(order), colours, alpha=0.25)
        assert drawn[4, 3, 0] == int(0.75 * 100 + 0.25 * 255 * 0.2)


def test_draw_reversed_is_upside_down():
    vertices, triangles = square(low=1.0, high=4.0)
    colours = np.linspace(0, 1, 4, dtype=np.float32)[:, None]
    image = np.zeros((9, 7, 1), np.uint8)
    upright = render.draw(image, vertices, triangles, colours)
    assert upright.any()
    turned = render.draw(image, vertices, triangles, colours, reverse=True)
    np.testing.assert_array_equal(turned, upright[::-1])


def test_draw_clips_colours():
    vertices, triangles = square()
    colours = np.tile(np.float32([2.0, -1.0]), (4, 1))
    drawn = render.draw(np.full((9, 9, 2), 7, np.uint8), vertices, triangles, colours)
    assert drawn[4, 4].tolist() == [255, 0]


def test_draw_refuses_a_senseless_alpha():
    vertices, triangles = square()
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        render.draw(np.zeros((4, 4, 3), np.uint8), vertices, triangles, np.ones((4, 3)), 1.5)


def test_overlay_keeps_the_photograph_around_the_mesh():
    vertices, triangles = octahedron()
    placed = vertices * [8, -8, 8] + [10, 10, 0]
    photograph = np.random.default_rng(0).integers(0, 255, (21, 21, 3)).astype(np.uint8)
    texture = np.tile(np.float32([1.0, 0.5, 0.0]), (6, 1))
    for worn in (None, texture):
        shown = render.overlay(photograph, placed, triangles[:, ::-1], worn)
        np.testing.assert_array_equal(shown[0], photograph[0])
        assert (shown[10, 10] != photograph[10, 10]).any()
    assert shown[10, 10, 0] > shown[10, 10, 1] > shown[10, 10, 2] == 0

import time

import numpy as np
import pytest
import torch

from voicemesh.mesh import render
from voicemesh.mesh.lighting import Lighting, light, vertex_normals
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.mesh.view import turn, without_slivers


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


@pytest.fixture(scope="module")
def ball():
    """A sphere of head's size, half of it painted red, the bottom of it cut off."""
    rings, sectors = 24, 32
    polar = np.linspace(0.02, 2.6, rings)
    azimuth = 2 * np.pi * np.arange(sectors) / sectors
    polar, azimuth = np.meshgrid(polar, azimuth, indexing="ij")
    flat = np.sin(polar)
    points = [flat * np.sin(azimuth), np.cos(polar), flat * np.cos(azimuth)]
    vertices = 100 * np.stack(points, -1).reshape(-1, 3).astype(np.float32)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(sectors), indexing="ij")
    p, q = i * sectors + j, i * sectors + (j + 1) % sectors
    triangles = np.stack([p, p + sectors, q, q, p + sectors, q + sectors], -1).reshape(-1, 3)
    colours = np.where(vertices[:, :1] > 0, [[0.8, 0.1, 0.1]], [[0.5, 0.5, 0.5]])
    return FaceMesh(vertices, triangles.astype(np.int32), colours.astype(np.float32), np.arange(68))


def test_portrait_shows_the_head_before_its_backdrop(ball):
    picture = render.portrait(ball, 48).astype(int)
    bare = render.portrait(
        FaceMesh(ball.vertices, ball.triangles[:0], ball.colours, ball.landmarks), 48
    ).astype(int)
    apart = np.abs(picture - bare).max(-1) > 3
    assert not apart[0].any() and not apart[:, 0].any() and apart[24, 24]
    assert 0.5 < apart.mean() < 0.8
    red = picture[..., 0] - picture[..., 1] > 60
    assert red[24, 28] and not red[24, 20]  # the subject's left is on the viewer's right


def test_triangles_seen_edge_on_are_left_out():
    image = np.array([[1, 1, 1], [9, 9, 1], [5, 5, 1], [5, 4, 1], [5, 5.001, 1]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 1, 3], [0, 4, 1], [3, 1, 0]], np.int32)
    assert without_slivers(image, triangles).tolist() == [[0, 1, 3], [3, 1, 0]]


def test_the_head_turns_to_the_viewers_right_and_up(ball):
    nose = np.array([0.0, 0, 1])
    assert turn(30, 0) @ nose == pytest.approx([0.5, 0, 0.75**0.5])
    assert turn(0, 30) @ nose == pytest.approx([0, 0.5, 0.75**0.5])
    seen = {}
    for yaw in (0, 40, -90):
        picture = render.portrait(ball, 48, yaw).astype(int)
        seen[yaw] = (picture[..., 0] - picture[..., 1] > 60).sum()
    assert seen[40] < seen[0] < seen[-90]  # the subject's left is red


def test_portrait_is_repeatable_and_leaves_its_input(ball):
    before = ball.vertices.copy()
    first = render.portrait(ball, 32, yaw=20)
    np.testing.assert_array_equal(first, render.portrait(ball, 32, yaw=20))
    given = render.openness_of(ball)
    np.testing.assert_array_equal(first, render.portrait(ball, 32, yaw=20, openness=given))
    np.testing.assert_array_equal(ball.vertices, before)


def test_eyes_mirror_a_window(ball):
    white = {}
    for kind in (render.Material.SKIN, render.Material.EYE):
        material = np.full(len(ball.vertices), int(kind))
        white[kind] = (render.portrait(ball, 48, material=material).min(-1) > 230).sum()
    assert white[render.Material.SKIN] == 0 < white[render.Material.EYE]


def test_hair_has_strands_and_skin_has_none(ball):
    rough = {}
    for kind in (render.Material.SKIN, render.Material.HAIR):
        material = np.full(len(ball.vertices), int(kind))
        picture = render.portrait(ball, 96, material=material)[30:60, 20:40, 1].astype(float)
        rough[kind] = np.abs(np.diff(picture, 2, axis=1)).mean()
    assert rough[render.Material.HAIR] > 4 * rough[render.Material.SKIN]


def test_without_fade_the_edge_is_sharp(ball):
    def gone(picture):
        return np.abs(picture.astype(int) - render.portrait(ball, 48).astype(int)).sum()

    assert gone(render.portrait(ball, 48, fade=0.0)) > 0 == gone(render.portrait(ball, 48, fade=20))


def test_openness_is_one_outside_and_less_in_a_fold(ball):
    opened = render.openness_of(ball)
    above = ball.vertices[:, 1] > -50
    assert (opened[above] > 0.9).all()
    # A lid over the top of the ball hides the sky from what lies under it.
    lid = np.array([[-150, 110, -150], [150, 110, -150], [0, 110, 200]], np.float32)
    both = FaceMesh(
        np.concatenate([ball.vertices, lid]),
        np.concatenate([ball.triangles, [[len(opened), len(opened) + 2, len(opened) + 1]]]).astype(
            np.int32
        ),
        np.concatenate([ball.colours, lid * 0]),
        ball.landmarks,
    )
    covered = render.openness_of(both)[: len(opened)]
    assert covered[ball.vertices[:, 1] > 95].max() < 0.5
    np.testing.assert_allclose(
        covered[ball.vertices[:, 1] < -60].mean(), opened[~above].mean(), atol=0.1
    )


def test_the_inside_of_a_fading_neck_is_not_seen(ball):
    below = {fade: render.portrait(ball, 48, pitch=60, fade=fade)[39, 24] for fade in (0.0, 20.0)}
    bare = FaceMesh(ball.vertices, ball.triangles[:0], ball.colours, ball.landmarks)
    np.testing.assert_allclose(below[20.0], render.portrait(bare, 48)[39, 24], atol=2)
    assert (below[0.0][1:] < 80).all()


def test_materials_follow_the_paint():
    names = ("melanin", "lips", "sclera", "iris", "scalp")
    paint = torch.tensor(
        [[9.0, 0, 0, 0, 0], [0, 0.9, 0, 0, 0], [0, 0, 0.4, 0.6, 0], [0, 0, 0, 0, 1]]
    )
    model = painted(paint, names)
    kinds = [render.Material.SKIN, render.Material.LIPS, render.Material.EYE, render.Material.HAIR]
    assert render.materials(model).tolist() == [int(kind) for kind in kinds]
    assert (render.materials(painted(None, ())) == 0).all()


def painted(paint, names):
    empty = torch.zeros(4, 3, 0)
    nothing = torch.zeros(0)
    return MorphableModel(
        name="test",
        mean=torch.zeros(4, 3),
        shape_basis=empty,
        expression_basis=empty,
        shape_mean=nothing,
        shape_deviation=nothing,
        expression_mean=nothing,
        expression_deviation=nothing,
        triangles=torch.zeros(0, 3, dtype=torch.int64),
        landmarks=torch.zeros(68, dtype=torch.int64),
        paint=paint,
        paint_names=names,
    )


def test_warm_up_leaves_little_to_compile(ball):
    render.warm_up()
    start = time.process_time()
    render.portrait(ball, 16)
    assert time.process_time() - start < 1  # compiling would take several seconds

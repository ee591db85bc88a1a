"""Shoulders: they close the neck, face outward, and leave other meshes alone."""

from dataclasses import replace

import numpy as np
import pytest

from voicemesh.mesh.bust import RINGS, neck_rim, on_shoulders
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.hair_locks import COLUMNS
from voicemesh.mesh.morphable import FaceMesh
from voicemesh.mesh.studio import Material

CLOTH = (0.2, 0.3, 0.4)


def dome(sides: int = 12, rings: int = 4) -> FaceMesh:
    """Half a ball of 80 mm on a short pipe that is open below."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    rows = [(-60.0, 80.0)] + [
        (80 * np.sin(rise), 80 * np.cos(rise)) for rise in np.linspace(0, 1.4, rings)
    ]
    points = [[r * np.sin(a), y, r * np.cos(a)] for y, r in rows for a in angle]
    points.append([0.0, 85.0, 0.0])
    triangles = []
    for row in range(len(rows) - 1):
        for i in range(sides):
            a, b = row * sides + i, row * sides + (i + 1) % sides
            triangles += [[a, b, b + sides], [a, b + sides, a + sides]]
    top, last = len(points) - 1, (len(rows) - 1) * sides
    triangles += [[last + i, last + (i + 1) % sides, top] for i in range(sides)]
    count = len(points)
    return FaceMesh(
        vertices=np.array(points, np.float32),
        triangles=np.array(triangles, np.int32),
        colours=np.full((count, 3), 0.7, np.float32),
        landmarks=np.zeros(68, np.int64),
    )


def volume(mesh: FaceMesh) -> float:
    """Signed, of the pyramids from the triangles to the origin: positive if they face outward."""
    a, b, c = (mesh.vertices[corner].astype(float) for corner in mesh.triangles.T)
    return float((a * np.cross(b, c)).sum() / 6)


def test_the_rim_is_the_open_end():
    assert sorted(neck_rim(dome())) == list(range(12))


@pytest.mark.parametrize("turned", [False, True])
def test_shoulders_face_outward(turned):
    head = dome()
    if turned:  # another start of the rim
        head = replace(head, triangles=np.ascontiguousarray(np.roll(head.triangles, 7, 0)))
    count = len(head.vertices)
    bust, openness, hair = on_shoulders(head, np.ones(count, np.float32), None, CLOTH)
    assert hair is None and len(bust.vertices) == count + 12 * len(RINGS) == len(openness)
    assert bust.triangles.max() == len(bust.vertices) - 1
    new = replace(bust, triangles=bust.triangles[len(head.triangles) :])
    centre = bust.vertices[new.triangles].mean(1)
    a, b, c = (bust.vertices[corner] for corner in new.triangles.T)
    outward = (np.cross(b - a, c - a) * centre * [1, 0, 1]).sum(1)
    assert (outward > 0).mean() == pytest.approx(6 / 7)  # the collar turns in on itself
    assert np.ptp(bust.vertices[:, 0]) > 1.5 * np.ptp(head.vertices[:, 0])
    np.testing.assert_allclose(bust.colours[-12:], np.tile(np.float32(CLOTH), (12, 1)))
    np.testing.assert_allclose(bust.colours[count : count + 12], 0.7)
    sky = np.repeat([ring[3] for ring in RINGS], 12)  # ring by ring
    np.testing.assert_allclose(openness, [*np.ones(count), *sky], rtol=1e-6)


def test_the_neck_goes_on_as_it_is_beneath_the_hair():
    head = dome()
    count = len(head.vertices)
    empty = {name: np.zeros((0, 3), np.float32) for name in COLUMNS[:4]}
    empty |= {name: np.zeros(0, np.float32) for name in COLUMNS[4:]}
    hair = Hair(
        **empty,
        triangles=np.zeros((0, 3), np.int32),
        head_colours=np.full((count, 3), 0.4, np.float32),
        head_material=np.full(count, int(Material.LIPS), np.int32),
    )
    bust, _, worn = on_shoulders(head, np.ones(count, np.float32), hair, CLOTH)
    assert worn.head_colours.shape == bust.colours.shape == bust.vertices.shape
    for colours in (worn.head_colours, bust.colours):
        np.testing.assert_allclose(colours[count : count + 12], 0.4)
        np.testing.assert_allclose(colours[-12:], np.tile(np.float32(CLOTH), (12, 1)))
    assert worn.head_material.tolist() == [int(Material.LIPS)] * count + [int(Material.SKIN)] * (
        len(bust.vertices) - count
    )


def test_a_head_without_a_neck_stays_as_it_is():
    closed = dome()
    closed = replace(closed, triangles=closed.triangles[:-1])  # open above, and below a disc
    disc = [[0, i + 1, i] for i in range(1, 11)]
    closed = replace(closed, triangles=np.concatenate([closed.triangles, disc]).astype(np.int32))
    openness = np.ones(len(closed.vertices), np.float32)
    bust, same, _ = on_shoulders(closed, openness, None, CLOTH)
    assert bust is closed and same is openness

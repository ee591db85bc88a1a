"""Pictures of people: repeatable, in the person's own colours, framed by their eyes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from voicemesh.mesh.hair_styles import HairStyle
from voicemesh.mesh.landmarks import LEFT_CHEILION, RIGHT_CHEILION
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.mesh.studio import Studio
from voicemesh.population.appearance import APPEARANCE
from voicemesh.population.law import draw
from voicemesh.population.portraits import (
    LIGHTS,
    LOOKS,
    NEUTRAL,
    Sitting,
    camera_of,
    framed,
    look_of,
    looks_of,
    portraits,
    sitting,
    studio_of,
    taken,
)


def ball() -> MorphableModel:
    """A ball of 10 cm that grows with its one shape and moves up with its one expression."""
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 12), np.linspace(0.3, 2.8, 7))
    points = np.stack([np.sin(rise) * np.cos(turn), np.cos(rise), np.sin(rise) * np.sin(turn)], -1)
    mean = torch.tensor(100 * points.reshape(-1, 3)).float()
    corner = torch.arange(84).reshape(7, 12)[:-1, :-1].reshape(-1, 1)
    triangles = torch.cat([corner + torch.tensor([0, 1, 12]), corner + torch.tensor([1, 13, 12])])
    landmarks = torch.arange(68)
    # Eyes and the corners of the mouth where a face has them.
    landmarks[36:42], landmarks[42:48] = 28, 26
    landmarks[RIGHT_CHEILION], landmarks[LEFT_CHEILION] = 64, 62
    return MorphableModel(
        name="ball",
        mean=mean,
        shape_basis=(mean / 10)[..., None],
        expression_basis=torch.tensor([0.0, 8.0, 0.0]).expand(84, 3)[..., None],
        shape_mean=torch.zeros(1),
        shape_deviation=torch.ones(1),
        expression_mean=torch.zeros(1),
        expression_deviation=torch.ones(1),
        triangles=triangles,
        landmarks=landmarks,
    )


def test_a_look_is_the_persons():
    people = draw(5, seed=1)
    look, looks = look_of(people, 3), looks_of(people, 3, np.arange(14.0))
    assert look.melanin == people.appearance[3, APPEARANCE.index("melanin")]
    assert look.grey == people.appearance[3, APPEARANCE.index("grey")]
    assert looks[LOOKS.index("blood")] == np.float32(look.blood)
    assert looks[LOOKS.index("age")] == np.float32(people.age[3])
    assert looks[LOOKS.index("sides")] == 1 and looks[LOOKS.index("brows")] == 13


def test_pictures_are_repeatable_and_differ():
    people, model = draw(5, seed=1), ball()
    one, two = (
        list(portraits(people, 2, model, torch.zeros(1), HairStyle(), 3, 32, 7)) for _ in range(2)
    )
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.pixels, second.pixels)
    assert len(one) == 3 and one[0].pixels.shape == (32, 32, 3)
    assert not np.array_equal(one[1].pixels, one[2].pixels)
    assert one[0].sitting.yaw == one[0].sitting.pitch == 0 and one[0].sitting.expression is None


def test_melanin_darkens():
    people = draw(5, seed=1)
    skins = np.repeat([[0.03], [1.2]], 5, axis=1)
    pictures = []
    for melanin in skins:
        looks = people.appearance.copy()
        looks[:, APPEARANCE.index("melanin")] = melanin
        wearing = replace(people, appearance=looks)
        pictures.append(
            next(portraits(wearing, 0, ball(), torch.zeros(1), HairStyle(), 1, 32)).pixels
        )
    middle = [picture[12:20, 12:20].mean() for picture in pictures]
    assert middle[0] > middle[1] + 40


@pytest.mark.parametrize("shape", [-3.0, 0.0, 4.0])
@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (15.0, -8.0)])
def test_the_camera_tells_where_the_face_is(shape, yaw, pitch):
    model, size = ball(), 64
    mesh = model.mesh(torch.tensor([shape]))
    sat = Sitting(yaw, pitch)
    focus, width = framed(mesh, sat)
    # From so far away that the perspective is weak.
    camera = camera_of(mesh, sat, focus, width, 1e6, size)
    x, y, z = (np.column_stack([mesh.vertices, np.ones(84)]) @ camera.T).T
    right, left, mouth = model.landmarks[[36, 42, LEFT_CHEILION]].tolist()
    middle = (x[left] + x[right]) / 2
    assert middle == pytest.approx((size - 1) / 2, abs=1.5)
    distance = np.hypot(x[left] - x[right], y[left] - y[right])
    assert distance < size / 4 and x[left] > x[right]
    assert 0.44 * size < (y[left] + y[right]) / 2 < 0.5 * size < y[mouth]
    assert z[mesh.vertices[:, 2].argmax()] > z[mesh.vertices[:, 2].argmin()]


def test_a_head_is_the_size_of_its_eyes():
    model = ball()
    small, large = (model.mesh(torch.tensor([s])) for s in (-3.0, 3.0))
    assert framed(large, Sitting())[1] == pytest.approx(framed(small, Sitting())[1] * 1.3 / 0.7)
    pictures = [taken(mesh, Sitting(), 48).pixels.astype(float) for mesh in (small, large)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 6  # but for perspective, shade and texture


def test_the_picture_is_where_the_camera_says():
    mesh = ball().mesh(torch.zeros(1))
    shot = taken(mesh, Sitting(backdrop=(0.0, 0.0, 1.0)), 64)
    x, _, _ = (np.column_stack([mesh.vertices, np.ones(84)]) @ shot.camera.T).T
    seen = (shot.pixels[..., 2] < 2 * shot.pixels[..., 0]).any(0)
    assert abs(np.flatnonzero(seen)[0] - max(x.min(), 0)) < 4
    assert abs(np.flatnonzero(seen)[-1] - min(x.max(), 63)) < 4


def test_sittings_keep_to_their_limits(rng):
    sats = [sitting(rng, 3) for _ in range(200)]
    assert max(abs(sat.yaw) for sat in sats) <= 20 and max(abs(sat.pitch) for sat in sats) <= 10
    backdrops = np.array([sat.backdrop for sat in sats])
    assert backdrops.min() >= 0 and backdrops.max() <= 1
    light = np.array([sat.light for sat in sats])
    assert light.shape == (200, len(LIGHTS)) and (light[:, 2:3] > 0).all()
    assert np.std([sat.expression for sat in sats]) < 1


def test_neutral_light_is_the_usual_studio():
    neutral, usual = studio_of(NEUTRAL), Studio()
    np.testing.assert_allclose(neutral.colours(), usual.colours(), rtol=1e-6)
    np.testing.assert_allclose(neutral.directions(), usual.directions(), atol=0.02)
    assert neutral.exposure == usual.exposure and neutral.sky == usual.sky
    warm = studio_of(tuple(replace_at(NEUTRAL, "warmth", 1.0)))
    assert (
        warm.colours()[0, 0] > usual.colours()[0, 0] > usual.colours()[0, 2] > warm.colours()[0, 2]
    )


def replace_at(light, name, value):
    return [value if known == name else old for known, old in zip(LIGHTS, light, strict=True)]

"""Pictures of people: repeatable, in the person's own colours."""

from dataclasses import replace

import numpy as np
import torch

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.appearance import APPEARANCE
from voicemesh.population.law import draw
from voicemesh.population.portraits import look_of, portraits


def ball() -> MorphableModel:
    """A ball of 10 cm that grows with its one shape and moves up with its one expression."""
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 12), np.linspace(0.3, 2.8, 7))
    points = np.stack([np.sin(rise) * np.cos(turn), np.cos(rise), np.sin(rise) * np.sin(turn)], -1)
    mean = torch.tensor(100 * points.reshape(-1, 3)).float()
    corner = torch.arange(84).reshape(7, 12)[:-1, :-1].reshape(-1, 1)
    triangles = torch.cat([corner + torch.tensor([0, 1, 12]), corner + torch.tensor([1, 13, 12])])
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
        landmarks=torch.arange(68),
    )


def test_a_look_is_the_persons():
    people = draw(5, seed=1)
    look = look_of(people, 3)
    assert look.melanin == people.appearance[3, APPEARANCE.index("melanin")]
    assert look.grey == people.appearance[3, APPEARANCE.index("grey")]
    assert look.scalp == 1.0


def test_pictures_are_repeatable_and_differ():
    people, model = draw(5, seed=1), ball()
    one, two = (list(portraits(people, 2, model, torch.zeros(1), 3, 32, 7)) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
    assert len(one) == 3 and one[0].shape == (32, 32, 3)
    assert not np.array_equal(one[1], one[2])


def test_melanin_darkens():
    people = draw(5, seed=1)
    skins = np.repeat([[0.03], [1.2]], 5, axis=1)
    pictures = []
    for melanin in skins:
        looks = people.appearance.copy()
        looks[:, APPEARANCE.index("melanin")] = melanin
        wearing = replace(people, appearance=looks)
        pictures.append(next(portraits(wearing, 0, ball(), torch.zeros(1), 1, 32)))
    middle = [picture[12:20, 12:20].mean() for picture in pictures]
    assert middle[0] > middle[1] + 40

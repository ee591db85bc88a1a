"""Landmarks of portraits: where the camera sees them, and where a view shows them."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from evaluation.toys import EXPRESSIONS, SHAPES, toy_face_model

from voicemesh.population.law import draw
from voicemesh.population.portrait_set import PortraitShard
from voicemesh.training.face_marks import Marks
from voicemesh.training.face_views import Views, random_moves, scaled, seen
from voicemesh.training.faces import FaceRecipe, FaceTask
from voicemesh.training.habits import Habits

SIDE = 32
STILL = Views(light=0.0, blur=0.0, noise=0.0, turn=20.0, zoom=0.1, shift=0.05)


def portraits(count: int = 12) -> PortraitShard:
    """Black but for a bright spot where the first landmark is, and a dim one at the second."""
    rng, model = np.random.default_rng(1), toy_face_model()
    shapes, expressions = (
        rng.standard_normal((count, k)).astype(np.float32) / 8 for k in (SHAPES, EXPRESSIONS)
    )
    heads = model.vertices(torch.from_numpy(shapes), torch.from_numpy(expressions)).numpy()
    camera = np.zeros((count, 3, 4), np.float32)
    camera[:, 0, 0], camera[:, 1, 1] = 0.1, -0.1  # pixels of a millimetre
    camera[:, :2, 3] = (SIDE - 1) / 2 + rng.uniform(-2, 2, (count, 2))
    pixels = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1)
    for row, (head, lens) in enumerate(zip(heads, camera, strict=True)):
        for mark, light in ((0, 250), (1, 120)):
            spot = lens[:2, :3] @ head[mark] + lens[:2, 3]
            bump = light * np.exp(-np.square(grid - spot).sum(2) / 3)
            pixels[row] = np.maximum(pixels[row], bump[..., None]).astype(np.uint8)
    others = {f.name: np.zeros((count, 3), np.float32) for f in fields(PortraitShard)}
    rows = np.arange(count)
    return PortraitShard(
        **others
        | {
            "pixels": pixels,
            "identity": rows // 2,
            "picture": rows % 2,
            "shape_params": shapes,
            "expression_params": expressions,
            "camera": camera,
            "look": rng.standard_normal((count, 4)).astype(np.float32),
        }
    )


def brightest(images: torch.Tensor) -> torch.Tensor:
    """The middle of what is brightest, from -1 to 1 over each picture."""
    weight = (images.mean(1) - 0.2).clamp(min=0)
    line = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    right, down = (weight.sum(axis) @ line for axis in (1, 2))
    return torch.stack([right, down], 1) / weight.sum((1, 2))[:, None]


def test_a_landmark_is_where_it_is_seen():
    shown = portraits()
    marks = Marks.of(shown, toy_face_model())
    assert marks.places.shape == (12, 68, 2)
    found = brightest(scaled(torch.from_numpy(shown.pixels)))
    torch.testing.assert_close(marks.places[:, 0], found, atol=0.02, rtol=0)


@pytest.mark.parametrize("mirror", [False, True])
def test_it_moves_with_the_view(mirror):
    torch.manual_seed(3)
    shown, views = portraits(), replace(STILL, mirror=mirror)
    marks = Marks.of(shown, toy_face_model())
    alike = replace(marks, mirrored=torch.arange(68))  # the spot keeps its name in the mirror
    moves = random_moves(12, views)
    images = seen(torch.from_numpy(shown.pixels), views, moves)
    told = alike.seen(np.arange(12), moves)[:, 0]
    torch.testing.assert_close(told, brightest(images), atol=0.03, rtol=0)
    assert (told - marks.places[:, 0]).abs().max() > 0.1


def test_left_is_right_in_the_mirror():
    model = toy_face_model()
    mean = model.mean.clone()
    mean[1] = mean[0] * torch.tensor([-1.0, 1.0, 1.0])
    marks = Marks.of(portraits(), replace(model, mean=mean))
    assert marks.mirrored[:2].tolist() == [1, 0]
    turned = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).expand(12, 2, 3)
    told = marks.seen(np.arange(12), turned)
    torch.testing.assert_close(told[:, 0], marks.places[:, 1] * torch.tensor([-1.0, 1.0]))


def test_a_net_learns_where_they_are():
    shown, habits = portraits(), Habits.of_law(0.8, count=3000)
    recipe = FaceRecipe(SIDE, (1, 1), (4, 6), 8, steps=80, batch_size=8, learning_rate=0.01)
    people = draw(6, seed=2)
    task = FaceTask(recipe, people, shown, np.array([5]), habits, toy_face_model())
    batch = task.batch(np.random.default_rng(0))
    assert batch["marks"].shape == (8, 68, 2) and batch["looks"].shape == (8, 4)
    plain = FaceTask(recipe, people, shown, np.array([5]), habits).batch(np.random.default_rng(0))
    assert "marks" not in plain
    found = []
    for step in range(80):
        losses = task.net.train()(task.batch(np.random.default_rng(step)))
        losses["loss"].backward()
        task.optimiser.step()
        task.optimiser.zero_grad()
        task.schedule.step()
        found.append(float(losses["marks"].detach()))
    assert np.mean(found[-10:]) < 0.8 * np.mean(found[:10])

"""Crops of portraits: the camera goes where the pixels go."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from voicemesh.mesh.portrait import wall
from voicemesh.nets.synergynet import CROP
from voicemesh.population.portrait_set import PortraitShard
from voicemesh.training.face_crops import (
    Cropping,
    halved,
    head_masks,
    looked_up,
    moved,
    plain_crops,
    random_moves,
    varied_crops,
)

STILL = Cropping(
    background=0, occlusion=0, contrast=0, tint=0, brightness=0, grey=0, blur=0, noise=0
)
SIZE = 61


def dots(rng, count: int = 6) -> PortraitShard:
    """A bright dot on a grey wall, and the camera that sees the point (1, 2, 3) there."""
    backdrop = np.full((count, 3), 0.4, np.float32)
    pixels = np.stack([wall(SIZE, tuple(map(float, colour))) * 255 for colour in backdrop])
    camera = np.zeros((count, 3, 4), np.float32)
    camera[:, :, :3] = rng.normal(size=(count, 3, 3))
    places = rng.integers(24, 37, (count, 2))
    camera[:, :2, 3] = places - (camera[:, :2, :3] @ np.array([1.0, 2.0, 3.0]))
    for row, (x, y) in enumerate(places):
        pixels[row, y - 1 : y + 2, x - 1 : x + 2] = 250
    return PortraitShard(
        pixels=pixels.astype(np.uint8),
        identity=np.arange(count),
        picture=np.zeros(count, np.int64),
        shape_params=np.zeros((count, 2), np.float32),
        expression_params=np.zeros((count, 2), np.float32),
        camera=camera,
        look=np.zeros((count, 1), np.float32),
        light=np.zeros((count, 1), np.float32),
        backdrop=backdrop,
    )


def brightest(image: torch.Tensor) -> np.ndarray:
    """The middle of the dot in each picture, x and y."""
    weights = (image.mean(1) - 0.5).clamp(min=0).double()
    grid = torch.arange(CROP, dtype=torch.double)
    total = weights.sum((1, 2))
    return np.stack([(weights.sum(1) @ grid) / total, (weights.sum(2) @ grid) / total], 1)


def test_the_camera_follows_the_crop(rng):
    portraits = dots(rng)
    for image, camera in (varied_crops(portraits, rng, STILL), plain_crops(portraits)):
        seen = camera[:, :2] @ torch.tensor([1.0, 2.0, 3.0, 1.0])
        np.testing.assert_allclose(brightest(image), seen, atol=0.4)


def test_a_smaller_crop_is_the_mean_of_a_larger_one(rng):
    portraits = dots(rng)
    large, camera = plain_crops(portraits)
    small, same = plain_crops(portraits, 60)
    pooled = torch.nn.functional.adaptive_avg_pool2d(large, 60)
    assert torch.equal(camera, same) and (small - pooled).abs().mean() < 2e-3
    places = brightest(torch.nn.functional.interpolate(small, (CROP, CROP), mode="bilinear"))
    np.testing.assert_allclose(places, brightest(large), atol=0.3)


def test_halved_portraits_have_their_cameras(rng):
    portraits = dots(rng)
    even = replace(portraits, pixels=np.pad(portraits.pixels, ((0, 0), (0, 1), (0, 1), (0, 0))))
    image, camera = plain_crops(halved(even))
    _, full = plain_crops(even)
    seen = camera[:, :2] @ torch.tensor([1.0, 2.0, 3.0, 1.0])
    np.testing.assert_allclose(brightest(image), seen, atol=0.7)
    torch.testing.assert_close(
        camera[:, 0].norm(dim=1) / full[:, 0].norm(dim=1),
        torch.ones(6),
        atol=0.02,
        rtol=0,
    )


def test_moves_turn_and_scale_all_three_axes_alike(rng):
    camera = np.concatenate([np.eye(3), np.zeros((3, 1))], 1, dtype=np.float32)[None].repeat(9, 0)
    moves = random_moves(9, SIZE, rng, Cropping())
    linear = moved(camera, moves)[:, :, :3]
    lengths = linear.norm(dim=2)
    torch.testing.assert_close(lengths, lengths[:, :1].expand(-1, 3))
    whole = 119 / (SIZE - 1)
    assert (lengths > 0.89 * whole).all() and (lengths < 1.46 * whole).all()
    angles = torch.atan2(linear[:, 0, 1], linear[:, 0, 0]).rad2deg()
    assert angles.abs().max() <= 20 and angles.abs().max() > 5


def test_masks_are_what_is_not_the_wall(rng):
    masks = head_masks(dots(rng))
    assert (masks.sum((1, 2)) == 9).all()


def test_another_background_leaves_the_head(rng):
    portraits = dots(rng)
    swap = Cropping(**{**vars(STILL), "background": 1.0, "turn": 0.0, "shift": 0.0})
    image, camera = varied_crops(portraits, rng, swap)
    x, y = (camera[:, :2] @ torch.tensor([1.0, 2.0, 3.0, 1.0])).round().long().unbind(1)
    rows = torch.arange(len(image))
    assert (image[rows, :, y, x] > 0.9).all()
    corners = image[:, :, 2, 2]
    assert corners.std(0).min() > 0.1  # no longer one grey


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_the_whole_picture_has_its_corners_on_corners(padding):
    image = torch.rand(2, 1, SIZE, SIZE)
    step = (SIZE - 1) / (CROP - 1)
    moves = np.array([[[step, 0, 0], [0, step, 0]]] * 2)
    crop = looked_up(image, moves, padding=padding)
    torch.testing.assert_close(
        crop[..., [0, -1]][..., [0, -1], :], image[..., [0, -1]][..., [0, -1], :], atol=1e-4, rtol=0
    )


def test_spoilt_pictures_stay_in_range_and_are_repeatable(rng):
    portraits = dots(rng)
    one, two = (varied_crops(portraits, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert one[0].abs().max() <= 1

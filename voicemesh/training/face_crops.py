"""Portraits as a face finder crops them out of photographs, with the camera moved along."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.images import MIDDLE
from voicemesh.mesh.portrait import wall
from voicemesh.nets.synergynet import CROP
from voicemesh.population.portrait_set import PortraitShard

ALIKE = 4.0  # grey levels: what differs less from the wall behind the head is the wall
LUMA = (0.299, 0.587, 0.114)
BLUR = 0.016
COARSE = 6  # pixels of a side of the noise that becomes a background


@dataclass(frozen=True)
class Cropping:
    """How far crops and colours vary; shares are of the pictures that get a change at all."""

    turn: float = 15.0  # degrees, either way
    nearest: float = 1.35  # times the size in the portrait
    farthest: float = 0.92
    shift: float = 0.06  # of the side, either way
    background: float = 0.5  # share with another background
    occlusion: float = 0.15  # share with something before the face
    contrast: float = 0.2  # deviation of the logarithm of the gain
    tint: float = 0.08  # the same, of each channel alone
    brightness: float = 0.1  # deviation; black to white is 2
    grey: float = 0.1  # share
    blur: float = 0.3  # share, with a deviation of up to BLUR of the side
    noise: float = 0.2  # share, with a deviation of up to 0.08


def halved(portraits: PortraitShard) -> PortraitShard:
    """The same pictures with half the pixels to a side, each the mean of four."""
    count, size = portraits.pixels.shape[:2]
    fours = portraits.pixels.reshape(count, size // 2, 2, size // 2, 2, 3)
    camera = portraits.camera / 2
    camera[:, :2, 3] -= 0.25
    pixels = fours.mean((2, 4), dtype=np.float32).round().astype(np.uint8)
    return replace(portraits, pixels=pixels, camera=camera)


def plain_crops(
    portraits: PortraitShard, side: int = CROP
) -> tuple[Float[Tensor, "rows 3 {side} {side}"], Float[Tensor, "rows 3 4"]]:
    """Whole portraits with `side` pixels, and their cameras in pixels of the regressor's crop."""
    moves = np.repeat(whole(portraits.pixels.shape[1])[None], len(portraits), 0)
    return looked_up(picture_of(portraits.pixels), moves, side), moved(portraits.camera, moves)


def varied_crops(
    portraits: PortraitShard,
    rng: np.random.Generator,
    cropping: Cropping = Cropping(),
    side: int = CROP,
) -> tuple[Float[Tensor, "rows 3 {side} {side}"], Float[Tensor, "rows 3 4"]]:
    """Crops that are turned, moved, lit, hidden and spoilt, and the cameras that see them."""
    count, size = len(portraits), portraits.pixels.shape[1]
    moves = random_moves(count, size, rng, cropping)
    image = looked_up(picture_of(portraits.pixels), moves, side)
    behind = rng.random(count) < cropping.background
    if behind.any():
        heads = torch.from_numpy(head_masks(portraits)[behind])[:, None]
        cover = looked_up(heads, moves[behind], side, "zeros")
        others = backgrounds(int(behind.sum()), side, rng)
        image[behind] = image[behind] * cover + others * (1 - cover)
    image = occluded(image, rng, cropping.occlusion)
    return coloured(image, rng, cropping), moved(portraits.camera, moves)


def whole(size: int) -> Float[np.ndarray, "2 3"]:
    """The move that looks at all of a portrait: corners on corners."""
    step = (size - 1) / (CROP - 1)
    return np.array([[step, 0.0, 0.0], [0.0, step, 0.0]])


def random_moves(
    count: int, size: int, rng: np.random.Generator, cropping: Cropping
) -> Float[np.ndarray, "count 2 3"]:
    """Pixels of crops to pixels of portraits: turned and scaled about the middle, shifted."""
    limits = np.log([cropping.farthest, cropping.nearest])
    step = (size - 1) / (CROP - 1) / np.exp(rng.uniform(*limits, count))
    turn = np.radians(rng.uniform(-cropping.turn, cropping.turn, count))
    cosine, sine = step * np.cos(turn), step * np.sin(turn)
    linear = np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], 1)
    middle = (size - 1) * (0.5 + cropping.shift * rng.uniform(-1, 1, (count, 2)))
    offset = middle - linear.sum(2) * (CROP - 1) / 2
    return np.concatenate([linear, offset[..., None]], 2)


def moved(
    camera: Float32[np.ndarray, "rows 3 4"], moves: Float[np.ndarray, "rows 2 3"]
) -> Float[Tensor, "rows 3 4"]:
    """The cameras of crops, from those of their portraits."""
    back = np.linalg.inv(moves[:, :, :2])
    image = camera[:, :2].copy()
    image[:, :, 3] -= moves[:, :, 2]
    scale = np.sqrt(np.abs(np.linalg.det(back)))[:, None, None]
    return torch.from_numpy(np.concatenate([back @ image, scale * camera[:, 2:]], 1)).float()


def looked_up(
    image: Float[Tensor, "rows channels size size"],
    moves: Float[np.ndarray, "rows 2 3"],
    side: int = CROP,
    padding: str = "border",
) -> Float[Tensor, "rows channels {side} {side}"]:
    """Crops of pictures, bilinear; a pixel of one with a smaller side stands for several."""
    size, half = image.shape[3] - 1, (CROP - 1) / 2
    # From the unit square of the crop, edge to edge, to that of the picture's pixels.
    linear = moves[:, :, :2] * (CROP / size)
    offset = (moves[:, :, :2].sum(2) * half + moves[:, :, 2]) * 2 / size - 1
    affine = torch.from_numpy(np.concatenate([linear, offset[..., None]], 2)).float()
    places = functional.affine_grid(affine, [len(image), 1, side, side], align_corners=False)
    return functional.grid_sample(image, places, padding_mode=padding, align_corners=True)


def head_masks(portraits: PortraitShard) -> Float32[np.ndarray, "rows size size"]:
    """1 where a picture is not the wall behind the head."""
    size = portraits.pixels.shape[1]
    bare = wall(size, (1.0, 1.0, 1.0)) * 255
    walls = bare[None] * portraits.backdrop[:, None, None]
    apart = np.abs(portraits.pixels - walls.clip(0, 255)).max(3)
    return (apart > ALIKE).astype(np.float32)


def backgrounds(
    count: int, side: int, rng: np.random.Generator
) -> Float[Tensor, "count 3 {side} {side}"]:
    """Soft patches of colour, each with a finer pattern over it."""
    colour = rng.uniform(-1, 1, (count, 3, 1, 1))
    spread = rng.uniform(0, 1, (count, 1, 1, 1)) ** 2
    total = torch.from_numpy(np.broadcast_to(colour, (count, 3, side, side)).copy()).float()
    for number in (COARSE // 2, COARSE * 4):
        patches = spread * rng.standard_normal((count, 3, number, number))
        patches = torch.from_numpy(patches).float()
        total += functional.interpolate(patches, (side, side), mode="bilinear") / 2
    return total.clamp(-1, 1)


def occluded(
    image: Float[Tensor, "rows 3 side side"], rng: np.random.Generator, share: float
) -> Float[Tensor, "rows 3 side side"]:
    """Plain ellipses and bars before some of the pictures."""
    side = image.shape[3]
    grid = np.mgrid[:side, :side].astype(np.float32)
    for row in np.flatnonzero(rng.random(len(image)) < share):
        centre, angle = rng.uniform(0, side, 2), rng.uniform(0, np.pi)
        long, short = rng.uniform(0.12, 0.5) * side, rng.uniform(0.06, 0.2) * side
        y, x = grid[0] - centre[0], grid[1] - centre[1]
        along = np.abs(x * np.cos(angle) + y * np.sin(angle)) / long
        aside = np.abs(y * np.cos(angle) - x * np.sin(angle)) / short
        inside = np.maximum(along, aside) < 1 if rng.random() < 0.5 else along**2 + aside**2 < 1
        colour = torch.from_numpy(rng.uniform(-1, 1, 3)).float()
        image[row, :, torch.from_numpy(inside)] = colour[:, None]
    return image


def coloured(
    image: Float[Tensor, "rows 3 side side"], rng: np.random.Generator, cropping: Cropping
) -> Float[Tensor, "rows 3 side side"]:
    """Other light, other film, another lens."""
    count = len(image)
    gains = np.exp(
        cropping.contrast * rng.standard_normal((count, 1))
        + cropping.tint * rng.standard_normal((count, 3))
    )
    offsets = cropping.brightness * rng.standard_normal((count, 1)).repeat(3, 1)
    gain, offset = (torch.from_numpy(v).float()[:, :, None, None] for v in (gains, offsets))
    means = image.mean((2, 3), keepdim=True)
    image = (image - means) * gain + means + offset
    luma = torch.tensor(LUMA)[:, None, None]
    for row in np.flatnonzero(rng.random(count) < cropping.grey):
        image[row] = (luma * image[row]).sum(0)
    for row in np.flatnonzero(rng.random(count) < cropping.blur):
        image[row] = blurred(image[row], image.shape[3] * float(rng.uniform(0.3, 1)) * BLUR)
    for row in np.flatnonzero(rng.random(count) < cropping.noise):
        spoilt = torch.from_numpy(rng.standard_normal(image[row].shape, np.float32))
        image[row] += float(rng.uniform(0, 0.08)) * spoilt
    return image.clamp(-1, 1)


def blurred(
    picture: Float[Tensor, "3 height width"], deviation: float
) -> Float[Tensor, "3 height width"]:
    """A Gaussian of some pixels."""
    reach = int(np.ceil(2.5 * deviation))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    taps = taps / taps.sum()
    padded = functional.pad(picture[:, None], (reach,) * 4, mode="reflect")
    across = functional.conv2d(padded, taps[None, None, None])
    return functional.conv2d(across, taps[None, None, :, None])[:, 0]


def picture_of(
    pixels: UInt8[np.ndarray, "rows size size 3"],
) -> Float[Tensor, "rows 3 size size"]:
    """Pictures as nets read them: in [-1, 1], channels first."""
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - MIDDLE) / MIDDLE

"""The portrait studio: where the camera stands, what the lights are, what surfaces are made of."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float32, Int

from .lighting import Triple
from .morphable import MorphableModel


class Material(IntEnum):
    """What a vertex is made of, for the way it shines."""

    SKIN = 0
    EYE = 1
    HAIR = 2
    LIPS = 3
    MOUTH = 4
    LOCK = 5  # ribbons of hair


# Roughness of the highlight, its strength, light that wraps around the terminator.
SURFACES = np.array(
    [
        [0.56, 0.50, 0.26],  # skin
        [0.12, 1.00, 0.30],  # eye
        [0.55, 0.10, 0.35],  # hair
        [0.36, 1.10, 0.20],  # lips
        [0.40, 0.30, 0.10],  # mouth
        [0.55, 0.20, 0.40],  # locks
    ],
    np.float32,
)
# How far light creeps under the skin: two Gaussians per channel (millimetres) and the share of
# the second; red travels farthest.
DIFFUSION = ((1.0, 2.6, 0.42), (0.7, 1.5, 0.32), (0.45, 0.9, 0.25))


@dataclass(frozen=True)
class Lamp:
    """A light far away: the direction it stands in (x right, y up, z to the camera), its colour."""

    direction: Triple
    colour: Triple


@dataclass(frozen=True)
class Studio:
    """Camera and lights; the first lamp is the key and casts the soft shadow."""

    distance: float = 1100.0  # millimetres from the middle of the head: a portrait lens
    lamps: tuple[Lamp, ...] = (
        Lamp((-0.68, 0.62, 0.75), (2.35, 2.24, 2.12)),  # key
        Lamp((0.85, 0.10, 0.75), (0.60, 0.62, 0.645)),  # fill
        Lamp((-0.90, 0.35, -0.55), (1.0, 0.97, 0.95)),  # rims, from behind
        Lamp((0.95, 0.30, -0.45), (0.89, 0.97, 1.05)),
    )
    sky: Triple = (0.65, 0.66, 0.69)
    ground: Triple = (0.44, 0.38, 0.35)
    exposure: float = 1.15

    def directions(self) -> Float32[np.ndarray, "lamp 3"]:
        """Unit vectors towards the lamps."""
        towards = np.array([lamp.direction for lamp in self.lamps], np.float32)
        return towards / np.linalg.norm(towards, axis=1, keepdims=True)

    def colours(self) -> Float32[np.ndarray, "lamp 3"]:
        """What the lamps shine with."""
        return np.array([lamp.colour for lamp in self.lamps], np.float32)


def materials(model: MorphableModel) -> Int[np.ndarray, " v"]:
    """What each vertex of a painted model is made of; skin where there is no paint."""
    found = np.full(len(model.mean), int(Material.SKIN), np.int32)
    if model.paint is None:
        return found
    paint = dict(zip(model.paint_names, model.paint.float().cpu().numpy().T, strict=True))
    nothing = np.zeros(len(found))
    for material, names in (
        (Material.LIPS, ("lips",)),
        (Material.MOUTH, ("mouth",)),
        (Material.HAIR, ("scalp",)),
        (Material.EYE, ("sclera", "iris", "pupil")),
    ):
        cover = np.max([paint.get(name, nothing) for name in names], axis=0)
        found[cover > 0.5] = int(material)
    return found

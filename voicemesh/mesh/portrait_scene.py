"""What the loop over the samples of a portrait reads and fills, in groups that it understands."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32


class Seen(NamedTuple):
    """What `rasterize` found under every sample."""

    triangle: Int[np.ndarray, "side side"]  # -1: nothing
    weights: Float32[np.ndarray, "side side 3"]
    depth: Float32[np.ndarray, "side side"]  # as `view.project` gives it


class Sitter(NamedTuple):
    """Head and hair before the camera, one row a vertex."""

    triangles: Int32[np.ndarray, "t 3"]
    image: Float32[np.ndarray, "v 3"]  # as `view.project` gave it
    points: Float32[np.ndarray, "v 3"]  # turned, about the middle of the view; millimetres
    normals: Float32[np.ndarray, "v 3"]  # turned
    paint: Float32[np.ndarray, "v 5"]  # linear colour, openness to the sky, presence
    material: Int32[np.ndarray, " v"]
    combs: Float32[np.ndarray, "v 5"]  # direction of the hair, turned; mm across and along it
    rotation: Float32[np.ndarray, "3 3"]  # of the head
    scalp: Float[np.ndarray, "3"]  # the middle of the hair, in the head's own frame
    open_below: float  # height, in the head's own frame, at which the neck opens


class Lighting(NamedTuple):
    """Camera, lamps and what they meet."""

    distance: float  # of the camera
    surfaces: Float32[np.ndarray, "materials 3"]  # as studio.SURFACES
    directions: Float32[np.ndarray, "lamps 3"]
    colours: Float32[np.ndarray, "lamps 3"]
    sky: Float[np.ndarray, "3"]
    ground: Float[np.ndarray, "3"]
    axes: Float32[np.ndarray, "3 3"]  # of the key light, for `shadow`
    shadows: Float32[np.ndarray, "size size"]
    reach: float
    folds: Float32[np.ndarray, "height width"]  # one value a pixel, from `creases`
    turns: Float32[np.ndarray, "n n"]  # random angles, a tile over the samples


class Layers(NamedTuple):
    """What the loop fills: samples by rows, or pixels."""

    diffuse: Float32[np.ndarray, "side side 3"]  # light that the surface receives
    shine: Float32[np.ndarray, "side side 3"]  # light that it mirrors
    albedo: Float32[np.ndarray, "side side 4"]  # its colour and presence
    halved: Bool[np.ndarray, "height width"]  # pixels of which every other sample was left out
    creeping: Float32[np.ndarray, "4 height width"]  # zero before: light on skin, and its area

    @classmethod
    def empty(cls, size: int, samples: int) -> "Layers":
        """Of a square picture with so many samples on a side of each pixel."""
        side = size * samples
        return cls(
            *np.empty((2, side, side, 3), np.float32),
            np.empty((side, side, 4), np.float32),
            np.zeros((size, size), np.bool_),
            np.zeros((4, size, size), np.float32),
        )

"""The head on a screen beneath its hair: blood under the skin, and the shade that hair throws."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

from .hair import Hair
from .lighting import vertex_normals
from .portrait import reach_of, sphere_directions
from .shading_cpu import open_to
from .view import axes_towards, depth_map

# Shares of red, green and blue that are more or less where skin is warm, and below the eyes.
WARM, COOL = (0.020, -0.035, -0.040), (-0.050, -0.045, -0.020)
TIP, CHIN, CHEEKS, LIDS = 30, 8, ((2, 31), (14, 35)), ((40, 41), (46, 47))  # landmarks of 68
SKY_DIRECTIONS, SKY_PIXELS = 22, 220
LEAST = 0.08  # of the sky, that is seen from the deepest fold
DEEP = 0.75  # power of the sky over hair: light also comes through it


def flushed(
    colours: Float[np.ndarray, "v 3"],
    vertices: Float[np.ndarray, "v 3"],
    skin: Bool[np.ndarray, " v"],
    marks: Float[np.ndarray, "68 3"],
    ears: Int[np.ndarray, " e"],
) -> Float32[np.ndarray, "v 3"]:
    """Skin that is warmer on nose, cheeks, chin and ears, and cooler below the eyes."""

    def around(place: Float[np.ndarray, "3"], wide: float) -> Float[np.ndarray, " v"]:
        return np.exp(-((vertices - place) ** 2).sum(1) / (2 * wide**2))

    cheeks = [around((marks[a] + marks[b]) / 2, 21) for a, b in CHEEKS]
    lids = [around((marks[a] + marks[b]) / 2 - [0, 9, 0], 9) for a, b in LIDS]
    warm = around(marks[TIP], 13) + 0.75 * sum(cheeks) + 0.4 * around(marks[CHIN], 16)
    warm[ears] += 0.7
    tint = 1 + warm[:, None].clip(0, 1) * WARM + sum(lids)[:, None].clip(0, 1) * COOL
    return np.where(skin[:, None], colours * tint, colours).clip(0, 1).astype(np.float32)


def shaded(
    hair: Hair, vertices: Float32[np.ndarray, "v 3"], triangles: Int32[np.ndarray, "t 3"]
) -> Hair:
    """Hair that is darker where other hair hides the sky, on a head that it shades as well."""
    normals, count = vertex_normals(vertices, triangles), len(vertices)
    bare = sky_over(vertices, normals, triangles)
    worn = sky_over(
        np.concatenate([vertices, hair.vertices]),
        np.concatenate([normals, hair.normals]),
        np.concatenate([triangles, hair.triangles + np.int32(count)]),
    )
    shade = ((worn[:count] + LEAST) / (bare + LEAST)).clip(0, 1)
    openness, scalp = hair.openness.copy(), hair.scalp_vertices  # brows lie in no hair
    openness[:scalp] *= worn[count:][:scalp].clip(0, 1) ** DEEP
    return replace(hair, openness=openness, shade=shade.astype(np.float32))


def sky_over(
    places: Float32[np.ndarray, "n 3"],
    normals: Float32[np.ndarray, "n 3"],
    triangles: Int32[np.ndarray, "t 3"],
) -> Float32[np.ndarray, " n"]:
    """The share of the sky over each vertex that no triangle hides, by cosine."""
    points = (places - (places.min(0) + places.max(0)) / 2).astype(np.float32)
    reach, (lit, total) = reach_of(points), np.zeros((2, len(points)), np.float32)
    for direction in sphere_directions(SKY_DIRECTIONS):
        axes = axes_towards(direction)
        depth = depth_map(points, triangles, axes, reach, SKY_PIXELS)
        open_to(points, normals, direction, axes, depth, reach, lit, total)
    return (lit + 0.05) / (total + 0.05)

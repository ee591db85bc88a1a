"""Hair that a head on a screen wears: chosen, never predicted; light, and combed tidily."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int32

from .hair import Hair, brow_locks, groomed, scalp_locks
from .hair_locks import Part
from .hair_roots import SPACING, Body, Ground, ground
from .hair_styles import HairStyle
from .lighting import vertex_normals
from .look import Look
from .morphable import FaceMesh, MorphableModel

STYLES: dict[str, HairStyle] = {
    "none": HairStyle(top=0, sides=-6, back=0),
    "short": HairStyle(top=42, sides=9, back=11, volume=0.34, parting=0.6, sweep=0.7, curl=0.1),
    "long": HairStyle(
        top=280, sides=114, back=60, volume=0.34, parting=0.5, sweep=0.45, curl=0.06, brows=0.9
    ),
}
USUAL: dict[str, str] = {"female": "long", "male": "short", "": "short"}  # by the nearest sex
BROWN = Look(eumelanin=0.62, pheomelanin=0.12)
TIDY = 0.33  # of the chance in how locks lie
BENT = 4  # points of a lock, from its root, that are all kept: there it bends


def grows(face_model: MorphableModel) -> bool:
    """Does the model tell where hair grows?"""
    return face_model.paint is not None and set(SPACING) <= set(face_model.paint_names)


def worn(face_model: MorphableModel, mesh: FaceMesh, name: str, look: Look = BROWN) -> Hair | None:
    """The hair of a head of this model, with its brows; None for models that tell no roots.

    Raises:
        ValueError: an unknown style.
    """
    if name not in STYLES:
        raise ValueError(f"There is no hair named {name!r}; there are {', '.join(STYLES)}")
    if not grows(face_model):
        return None
    style, soil = STYLES[name], combed(face_model)
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    body = Body.of(soil, mesh.vertices, normals, style.sides > 28)
    on_head = (soil, body, mesh.vertices, normals, style, look)
    scalp, brows = thinned(scalp_locks(*on_head)), brow_locks(*on_head)
    *columns, (first, second) = zip(scalp, brows, strict=True)
    joined = [np.concatenate(column) for column in columns]
    triangles = np.concatenate([first, second + np.int32(len(scalp[0]))])
    colours, material = beneath(face_model, style, look)
    return Hair(*joined, triangles, colours, material, len(scalp[0]), len(first))


def thinned(locks: Part) -> Part:
    """The same locks with every second point left out where they hang straight."""
    *columns, triangles = locks
    count = len(columns[0])
    number = (count - len(triangles)) // 2  # a lock of k points has 2 k vertices, 2 k - 2 triangles
    points = count // (2 * number) if number else 0
    kept = [n for n in range(points) if n < BENT or (points - 1 - n) % 2 == 0]
    if len(kept) == points:
        return locks
    rows = np.arange(count).reshape(number, points, 2)[:, kept].ravel()
    first = (np.arange(number)[:, None] * len(kept) + np.arange(len(kept) - 1)) * 2
    quads = np.stack([first, first + 1, first + 2, first + 2, first + 1, first + 3], -1)
    return (*(column[rows] for column in columns), quads.reshape(-1, 3).astype(np.int32))


@lru_cache(maxsize=4)
def combed(face_model: MorphableModel) -> Ground:
    """The roots of a model, from which locks grow with less chance."""
    soil = ground(face_model)
    scalp = soil.roots["scalp"]
    tidy = replace(scalp, luck=scalp.luck * np.float32(TIDY))
    return replace(soil, roots={**soil.roots, "scalp": tidy})


@lru_cache(maxsize=16)
def beneath(
    face_model: MorphableModel, style: HairStyle, look: Look
) -> tuple[Float32[np.ndarray, "v 3"], Int32[np.ndarray, " v"]]:
    """Colours and materials beneath hair, which are the same for all heads of a model."""
    return groomed(face_model, combed(face_model), style, look)

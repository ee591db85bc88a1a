"""Hair that a head on a screen wears: chosen, never predicted; combed once, moved with each head.

The hair of a style is cut, combed and shaded on the mean head of a model, with all the time that
it takes; another head of the model wears the same, moved as the skin is that it lies on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Int32, Int64
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from .complexion import flushed, shaded
from .hair import Hair, brow_locks, groomed
from .hair_cut import CUTS, drawn
from .hair_locks import COLUMNS, Part
from .hair_roots import SPACING, Body, Ground, ground
from .hair_strips import WARM, Strip, strips_of, woven
from .hair_styles import HairStyle
from .lighting import vertex_normals
from .look import Look
from .morphable import FaceMesh, MorphableModel
from .studio import Material

BARE = HairStyle(top=0, sides=-6, back=0)
STYLES: dict[str, HairStyle] = {name: cut.style if cut else BARE for name, cut in CUTS.items()}
USUAL: dict[str, str] = {"female": "long", "male": "short", "": "short"}  # by the nearest sex
CHESTNUT = Look(eumelanin=0.55, pheomelanin=0.22)
SCALP = (0.86, 0.90, 0.88)  # of the paint beneath hair, which is in its shade
BROW = (3, 2)  # rows and columns of a lock of the brows
HELD, HOLDING = 6, 10  # of the vertices of skin that move hair one is kept; so many move each row
SOON = 3.0  # millimetres within which the nearest of them do not win over the others


@dataclass(frozen=True, eq=False)
class Wig:
    """Hair on the mean head of a model, and what moves it to another."""

    hair: Hair
    mean: Float32[np.ndarray, "p 3"]  # the held vertices on the mean head
    held: Int64[np.ndarray, " p"]
    holds: csr_matrix  # from the moves of these to those of the vertices of hair

    def on(self, mesh: FaceMesh) -> Hair:
        """The same hair on another head of the model."""
        moves = self.holds @ (mesh.vertices[self.held] - self.mean)
        return replace(self.hair, vertices=(self.hair.vertices + moves).astype(np.float32))


def grows(face_model: MorphableModel) -> bool:
    """Does the model tell where hair grows?"""
    return face_model.paint is not None and set(SPACING) <= set(face_model.paint_names)


def worn(
    face_model: MorphableModel, mesh: FaceMesh, name: str, look: Look = CHESTNUT
) -> Hair | None:
    """The hair of a head of this model, with its brows; None for models that tell no roots.

    Raises:
        ValueError: an unknown style.
    """
    if name not in STYLES:
        raise ValueError(f"There is no hair named {name!r}; there are {', '.join(STYLES)}")
    return wig(face_model, name, look).on(mesh) if grows(face_model) else None


@lru_cache(maxsize=16)
def wig(face_model: MorphableModel, name: str, look: Look = CHESTNUT) -> Wig:
    """The hair of a style on the mean head of a model; it takes about a second."""
    soil, sides = ground(face_model), face_model.triangles.cpu().numpy().astype(np.int32)
    parts, strips = grown(face_model, soil, name, look)
    columns = [np.concatenate(column) for column in list(zip(*parts, strict=True))[:-1]]
    brows = len(parts[-1][0])
    scalp = len(columns[0]) - brows
    columns[COLUMNS.index("colours")][scalp:] *= np.array(WARM, np.float32)
    colours, material = beneath(face_model, soil, STYLES[name], look)
    triangles = woven(strips)
    last = len(triangles) - len(parts[-1][-1])
    hair = Hair(*columns, triangles, colours, material, scalp, last, strips=tuple(strips))
    hair = shaded(hair, soil.neutral, sides)
    held = np.setdiff1d(soil.skin, soil.ears)[::HELD]
    return Wig(hair, soil.neutral[held], held, bound(soil.neutral[held], hair.vertices, strips))


def grown(
    face_model: MorphableModel, soil: Ground, name: str, look: Look
) -> tuple[list[Part], list[Strip]]:
    """The locks of a style by their weaves, those of the brows last."""
    style, cut = STYLES[name], CUTS[name]
    normals = vertex_normals(soil.neutral, face_model.triangles.cpu().numpy())
    body = Body.of(soil, soil.neutral, normals, style.sides > 28)
    brows = brow_locks(soil, body, soil.neutral, normals, style, look)
    parts, strips = [brows], [(len(brows[0]) // (BROW[0] * BROW[1]), *BROW)]
    if cut is None:
        return parts, strips
    lines, shortest = drawn(face_model, soil, body, cut), 0.0
    for weave in cut.weaves:
        fitting = (shortest <= lines.lengths) & (lines.lengths < weave.longest)
        locks, strip = strips_of(lines.of(fitting), weave, look, body)
        parts.insert(-1, locks)
        strips.insert(-1, strip)
        shortest = weave.longest
    return parts, strips


def beneath(
    face_model: MorphableModel, soil: Ground, style: HairStyle, look: Look
) -> tuple[Float32[np.ndarray, "v 3"], Int32[np.ndarray, " v"]]:
    """Colours and materials of a head beneath its hair."""
    colours, material = groomed(face_model, soil, style, look)
    scalp = (material == int(Material.HAIR))[:, None]
    colours = np.where(scalp, colours * np.array(SCALP, np.float32), colours)
    marks = soil.neutral[face_model.landmarks.cpu().numpy()]
    return flushed(
        colours, soil.neutral, material == int(Material.SKIN), marks, soil.ears
    ), material


def bound(
    skin: Float[np.ndarray, "p 3"], places: Float[np.ndarray, "h 3"], strips: Sequence[Strip]
) -> csr_matrix:
    """How far each of some points of skin moves each vertex of strips: a row moves as one."""
    middles, first = [], 0
    for locks, rows, columns in strips:
        last = first + locks * rows * columns
        middle = places[first:last].reshape(locks * rows, columns, 3).mean(1)
        middles.append(np.repeat(middle, columns, 0))
        first = last
    far, near = cKDTree(skin).query(np.concatenate(middles), HOLDING)
    share = 1 / (far + SOON) ** 2
    share = (share / share.sum(1, keepdims=True)).astype(np.float32)
    rows = np.repeat(np.arange(len(places)), HOLDING)
    return csr_matrix((share.ravel(), (rows, near.ravel())), (len(places), len(skin)))

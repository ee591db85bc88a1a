"""Who is shown, and in which colours: in skin and hair, as grey clay, on a scale."""

import base64
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from voicemesh.mesh.bust import SCULPTED, neck_rim, on_shoulders
from voicemesh.mesh.developed import LUMINANCE, developed
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.morphable import FaceMesh

from .palette import levels, scaled
from .scene import Trace, trace

GREY = (0.78, 0.765, 0.75)
CLOTH = (0.46, 0.50, 0.56)
DEEPEST = 0.5  # of a colour on a scale that is left where the least light falls


@dataclass(frozen=True, eq=False)
class Sitter:
    """A head that is shown, and what is known of it."""

    face: FaceMesh
    uncertainty: Float[np.ndarray, " v"] | None = None  # mm around each vertex
    openness: Float[np.ndarray, " v"] | None = None  # share of the sky over it: folds are darker
    material: Int[np.ndarray, " v"] | None = None  # tells eyes from skin
    hair: Hair | None = None  # in the views that have skin

    @property
    def extras(self) -> int:
        """How many traces stand under this head and grow on it."""
        grown = self.hair is not None and len(self.hair.triangles) > 0
        return int(grown) + (len(neck_rim(self.face)) > 0)


@dataclass(frozen=True, eq=False)
class Dressed:
    """A head as it is shown: its own colours, and traces of what stands under and grows on it."""

    head: UInt8[np.ndarray, "v 3"]
    extras: tuple[Trace, ...]  # shoulders, hair


def dressed(sitter: Sitter) -> Dressed:
    """The head in its skin and hair, on shoulders if it has a neck to stand on them."""
    face, material = sitter.face, sitter.material
    count, sides = len(face.vertices), len(face.triangles)
    seen = np.ones(count, np.float32) if sitter.openness is None else sitter.openness
    whole, seen, hair = on_shoulders(face, seen, sitter.hair, CLOTH, SCULPTED)
    if material is not None:
        material = np.pad(material, (0, len(whole.vertices) - count))  # the rest is skin
    colours, locks = developed(whole, material, seen, hair)
    extras = []
    if len(whole.triangles) > sides:
        used, corners = np.unique(whole.triangles[sides:], return_inverse=True)
        stand = trace(whole.vertices[used], corners.reshape(-1, 3))
        extras.append(stand | {"vertexcolor": packed(levels(colours[used]))})
    if hair is not None and len(hair.triangles):
        ribbons = trace(hair.vertices, hair.triangles)
        if hair.strips:
            ribbons["meta"] = {"strips": [list(strip) for strip in hair.strips]}
        extras.append(ribbons | {"vertexcolor": packed(levels(locks))})
    return Dressed(levels(colours[:count]), tuple(extras))


def sculpted(sitter: Sitter) -> Float32[np.ndarray, "v 3"]:
    """The bare head as if it were of grey clay."""
    clay = np.broadcast_to(np.array(GREY, np.float32), sitter.face.colours.shape)
    return developed(replace(sitter.face, colours=clay), None, sitter.openness)[0]


def on_scale(
    shares: Float[np.ndarray, " v"],
    colours: tuple[str, ...],
    grey: Float32[np.ndarray, "v 3"],
) -> UInt8[np.ndarray, "v 3"]:
    """Colours of places on a scale, a little darker where the grey head is."""
    light = grey @ LUMINANCE
    light = (light / np.percentile(light, 80)).clip(0, 1)[:, None]
    return levels(scaled(shares, colours) * (DEEPEST + (1 - DEEPEST) * light))


def packed(colours: UInt8[np.ndarray, "v 3"]) -> dict[str, str]:
    """Colours as Plotly reads them from bytes: a third of the letters of '#rrggbb'."""
    letters = base64.b64encode(np.ascontiguousarray(colours).tobytes()).decode()
    return {"dtype": "u1", "bdata": letters, "shape": f"{len(colours)}, 3"}

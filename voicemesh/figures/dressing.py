"""The colours of a head that is shown: in its skin and hair, as grey clay, on a scale."""

import base64
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from voicemesh.mesh.bust import on_shoulders
from voicemesh.mesh.developed import LUMINANCE, developed
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.morphable import FaceMesh

from .palette import levels, scaled
from .scene import Trace, trace

GREY = (0.78, 0.765, 0.75)
CLOTH = (0.46, 0.50, 0.56)
DEEPEST = 0.5  # of a colour on a scale that is left where the least light falls


@dataclass(frozen=True, eq=False)
class Dressed:
    """A head as it is shown: its own colours, and traces of what stands under and grows on it."""

    head: UInt8[np.ndarray, "v 3"]
    extras: tuple[Trace, ...]  # shoulders, hair


def dressed(
    face: FaceMesh,
    openness: Float[np.ndarray, " v"] | None,
    material: Int[np.ndarray, " v"] | None,
    hair: Hair | None,
) -> Dressed:
    """The head in its skin and hair, on shoulders if it has a neck to stand on them."""
    count, sides = len(face.vertices), len(face.triangles)
    seen = np.ones(count, np.float32) if openness is None else openness
    whole, seen, hair = on_shoulders(face, seen, hair, CLOTH)
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
        extras.append(ribbons | {"vertexcolor": packed(levels(locks))})
    return Dressed(levels(colours[:count]), tuple(extras))


def sculpted(
    face: FaceMesh, openness: Float[np.ndarray, " v"] | None
) -> Float32[np.ndarray, "v 3"]:
    """The bare head as if it were of grey clay."""
    clay = np.broadcast_to(np.array(GREY, np.float32), face.colours.shape)
    return developed(replace(face, colours=clay), None, openness)[0]


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

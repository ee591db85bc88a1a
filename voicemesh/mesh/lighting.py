"""Vertex normals, and the published per-vertex lighting of Sim3DR."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Lighting:
    """One point light; the defaults are the published ones (CMP, utilf/render.py)."""

    ambient: float = 0.3
    directional: float = 0.6
    specular: float = 0.1
    exponent: int = 5
    ambient_colour: Triple = (1.0, 1.0, 1.0)
    directional_colour: Triple = (1.0, 1.0, 1.0)
    light: Triple = (0.0, 0.0, 5.0)  # the mesh spans -1 to 1 along its longest axis
    viewer: Triple = (0.0, 0.0, 5.0)


def vertex_normals(
    vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]
) -> Float32[np.ndarray, "v 3"]:
    """Unit normals, triangles weighted by area; zero at vertices that no triangle with area uses.

    Triangles that are counter-clockwise seen from outside give outward normals. The published
    code has NaN where this has zero.
    """
    from .shading_cpu import normals

    return normals(
        np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(triangles, np.int32)
    )


def light(
    vertices: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    lighting: Lighting | None = None,
) -> Float32[np.ndarray, "v 3"]:
    """The light that each vertex sends to the viewer, in [0, 1] per channel.

    Positions are first centred and scaled to the unit box of the longest axis. Two published
    oddities stay: the specular power is taken of each axis before the sum, and a vertex that
    faces away can still gleam.

    Source: Sim3DR/lighting.py, RenderPipeline.
    """
    from .shading_cpu import shine_on

    lighting = lighting or Lighting()
    placed = np.array(vertices, np.float32)
    placed -= placed.min(0)
    placed /= placed.max() / 2
    placed -= placed.max(0) / 2
    places, colours = (
        np.array(pair, np.float32)
        for pair in (
            (lighting.light, lighting.viewer),
            (lighting.ambient_colour, lighting.directional_colour),
        )
    )
    strengths = np.array([lighting.ambient, lighting.directional, lighting.specular], np.float32)
    return shine_on(
        placed, np.asarray(normals, np.float32), places, colours, strengths, lighting.exponent
    )

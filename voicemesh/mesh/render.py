"""Pictures of meshes: colours on an image, a lit mesh over a photograph, a portrait of a head."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from .lighting import Lighting, light, vertex_normals
from .morphable import FaceMesh
from .portrait import openness_of, portrait
from .studio import Material, Studio, materials
from .view import fragments_of

__all__ = [
    "Material",
    "Studio",
    "draw",
    "materials",
    "openness_of",
    "overlay",
    "portrait",
    "warm_up",
]


def draw(
    image: UInt8[np.ndarray, "height width channel"],
    vertices: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    colours: Float[np.ndarray, "v channel"],
    alpha: float = 1.0,
    reverse: bool = False,
) -> UInt8[np.ndarray, "height width channel"]:
    """A copy of `image` with a coloured mesh on it; colours in [0, 1] per vertex.

    Vertices are in image space: x right, y down in pixels, z towards the viewer. `reverse` turns
    the drawn rows upside down. Where published and ours differ: a partly transparent mesh shows
    its nearest surface only, whatever the order of its triangles, and colours outside [0, 1] are
    clipped instead of wrapping around.
    """
    from .shading_cpu import blend

    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; it must lie in [0, 1]")
    drawn = np.ascontiguousarray(image).copy()
    fragments = fragments_of(vertices, triangles, image.shape[:2])
    blend(
        fragments.triangle.numpy(),
        fragments.weights.numpy(),
        np.ascontiguousarray(triangles, np.int32),
        np.ascontiguousarray(colours, np.float32),
        drawn,
        alpha,
        reverse,
    )
    return drawn


def overlay(
    image: UInt8[np.ndarray, "height width 3"],
    vertices: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    texture: Float[np.ndarray, "v 3"] | None = None,
    alpha: float = 1.0,
    lighting: Lighting | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """A lit mesh over a photograph, grey or with a texture in [0, 1] per vertex.

    Vertices are in image space, as in `draw`.
    """
    lit = light(vertices, vertex_normals(vertices, triangles), lighting)
    return draw(image, vertices, triangles, lit if texture is None else texture * lit, alpha)


def warm_up() -> None:
    """Compile, or load from the compiler's cache, all that pictures need: seconds, once."""
    corners = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float32)
    triangles = np.array([[0, 1, 3], [0, 2, 1], [0, 3, 2], [1, 2, 3]], np.int32)
    mesh = FaceMesh(corners, triangles, np.ones((4, 3), np.float32), np.zeros(68, np.int64))
    overlay(portrait(mesh, size=8), corners, triangles)

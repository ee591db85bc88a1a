"""Shoulders under a head, so that a portrait does not end at the neck: rings below its rim."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int32

from .hair import Hair
from .lighting import Triple
from .morphable import FaceMesh
from .studio import Material

RIM = 30.0  # millimetres above the lowest vertex within which the rim of a neck lies
# Of each ring: millimetres below the rim, wider to each side, deeper to front and back, and the
# share of the sky over it. The first is skin, the others are cloth, whose collar stands up.
RINGS = (
    (9.0, 2.0, 1.0, 0.45),
    (7.0, 7.0, 5.0, 0.50),
    (17.0, 30.0, 9.0, 0.70),
    (30.0, 78.0, 14.0, 0.85),
    (52.0, 112.0, 20.0, 0.90),
    (95.0, 128.0, 26.0, 0.85),
    (190.0, 130.0, 30.0, 0.80),
)


def on_shoulders(
    mesh: FaceMesh, openness: Float32[np.ndarray, " v"], hair: Hair | None, cloth: Triple
) -> tuple[FaceMesh, Float32[np.ndarray, " w"], Hair | None]:
    """The head with shoulders in cloth of this sRGB colour; all as it was if it has no neck."""
    rim = neck_rim(mesh)
    if not len(rim):
        return mesh, openness, hair
    below, count, first = np.array(RINGS), len(rim), len(mesh.vertices)
    edge = mesh.vertices[rim]
    middle = (edge.min(0) + edge.max(0)) / 2
    half = (edge.max(0) - edge.min(0)) / 2
    wider = 1 + below[:, 1:2] / half[0], 1 + below[:, 2:3] / half[2]
    x = middle[0] + wider[0] * (edge[:, 0] - middle[0])
    z = middle[2] + wider[1] * (edge[:, 2] - middle[2])
    y = edge[:, 1] - below[:, :1]
    vertices = np.stack([x, y, z], 2).reshape(-1, 3)
    rows = np.concatenate([rim[None], first + np.arange(len(RINGS) * count).reshape(-1, count)])
    above, under = rows[:-1], rows[1:]
    corners = (above, np.roll(above, -1, 1), np.roll(under, -1, 1), under)
    a, b, c, d = (part.ravel() for part in corners)
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])
    skin = mesh.colours[rim] if hair is None else hair.head_colours[rim]
    worn = np.tile(np.array(cloth, np.float32), (len(RINGS) - 1, count, 1))
    colours = np.concatenate([skin[None], worn]).reshape(-1, 3).astype(np.float32)
    sky = np.repeat(below[:, 3], count).astype(np.float32)
    bust = replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, vertices]).astype(np.float32),
        triangles=np.concatenate([mesh.triangles, triangles]).astype(np.int32),
        colours=np.concatenate([mesh.colours, colours]).astype(np.float32),
    )
    if hair is not None:
        material = np.full(len(colours), int(Material.SKIN), np.int32)
        hair = replace(
            hair,
            head_colours=np.concatenate([hair.head_colours, colours]).astype(np.float32),
            head_material=np.concatenate([hair.head_material, material]),
        )
    return bust, np.concatenate([openness, sky]), hair


@lru_cache(maxsize=8)
def _open_edges(triangles: bytes) -> Int32[np.ndarray, "edges 2"]:
    """Directed edges that belong to one triangle alone."""
    corners = np.frombuffer(triangles, np.int32).reshape(-1, 3)
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    _, first, counts = np.unique(np.sort(edges, 1), axis=0, return_index=True, return_counts=True)
    return edges[first[counts == 1]]


def neck_rim(mesh: FaceMesh) -> Int32[np.ndarray, " rim"]:
    """Vertices around the open end of a neck, in the order of its edges; empty without one."""
    edges, height = _open_edges(mesh.triangles.tobytes()), mesh.vertices[:, 1]
    low = height < height.min() + RIM
    after = {int(a): int(b) for a, b in edges if low[a] and low[b]}
    if len(after) < 3:
        return np.zeros(0, np.int32)
    rim = [next(iter(after))]
    while after.get(rim[-1], rim[0]) != rim[0]:
        rim.append(after[rim[-1]])
    return np.array(rim if len(rim) == len(after) else [], np.int32)

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
# The same to be walked around: broad, round, and closed below, as sculptors end a bust.
SCULPTED = (
    (9.0, 2.0, 1.0, 0.45),
    (6.0, 6.0, 5.0, 0.50),
    (10.0, 13.0, 8.0, 0.60),
    (17.0, 29.0, 12.0, 0.72),
    (25.0, 52.0, 17.0, 0.80),
    (33.0, 78.0, 22.0, 0.86),
    (41.0, 104.0, 27.0, 0.90),
    (50.0, 128.0, 32.0, 0.92),
    (56.0, 139.5, 34.5, 0.92),
    (63.0, 149.0, 37.5, 0.92),
    (71.5, 157.0, 40.5, 0.91),
    (81.0, 163.0, 43.0, 0.90),
    (98.0, 168.0, 47.0, 0.87),
    (124.0, 163.0, 51.0, 0.83),
    (152.0, 149.0, 53.0, 0.78),
    (180.0, 127.0, 52.0, 0.72),
    (206.0, 101.0, 47.0, 0.65),
    (228.0, 73.0, 38.0, 0.57),
    (244.0, 45.0, 25.0, 0.49),
    (254.0, 17.0, 8.0, 0.42),
    (259.0, -15.0, -18.0, 0.36),
    (260.0, -50.0, -50.0, 0.34),
)
Rings = tuple[tuple[float, float, float, float], ...]


def on_shoulders(
    mesh: FaceMesh,
    openness: Float32[np.ndarray, " v"],
    hair: Hair | None,
    cloth: Triple,
    rings: Rings = RINGS,
) -> tuple[FaceMesh, Float32[np.ndarray, " w"], Hair | None]:
    """The head with shoulders in cloth of this sRGB colour; all as it was if it has no neck."""
    rim = neck_rim(mesh)
    if not len(rim):
        return mesh, openness, hair
    below, count, first = np.array(rings), len(rim), len(mesh.vertices)
    edge = mesh.vertices[rim]
    middle = (edge.min(0) + edge.max(0)) / 2
    half = (edge.max(0) - edge.min(0)) / 2
    wider = 1 + below[:, 1:2] / half[0], 1 + below[:, 2:3] / half[2]
    x = middle[0] + wider[0] * (edge[:, 0] - middle[0])
    z = middle[2] + wider[1] * (edge[:, 2] - middle[2])
    y = edge[:, 1] - below[:, :1]
    vertices = np.stack([x, y, z], 2).reshape(-1, 3)
    rows = np.concatenate([rim[None], first + np.arange(len(rings) * count).reshape(-1, count)])
    above, under = rows[:-1], rows[1:]
    corners = (above, np.roll(above, -1, 1), np.roll(under, -1, 1), under)
    a, b, c, d = (part.ravel() for part in corners)
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])
    skin = mesh.colours[rim] if hair is None else hair.head_colours[rim]
    worn = np.tile(np.array(cloth, np.float32), (len(rings) - 1, count, 1))
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
        below_hair = np.ones(len(colours), np.float32)
        hair = replace(
            hair,
            head_colours=np.concatenate([hair.head_colours, colours]).astype(np.float32),
            head_material=np.concatenate([hair.head_material, material]),
            shade=None if hair.shade is None else np.concatenate([hair.shade, below_hair]),
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

"""Triangles over points on a star-shaped surface, made round by edge flips."""

import numpy as np
from jaxtyping import Bool, Float, Int

CORNERS = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])


def interior_edges(
    triangles: Int[np.ndarray, "t 3"],
) -> tuple[Int[np.ndarray, "e 2"], Int[np.ndarray, "e 2"], Int[np.ndarray, "e 2"]]:
    """Edges of two triangles: their ends (as the first triangle runs), triangles, far corners."""
    rim = triangles[:, CORNERS].reshape(-1, 3)
    owner = np.repeat(np.arange(len(triangles)), 3)
    key = np.sort(rim[:, :2], 1)
    order = np.lexsort((key[:, 1], key[:, 0]))
    same = (key[order[1:]] == key[order[:-1]]).all(1)
    first, second = order[:-1][same], order[1:][same]
    far = np.stack([rim[first, 2], rim[second, 2]], 1)
    return rim[first, :2], np.stack([owner[first], owner[second]], 1), far


def _angle(
    points: Float[np.ndarray, "n 3"],
    a: Int[np.ndarray, " e"],
    apex: Int[np.ndarray, " e"],
    b: Int[np.ndarray, " e"],
) -> Float[np.ndarray, " e"]:
    u, v = points[a] - points[apex], points[b] - points[apex]
    return np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), (u * v).sum(1))


def areas(
    plane: Float[np.ndarray, "n 2"], triangles: Int[np.ndarray, "*t 3"]
) -> Float[np.ndarray, "*t"]:
    """Twice the signed area of triangles in the plane."""
    a, b, c = (plane[triangles[..., k]] for k in range(3))
    u, v = b - a, c - a
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def flip_to_delaunay(
    points: Float[np.ndarray, "n 3"],
    plane: Float[np.ndarray, "n 2"],
    triangles: Int[np.ndarray, "t 3"],
    locked: Int[np.ndarray, "k 2"],
    passes: int = 40,
) -> Int[np.ndarray, "t 3"]:
    """Flip edges whose far angles exceed 180 degrees on the surface; `plane` must stay unfolded.

    All triangles run counter-clockwise in the plane; `locked` edges (sorted pairs) stay.
    """
    triangles, n = triangles.copy(), len(points)
    keep = np.unique(locked[:, 0] * n + locked[:, 1])
    for _ in range(passes):
        ends, owners, far = interior_edges(triangles)
        excess = _angle(points, ends[:, 0], far[:, 0], ends[:, 1])
        excess = excess + _angle(points, ends[:, 0], far[:, 1], ends[:, 1]) - np.pi
        pairs = np.sort(ends, 1)
        worse = (excess > 1e-6) & ~np.isin(pairs[:, 0] * n + pairs[:, 1], keep)
        # The diagonal must not exist already, and both new triangles must stay unfolded.
        news = _flipped(ends, far)
        worse &= (areas(plane, news) > 1e-12).all(1)
        taken = np.sort(far, 1)
        worse &= ~np.isin(taken[:, 0] * n + taken[:, 1], pairs[:, 0] * n + pairs[:, 1])
        rows = np.nonzero(worse)[0]
        if len(rows) == 0:
            break
        rows = rows[_apart(owners[rows], excess[rows], len(triangles))]
        triangles[owners[rows]] = news[rows]
    return triangles


def _flipped(ends: Int[np.ndarray, "e 2"], far: Int[np.ndarray, "e 2"]) -> Int[np.ndarray, "e 2 3"]:
    first = np.stack([far[:, 0], ends[:, 0], far[:, 1]], 1)
    return np.stack([first, np.stack([far[:, 0], far[:, 1], ends[:, 1]], 1)], 1)


def _apart(
    owners: Int[np.ndarray, "r 2"], gain: Float[np.ndarray, " r"], triangles: int
) -> Bool[np.ndarray, " r"]:
    """Rows that gain most in both of their triangles, so that no triangle is flipped twice."""
    order = np.argsort(gain)
    best = np.full(triangles, -1)
    best[owners[order].ravel()] = np.repeat(order, 2)
    return (best[owners] == np.arange(len(owners))[:, None]).all(1)

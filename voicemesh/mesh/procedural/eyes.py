"""Eyeballs: a grid of rings about the gaze, cut where the iris and the pupil end."""

import numpy as np
from jaxtyping import Float, Int

from .anatomy import GLOBE
from .field import rotation

IRIS, PUPIL = 0.485, 0.175  # half-angles, radians
EDGE = 0.012  # the two rings of an edge lie this far apart, so that colours change crisply
SPOKES = 40
OUTWARD_GAZE = 1.5  # degrees; the eyes of a far look are almost parallel


def rings() -> Float[np.ndarray, " r"]:
    """Half-angles of the rings, from the middle of the pupil to behind the lids."""
    pupil = [0.06, PUPIL - 0.05, PUPIL - EDGE, PUPIL + EDGE]
    iris = [0.24, 0.31, 0.38, 0.435, IRIS - EDGE, IRIS + EDGE]
    return np.array([*pupil, *iris, 0.56, 0.66, 0.8, 0.95, 1.12, 1.3, 1.5, 1.75])


def eyeball() -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "t 3"], Float[np.ndarray, " n"]]:
    """Left eyeball about its centre, outward triangles, and each vertex's half-angle."""
    angles = rings()
    turn = np.linspace(0, 2 * np.pi, SPOKES, endpoint=False)
    a, b = (g.ravel() for g in np.meshgrid(angles, turn, indexing="ij"))
    a, b = np.concatenate([[0.0], a]), np.concatenate([[0.0], b])
    ahead = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], 1)
    cornea = 0.75 * np.exp(-((a / 0.42) ** 4))
    points = ahead * (GLOBE + cornea)[:, None] @ rotation(0, OUTWARD_GAZE, 0).T
    i, j = np.meshgrid(np.arange(len(angles) - 1), np.arange(SPOKES), indexing="ij")
    right = (j + 1) % SPOKES
    inner, inner_next = 1 + i * SPOKES + j, 1 + i * SPOKES + right
    outer, outer_next = inner + SPOKES, inner_next + SPOKES
    quads = np.stack([inner, outer, outer_next, inner_next], -1).reshape(-1, 4)
    cap = np.stack([np.zeros(SPOKES, int), 1 + j[0], 1 + right[0]], 1)
    return points, np.concatenate([cap, quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), a


def iris_and_pupil(
    angle: Float[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Coverage of iris and pupil by half-angle."""
    return (angle < IRIS).astype(float), (angle < PUPIL).astype(float)

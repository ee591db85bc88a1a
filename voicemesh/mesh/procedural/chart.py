"""The face flattened: directions from a point inside the head, and the curves drawn there."""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from .anatomy import Traits

POLE = np.array([0.0, -18.0, 0.0])  # the head is star-shaped seen from here
SCALE = 100.0  # chart mm per radian; close to real mm on the face
LID_X = (-15, -13.2, -11, -8, -4, 0, 4, 8, 11, 13.5, 15)  # lateral is positive
UPPER_LID = (-2.4, -1.3, 0.5, 2.5, 4.1, 4.65, 4.4, 3.4, 2.0, 0.5, -0.5)
LOWER_LID = (-2.4, -3.1, -3.65, -4.4, -5.3, -5.75, -5.6, -4.6, -3.1, -1.4, -0.5)


def smooth(a: float, b: float, x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """A smooth step: 0 at `a`, 1 at `b` (which may be the smaller)."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def unit(v: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Rows scaled to length one."""
    return v / (np.linalg.norm(v, axis=1, keepdims=True) + 1e-12)


def to_chart(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Azimuthal equidistant map about the pole and the forward axis."""
    d = points - POLE
    aside = np.hypot(d[:, 0], d[:, 1])
    return d[:, :2] * (SCALE * np.arctan2(aside, d[:, 2]) / np.maximum(aside, 1e-9))[:, None]


def from_chart(chart: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Unit directions of chart points."""
    r = np.hypot(chart[:, 0], chart[:, 1])
    s = np.where(r > 1e-9, np.sin(r / SCALE) / np.maximum(r, 1e-9), 1 / SCALE)
    return np.stack([chart[:, 0] * s, chart[:, 1] * s, np.cos(r / SCALE)], 1)


def to_plane(directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Stereographic map from straight below, where the neck is open: circles stay circles."""
    d = unit(directions)
    return d[:, [0, 2]] / (1 + d[:, 1:2])


def lids(t: Traits, n: int) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Upper and lower lid margins from the inner to the outer corner, from the pupil, in mm."""
    half = t["palpebral_length"] / 2
    wide, tall = half / 15, t["eye_opening"] / 10.6
    x = -half * np.cos(np.linspace(0, np.pi, n))
    turn = np.radians(t["eye_tilt"] - 2)
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    curves = []
    for heights in (UPPER_LID, LOWER_LID):
        y = np.array(heights)
        base = y[0] + (y[-1] - y[0]) * (np.array(LID_X) + 15) / 30
        curve = PchipInterpolator(np.array(LID_X) * wide, base + (y - base) * tall)
        curves.append(np.stack([x, curve(np.clip(x, -half, half))], 1) @ spin)
    return curves[0], curves[1]


def seam(s: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Height of the line between the lips above its middle, mm; s is 1 at the mouth's corner."""
    s = np.abs(s)
    return (
        -0.9 * np.exp(-((s / 0.16) ** 2)) + 0.5 * np.exp(-(((s - 0.42) / 0.22) ** 2)) - 0.9 * s**3
    )


def upper_lip(s: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Relative height of the upper vermilion, with its bow."""
    s = np.clip(np.abs(s), 0, 1)
    bow = 1 + 0.08 * np.exp(-(((s - 0.24) / 0.12) ** 2))
    return (1 - s**1.7) * (1 - 0.16 * np.exp(-((s / 0.10) ** 2))) * bow


def lower_lip(s: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Relative height of the lower vermilion."""
    return (1 - np.clip(np.abs(s), 0, 1) ** 2.6) ** 0.9


def resample(
    line: Float[np.ndarray, "n k"], step: float | None = None, count: int = 0, closed: bool = False
) -> Float[np.ndarray, "m k"]:
    """Evenly spaced points on a polyline: `count` of them, or about `step` apart."""
    if closed:
        line = np.concatenate([line, line[:1]])
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    if step is not None:
        count = max(4, round(s[-1] / step) + (not closed))
    at = np.linspace(0, s[-1], count, endpoint=not closed)
    return np.stack([np.interp(at, s, column) for column in line.T], 1)


def offset(
    curve: Float[np.ndarray, "n 2"],
    centre: Float[np.ndarray, "2"],
    distance: float,
    angles: Float[np.ndarray, " m"],
    closed: bool = True,
) -> Float[np.ndarray, "m 2"]:
    """The line at a distance outside a curve that is star-shaped about its centre."""
    dense = resample(curve, 0.1, closed=closed)
    near = cKDTree(dense)
    ahead = np.stack([np.cos(angles), np.sin(angles)], 1)
    low = np.zeros(len(angles))
    if closed:
        d = dense - centre
        order = np.argsort(np.arctan2(d[:, 1], d[:, 0]))
        turn, size = np.arctan2(d[order, 1], d[order, 0]), np.hypot(d[order, 0], d[order, 1])
        low = np.interp(angles, turn, size, period=2 * np.pi)
    high = low + 60
    for _ in range(40):
        middle = 0.5 * (low + high)
        inside = near.query(centre + ahead * middle[:, None])[0] < distance
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return centre + ahead * high[:, None]

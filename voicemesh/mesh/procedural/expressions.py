"""Ten expressions as displacement fields on the mean head, each at full strength."""

import numpy as np
from jaxtyping import Float

from . import chart as ch
from .anatomy import Places
from .features import Canon
from .heads import Grower

EXPRESSIONS = (
    *("jaw_open", "smile", "sad", "pucker", "stretch"),
    *("brow_up", "frown", "blink", "lip_raise", "cheek_puff"),
)
HINGE = np.array([0.0, -12.0, 6.0])
JAW_ANGLE = 15.0  # degrees
# (x, y from a place, width, height, motion outward, up, forward); places: m mouth corner,
# s stomion, e eye, n nose wing.
MOTIONS = {
    "smile": [
        ("m", 0, 0, 11, 9, 6.5, 6.0, -3.2),
        ("h", 0, 0, 8, 8, 1.5, 0.8, -1.0),
        ("o", 36, -32, 13, 12, 1.5, 3.6, 2.4),
        ("e", 0, -9, 12, 4, 0, 1.7, 0.4),
        ("m", 2, 16, 5, 9, 0, 0.5, -1.6),
        ("n", 0, 5, 6, 6, 1.2, 0.5, 0),
    ],
    "sad": [
        ("m", 0, 0, 9, 8, -1.0, -5.0, -1.0),
        ("s", 0, -24, 14, 8, 0, 2.0, 1.2),
        ("o", 12, 22, 9, 9, -2.0, 4.0, 0.3),
    ],
    "pucker": [("m", 0, 0, 11, 10, -10.0, 0, 5.5), ("s", 0, 0, 15, 10, 0, 0, 5.0)],
    "stretch": [("m", 0, 0, 12, 9, 7, -1.0, -4.5), ("s", 0, -8, 18, 5, 0, -1.5, -1)],
    "brow_up": [
        ("o", 22, 22, 20, 11, 0, 6.0, 0.4),
        ("o", 0, 26, 16, 12, 0, 3.0, 0.2),
        ("e", 0, 8, 14, 4, 0, 1.8, 0),
    ],
    "frown": [("o", 12, 19, 10, 9, -3.2, -3.6, 1.2), ("o", 38, 22, 12, 8, 0, -0.8, 0)],
    "lip_raise": [
        ("s", 11, 7, 11, 8, 0, 4.5, 0.8),
        ("n", -2, 6, 7, 7, 1.4, 3.0, 0),
        ("o", 18, -28, 8, 14, 0, 2.4, 1.0),
    ],
    "cheek_puff": [("o", 37, -56, 14, 15, 5.5, 0, 4.5)],
}


def expressions(g: Grower, mean: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3 e"]:
    """Displacement of every vertex of the mean head under each expression, mm."""
    fields = [_field(g, mean, name) for name in EXPRESSIONS]
    return np.stack([_followed(g, field) for field in fields], -1)


def _field(g: Grower, mean: Float[np.ndarray, "v 3"], name: str) -> Float[np.ndarray, "s 3"]:
    if name == "jaw_open":
        return _jaw(g, mean[: g.skin])
    if name == "blink":
        return _blink(g, mean)
    c, moved = g.canon, np.zeros((g.skin, 3))
    side = np.tanh(g.template.skin[:, 0] / 3)
    for place, x, y, wide, high, out, up, ahead in MOTIONS[name]:
        x0, y0 = _place(c.at, c, place)
        weight = c.spot(x0 + x, y0 + y, wide, high)
        if name == "lip_raise" and place == "s":
            weight = weight * (c.upper | (c.mouth_s >= 1))
        moved += weight[:, None] * np.stack([out * side, 0 * side + up, 0 * side + ahead], 1)
    return moved


def _place(at: Places, c: Canon, name: str) -> tuple[float, float]:
    half = c.traits["lip_length"] / 2
    where = {"m": (half, at.stomion), "h": (half / 2, at.stomion), "s": (0.0, at.stomion)}
    where |= {"e": (at.eye_x, 0.0), "n": (at.alar, at.subnasale), "o": (0.0, 0.0)}
    return where[name]


def _jaw(g: Grower, skin: Float[np.ndarray, "s 3"]) -> Float[np.ndarray, "s 3"]:
    """The jaw turned about its hinge; the lips part, the corners go half the way."""
    c, s = g.canon, np.clip(g.canon.mouth_s, 0, 1)
    line = np.interp(c.z, [5, 88], [-14, c.at.stomion])
    below = np.where(c.z > 84, c.at.stomion - c.y, line - c.y)
    corner = 0.5 * s**2.4
    at_lips = np.where(c.upper, corner, 1 - corner)
    near = ch.smooth(24, 0, np.abs(c.mouth_t)) * ch.smooth(1.7, 1.0, c.mouth_s) * (c.z > 50)
    weight = ch.smooth(-20, 18, below) * (1 - near) + at_lips * near
    over = c.upper & (c.mouth_s < 1) & (c.z > 60)
    weight = np.where(over, at_lips * ch.smooth(14, 0, np.abs(c.mouth_t)), weight)
    throat = ch.smooth(15, 62, c.z) + ch.smooth(-88, -60, c.y) * (c.z < 62)
    weight = weight * np.clip(throat, 0, 1) * ch.smooth(-5, 18, c.z)
    weight[g.template.lips[0][[0, -1]]] = 0.5
    cos, sin = np.cos(np.radians(JAW_ANGLE)), np.sin(np.radians(JAW_ANGLE))
    q = skin - HINGE
    turned = np.stack([q[:, 0], q[:, 1] * cos - q[:, 2] * sin, q[:, 1] * sin + q[:, 2] * cos], 1)
    return (turned - q) * weight[:, None]


def _blink(g: Grower, mean: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "s 3"]:
    """Lids turned about the eyeball until they meet."""
    c, moved = g.canon, np.zeros((g.skin, 3))
    lateral = ch.smooth(1.25, 0.95, np.abs(c.lid_x))
    upper = ch.smooth(8.5, 0, c.above_lid) * (c.above_lid > -1.2) * (c.below_lid < -0.2)
    lower = ch.smooth(6, 0, c.below_lid) * (c.below_lid > -0.2)
    gap = np.clip(-c.above_lid - c.below_lid, -12, 12)
    gap = np.abs(gap)
    turn = lateral * gap * (0.87 * upper - 0.10 * lower) / 14
    turn = np.where((c.lid_distance < 16), turn, 0)
    for hand in range(2):
        centre = mean[g.eyes[hand]][g.eye_angle > 1.4].mean(0) * [1, 0, 1]
        rows = np.sign(g.template.skin[:, 0]) == (1, -1)[hand]
        centre[2] = mean[g.eyes[hand][0], 2] - 12.95
        q = mean[: g.skin][rows] - centre
        cos, sin = np.cos(turn[rows]), np.sin(turn[rows])
        y, z = q[:, 1] * cos - q[:, 2] * sin, q[:, 1] * sin + q[:, 2] * cos
        moved[rows] = np.stack([q[:, 0], y, z], 1) - q
    return moved


def _followed(g: Grower, skin: Float[np.ndarray, "s 3"]) -> Float[np.ndarray, "v 3"]:
    """Lid and mouth rows follow their margins; eyes and ears stay."""
    moved = np.zeros((len(g.mirror), 3))
    moved[: g.skin] = skin
    for hand in range(2):
        for k, row in enumerate(g.lid_rows[hand]):
            moved[row] = skin[g.template.lids[hand]] * (1 - 0.25 * (k + 1))
    for line, rows in zip(g.template.lips, g.mouth_rows, strict=True):
        for k, row in enumerate(rows):
            moved[row] = skin[line] * (1 - 0.05 * (k + 1))
    return moved

"""Places with a name, on any head: they steer the chart so that vertices keep their meaning."""

import numpy as np
from jaxtyping import Float

from . import chart as ch
from .anatomy import SUBNASALE_Z, Places, Traits, build, places
from .field import Field

TEMPLE = 32.0, np.radians([34.0])  # height and azimuth of the frontotemporal point


def controls(t: Traits) -> Float[np.ndarray, "c 2"]:
    """Chart positions of all named places, left half first, then their mirror images."""
    head, at = build(t), places(t)
    front = np.array(_eye(t, at) + _brow_and_bridge(t, at) + _mouth(t, at), float)
    left = np.concatenate([head.front(front), _nose(at), _outline(t, at), _rings(head, at)])
    flat = ch.to_chart(left)
    return np.concatenate([flat, flat[left[:, 0] != 0] * [-1, 1]])


def _eye(t: Traits, at: Places) -> list[tuple[float, float]]:
    upper, lower = ch.lids(t, 13)
    points = [(at.eye_x + x, y) for x, y in upper[[0, 3, 6, 9, 12]]]
    points += [(at.eye_x + x, y) for x, y in lower[[3, 6, 9]]]
    points.append((at.eye_x, upper[6, 1] + t["lid_crease"]))
    return [*points, (at.eye_x, lower[6, 1] - 6)]


def _brow_and_bridge(t: Traits, at: Places) -> list[tuple[float, float]]:
    points = [(13, at.brow + 2), (at.eye_x + 1, at.brow + 5), (at.eye_x + 19, at.brow + 2)]
    return [*points, (0, 8), (0, 8 + 0.5 * (at.tip_y - 8)), (0, at.brow), (0, 48)]


def _nose(at: Places) -> Float[np.ndarray, "n 3"]:
    """The nose from below: rays from the front would jump from its tip to its base."""
    base, z, nostril = at.subnasale, SUBNASALE_Z, max(at.alar - 10.3, 3.0)
    points = [(0, at.tip_y, at.tip_z), (0, base, z), (at.alar, base + 6.5, z - 4)]
    return np.array([*points, (at.alar - 2, base + 1.5, z - 3), (nostril, base + 1.5, z + 4)])


def _mouth(t: Traits, at: Places) -> list[tuple[float, float]]:
    half, y = t["lip_length"] / 2, at.stomion
    upper, lower = t["upper_vermilion"], t["lower_vermilion"]
    points = [(half, y + float(ch.seam(np.ones(1))[0])), (0, y), (0.5 * half, y), (0, y + upper)]
    points.append((0.25 * half, y + 1.02 * upper))
    points.append((0.6 * half, y + upper * float(ch.upper_lip(np.array([0.6]))[0])))
    points.append((0.5 * half, y - lower * float(ch.lower_lip(np.array([0.5]))[0])))
    points += [(0, y - lower), (0, at.sublabiale), (0, at.menton + 13)]
    return points


def _outline(t: Traits, at: Places) -> Float[np.ndarray, "n 3"]:
    half = t["head_breadth"] / 2
    jaw = (0.62 * at.gonion_x, (at.gonion_y + at.menton) / 2 - 3, 54)
    points = [(0, at.menton + 1, at.chin_z + 5), (at.zygion, -12, 28), (at.zygion - 14, -16, 62)]
    points += [(at.gonion_x, at.gonion_y, 14), jaw, (0, at.vertex, 0), (half, 30, 0)]
    return np.array([*points, (0, 20, -t["head_length"] / 2), (half, 0, -8)], float)


def _rings(head: Field, at: Places) -> Float[np.ndarray, "n 3"]:
    """The temples, the tape around the head, the neck: held by azimuth."""
    temples = head.around(*TEMPLE)
    turn = np.radians([0.0, 45, 90, 135, 180])
    points = np.concatenate([temples, *(head.around(at.neck + y, turn) for y in (0.0, 14.0))])
    points[np.abs(points[:, 0]) < 1e-6, 0] = 0.0
    return points

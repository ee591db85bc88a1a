"""Paint on the vertices: how much of each thing that colours a face lies where."""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from . import chart as ch
from .eyes import iris_and_pupil
from .features import Canon
from .heads import Grower

HAIRLINE = (  # azimuth in degrees (0 is the front), height in mm
    *((0, 68), (12, 69), (24, 68), (34, 62), (42, 50), (50, 34), (57, 20), (64, 6), (70, -8)),
    *((76, -18), (84, -18), (90, -6), (97, 8), (106, 6), (116, -22), (130, -48), (180, -58)),
)
BROW_X = (11.5, 24, 37.5, 53)
BROW_Y = (1.8, 4.2, 6.2, 1.8)  # above the brow ridge
BROW_HALF = ((0, 0.12, 0.45, 0.75, 1), (2.2, 3.3, 3.1, 2.1, 0.6))


def paint(g: Grower) -> dict[str, Float[np.ndarray, " v"]]:
    """Every channel of the look's paint, one number per vertex of the whole mesh."""
    c, n = g.canon, len(g.mirror)
    skin = {
        "blood": _blood(c),
        "melanin": _melanin(c),
        "lips": _lips(c),
        "beard": _beard(c),
        "scalp": _scalp(c),
        "brows": _brows(c),
        "lashes": _lashes(c),
        "shade": _shade(c),
    }
    channels = {name: np.zeros(n) for name in (*skin, "sclera", "iris", "pupil", "mouth")}
    for name, values in skin.items():
        channels[name][: g.skin] = values
    _inside(g, channels)
    return channels


def _blood(c: Canon) -> Float[np.ndarray, " s"]:
    at = c.at
    red = 0.50 * c.spot(38, -28, 15, 13) + 0.45 * c.spot(0, at.tip_y, 10, 9)
    red += 0.3 * c.spot(16, at.subnasale + 5, 5, 6) + 0.25 * c.spot(0, at.menton + 10, 13, 9)
    red += 0.3 * c.spot(at.eye_x, 7, 15, 4) + 0.3 * c.spot(at.eye_x - 3, -9, 15, 5)
    return red - 0.15 * c.spot(0, 45, 40, 18)


def _melanin(c: Canon) -> Float[np.ndarray, " s"]:
    at = c.at
    dark = 0.20 * c.spot(at.eye_x - 2, -9.5, 13, 4.2) + 0.20 * c.spot(at.eye_x, 6, 15, 4)
    dark += 0.10 * c.spot(at.eye_x - 14, 4, 6, 7) + 0.08 * c.spot(0, at.stomion - 18, 14, 5)
    dark -= 0.08 * c.spot(0, 45, 40, 18) + 0.08 * c.spot(36, -17, 14, 6)
    return dark - 0.06 * c.spot(0, -10, 5, 18) + 0.10 * ch.smooth(at.menton, at.neck, c.y)


def _lips(c: Canon) -> Float[np.ndarray, " s"]:
    soft = np.where(c.upper, 0.10, 0.16)
    border = ch.smooth(1, 0, (c.vermilion - 1 + soft) / (2 * soft))
    return border * (c.mouth_s < 1) * (c.z > 50) * ch.smooth(1.02, 0.93, c.mouth_s)


def _beard(c: Canon) -> Float[np.ndarray, " s"]:
    at, x = c.at, c.aside
    cheek = np.where(x < 28, at.subnasale - 3, at.subnasale - 5 + (x - 28) * 1.15)
    mask = ch.smooth(3, -15, c.y - cheek) * ch.smooth(at.menton - 18, at.menton, c.y)
    mask *= ch.smooth(-8, 14, c.z)
    bare = ((x - 13) / 6) ** 2 + ((c.y - at.stomion + 14) / 4) ** 2
    mask *= 1 - 0.75 * np.exp(-bare)
    groove = np.exp(-((x / 3) ** 2)) * ch.smooth(at.subnasale - 12, at.subnasale - 4, c.y)
    return mask * (1 - 0.8 * groove) * (1 - _lips(c))


def _scalp(c: Canon) -> Float[np.ndarray, " s"]:
    """Cropped hair above a line around the head: forehead, temple, in front of the ear, nape."""
    azimuth = np.degrees(np.arctan2(c.aside, c.z + 8))
    edge = PchipInterpolator(*np.array(HAIRLINE).T)(azimuth)
    soft = 4 + 5 * ch.smooth(110, 150, azimuth)
    return 0.95 * ch.smooth(-1, 1, (c.y - edge) / soft)


def _brows(c: Canon) -> Float[np.ndarray, " s"]:
    middle = PchipInterpolator(BROW_X, BROW_Y)
    x = np.clip(c.aside, BROW_X[0], BROW_X[-1])
    share = (x - BROW_X[0]) / (BROW_X[-1] - BROW_X[0])
    half = PchipInterpolator(*BROW_HALF)(share)
    off = np.abs(c.y - c.at.brow - middle(x)) / half
    ends = ch.smooth(BROW_X[0] - 2.5, BROW_X[0] + 2, c.aside)
    ends = ends * ch.smooth(BROW_X[-1] + 2, BROW_X[-1] - 3, c.aside)
    return ch.smooth(1.45, 0.45, off) * ends * (c.z > 30) * (0.72 + 0.2 * np.sin(np.pi * share))


def _lashes(c: Canon) -> Float[np.ndarray, " s"]:
    inside = ch.smooth(1.06, 0.96, np.abs(c.lid_x)) * (c.z > 40)
    upper = np.exp(-((np.maximum(c.above_lid, 0) / 0.75) ** 2)) * (c.above_lid > -0.4)
    upper = upper * ch.smooth(-1.0, -0.5, c.lid_x) * (c.below_lid < 0)
    lower = (
        np.exp(-((c.below_lid / 0.5) ** 2)) * (c.below_lid > -0.3) * ch.smooth(-0.4, 0.6, c.lid_x)
    )
    return inside * np.maximum(0.9 * upper, 0.3 * lower * (c.above_lid < 0))


def _shade(c: Canon) -> Float[np.ndarray, " s"]:
    at = c.at
    u, v = (c.aside - (at.alar - 10.2)) / 2.6, (c.y - at.subnasale - 1.2) / 1.6
    nostril = 0.8 * np.clip(1.25 * np.exp(-0.5 * (u * u + v * v)), 0, 1) * (c.z > 80)
    seam = 0.5 * np.exp(-((c.mouth_t / 0.6) ** 2)) * ch.smooth(1.05, 0.98, c.mouth_s) * (c.z > 50)
    crease = np.exp(-(((c.above_lid - 4.4) / 1.0) ** 2)) * ch.smooth(1.15, 0.8, np.abs(c.lid_x))
    return 1 - (1 - nostril) * (1 - seam) * (1 - 0.2 * crease * (c.z > 40))


def _inside(g: Grower, channels: dict[str, Float[np.ndarray, " v"]]) -> None:
    """Eyes, lid edges, the mouth's inside, ears."""
    iris, pupil = iris_and_pupil(g.eye_angle)
    for ids in g.eyes:
        channels["sclera"][ids], channels["iris"][ids], channels["pupil"][ids] = 1, iris, pupil
        limbus = np.exp(-(((g.eye_angle - 0.475) / 0.05) ** 2)) * iris
        channels["shade"][ids] = 0.45 * limbus + 0.35 * ch.smooth(0.65, 1.2, g.eye_angle)
    for hand in range(2):
        for k, row in enumerate(g.lid_rows[hand]):
            channels["blood"][row] = 0.8
            channels["shade"][row] = 0.1 * k
    for rows in g.mouth_rows:
        for k, row in enumerate(rows):
            channels["lips"][row], channels["mouth"][row] = 1, min(1, 0.35 * (k + 1))
            channels["shade"][row] = min(0.9, 0.3 + 0.2 * k)
    for ids in g.ears:
        channels["blood"][ids] = 0.5 * g.ear_red + 0.2
        channels["shade"][ids] = 0.4 * g.ear_depth

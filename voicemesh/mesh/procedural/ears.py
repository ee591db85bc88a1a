"""An ear as a polar patch about the concha: outline and relief by angle and radius."""

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline

from .chart import smooth

SPOKES, FRONT_ROWS, RIM_ROWS, BACK_ROWS = 52, 13, 5, 5
NEUTRAL_LENGTH = 59.5  # of the patch before it is scaled
ANGLE, TILT = 17.0, 9.0  # degrees: away from the head, backwards
OUTLINE_AT = (-90, -60, -30, 0, 30, 60, 90, 120, 150, 180, 210, 240, 270)
OUTLINE = (31, 25.5, 21, 21.5, 24.5, 29, 30.5, 25.5, 17.5, 12.5, 13.5, 20, 31)  # mm; 0 is backward


def ear() -> tuple[
    Float[np.ndarray, "n 3"],
    Int[np.ndarray, "t 3"],
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
]:
    """Points (backward, up, outward) in mm, triangles, redness of the rim, depth of the concha."""
    turn = np.linspace(0, 2 * np.pi, SPOKES, endpoint=False)
    degrees = (np.degrees(turn) + 90) % 360 - 90
    outline = CubicSpline(OUTLINE_AT, OUTLINE, bc_type="periodic")(degrees)
    rho = np.concatenate(
        [
            np.linspace(0.06, 0.88, FRONT_ROWS),
            np.linspace(0.91, 1.0, RIM_ROWS),
            np.linspace(0.975, 0.5, BACK_ROWS),
        ]
    )
    d, q = np.meshgrid(degrees, rho)

    def near(centre: float, width: float) -> Float[np.ndarray, "r a"]:
        return np.exp(-0.5 * (((d - centre + 180) % 360 - 180) / width) ** 2)

    def ridge(at: float, width: float) -> Float[np.ndarray, "r a"]:
        return np.exp(-(((q - at) / width) ** 2))

    lobe, front = near(-90, 24), near(180, 38)
    helix = 1 - np.clip(1.1 * lobe + 0.75 * front, 0, 1)
    h = -6.5 * (1 - smooth(0.30, 0.56, q)) * (1 - 0.4 * lobe)
    h += 3.2 * ridge(0.63, 0.10) * (near(10, 65) + 0.7 * near(-50, 25)) * (1 - 0.3 * lobe)
    h += helix * (4.2 * ridge(0.945, 0.06) - 1.5 * ridge(0.80, 0.06))
    h += 1.8 * lobe * ridge(0.75, 0.2) + 4.6 * near(184, 16) * ridge(0.62, 0.22)  # tragus
    h += 2.4 * near(-58, 14) * ridge(0.50, 0.12) + 3.0 * near(150, 16) * ridge(0.55, 0.28)
    rim = len(rho) - BACK_ROWS
    sink = np.linspace(1, 0, BACK_ROWS)[:, None]
    h[rim:] = 0.7 * h[rim - 1] * sink + np.linspace(-1.2, -12, BACK_ROWS)[:, None]
    angle = np.radians(d)
    h += 3.0 * np.cos(angle) * q - 5.5 * smooth(0.70, 1.0, q) * np.clip(1.4 * front, 0, 1)
    radius = outline * q
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), h], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(len(rho) - 1), np.arange(SPOKES), indexing="ij")
    a, b = i * SPOKES + j, i * SPOKES + (j + 1) % SPOKES
    quads = np.stack([a, a + SPOKES, b + SPOKES, b], -1).reshape(-1, 4)
    middle = np.concatenate([points, points[:SPOKES].mean(0, keepdims=True)])
    cap = np.stack([np.full(SPOKES, len(points)), a[0], b[0]], 1)
    triangles = np.concatenate([cap, quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    red = np.append(((0.5 * helix + 0.5 * lobe) * smooth(0.6, 0.95, q)).ravel(), 0)
    return middle, triangles, red, np.append(smooth(0.45, 0.1, q).ravel(), 1)


def place(points: Float[np.ndarray, "n 3"], length: float, side: float) -> Float[np.ndarray, "n 3"]:
    """The left ear of a given length on a head whose side is at x = `side`."""
    scale = length / NEUTRAL_LENGTH
    away, tilt = np.radians(ANGLE), np.radians(TILT)
    a, b, h = points[:, 0] * scale, points[:, 1] * scale, points[:, 2] * (0.4 + 0.6 * scale)
    back, up = a * np.cos(tilt) + b * np.sin(tilt), b * np.cos(tilt) - a * np.sin(tilt)
    x = side + 2.0 + h * np.cos(away) + (back + 10 * scale) * np.sin(away)
    return np.stack([x, up - 15, h * np.sin(away) - back * np.cos(away) - 13], 1)

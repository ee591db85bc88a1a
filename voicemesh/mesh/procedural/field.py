"""An implicit head: a smooth union of ellipsoids and tapered capsules, and rays cast on it."""

from dataclasses import dataclass, field
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from voicemesh.kernels.compiling import compiled

ELLIPSOID, CAPSULE = 0.0, 1.0
MIDLINE = 2.5**2  # mm^2; |x| is sqrt(x^2 + this), so mirrored parts meet without a crease
FLATTEST = 2.12  # exponent of a squared skull in front; less would give a crease on the forehead
CLOSE = 0.003  # mm; a ray ends here

# Columns of a primitive: kind, mirrored, blend width, adds (or carves), exponent of the horizontal
# section, then centre, radii, rotation, narrowing to the front (ellipsoid) or two ends and two
# radii (capsule).
COLUMNS = 21


@compiled()
@no_type_check
def _smooth_minimum(a, b, k):
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * h * k / 6.0


@compiled()
@no_type_check
def _ellipsoid(q, x, y, z):
    u = abs(q[11] * x + q[12] * y + q[13] * z) / q[8]
    v = (q[14] * x + q[15] * y + q[16] * z) / q[9]
    w = abs(q[17] * x + q[18] * y + q[19] * z) / q[10]
    if q[4] == 2.0:
        k0 = np.sqrt(u * u + v * v + w * w)
        u /= q[8]
        v /= q[9]
        w /= q[10]
        return k0 * (k0 - 1.0) / (np.sqrt(u * u + v * v + w * w) + 1e-9)
    ahead = min(max((q[17] * x + q[18] * y + q[19] * z) / q[10], 0.0), 1.1)
    u /= 1.0 - q[20] * ahead * ahead
    n = q[4] if ahead <= 0 else max(FLATTEST, 2.35 + 0.45 * (q[4] - 2.8))
    s = (u**n + w**n) ** (1.0 / n) + 1e-9
    k0 = np.sqrt(s * s + v * v) + 1e-9
    gx = s / k0 * (u / s) ** (n - 1.0) / q[8]
    gz = s / k0 * (w / s) ** (n - 1.0) / q[10]
    gy = v / k0 / q[9]
    return (k0 - 1.0) / (np.sqrt(gx * gx + gy * gy + gz * gz) + 1e-9)


@compiled()
@no_type_check
def _capsule(q, x, y, z):
    bx, by, bz = q[8] - q[5], q[9] - q[6], q[10] - q[7]
    t = (x * bx + y * by + z * bz) / (bx * bx + by * by + bz * bz)
    t = min(1.0, max(0.0, t))
    ex, ey, ez = x - t * bx, y - t * by, z - t * bz
    return np.sqrt(ex * ex + ey * ey + ez * ez) - (q[11] + t * (q[12] - q[11]))


@compiled()
@no_type_check
def signed_distance(x, y, z, primitives, bumps):
    """Roughly the distance to the surface, negative inside; primitives fold in their order."""
    side = np.sqrt(x * x + MIDLINE)
    d = 1e9
    for i in range(primitives.shape[0]):
        q = primitives[i]
        px = (side if q[1] > 0.5 else x) - q[5]
        if q[0] == ELLIPSOID:
            v = _ellipsoid(q, px, y - q[6], z - q[7])
        else:
            v = _capsule(q, px, y - q[6], z - q[7])
        if q[3] > 0.5:
            d = _smooth_minimum(d, v, q[2])
        else:
            d = -_smooth_minimum(-d, v, q[2])
    if z > 0:
        for i in range(bumps.shape[0]):
            g = bumps[i]
            dx, dy = side - g[0], y - g[1]
            c, s = np.cos(g[4]), np.sin(g[4])
            u, w = (dx * c + dy * s) / g[2], (-dx * s + dy * c) / g[3]
            e = u * u + w * w
            if e < 18.0:
                d -= g[5] * np.exp(-0.5 * e) * min(1.0, z / 25.0)
    return d


@compiled()
@no_type_check
def _cast(origins, directions, start, primitives, bumps):
    n = directions.shape[0]
    lengths = np.empty(n)
    for i in range(n):
        o, r, t = origins[i], directions[i], start[i]
        for _ in range(200):
            s = signed_distance(
                o[0] + t * r[0], o[1] + t * r[1], o[2] + t * r[2], primitives, bumps
            )
            if abs(s) < CLOSE:
                break
            t = max(t - 0.7 * s, 1.0)
        lengths[i] = t
    return lengths


@dataclass
class Field:
    """Primitives and frontal bumps, gathered part by part; all in millimetres."""

    parts: list[Float[np.ndarray, "21"]] = field(default_factory=list)
    dents: list[list[float]] = field(default_factory=list)

    def ellipsoid(
        self,
        centre: tuple[float, float, float],
        radii: tuple[float, float, float],
        blend: float,
        turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
        carve: bool = False,
        exponent: float = 2.0,
        narrowing: float = 0.0,
    ) -> None:
        """Add (or carve) an ellipsoid turned by degrees about x, y, z; off the midline: both.

        An `exponent` other than 2 squares its horizontal section, most of all behind; it may narrow
        to the front.
        """
        row = np.zeros(COLUMNS)
        row[:5] = ELLIPSOID, centre[0] != 0, blend, not carve, exponent
        row[5:8], row[8:11], row[11:20] = centre, radii, rotation(*turn).T.ravel()
        row[20] = narrowing
        self.parts.append(row)

    def capsule(
        self,
        start: tuple[float, float, float],
        end: tuple[float, float, float],
        radii: tuple[float, float],
        blend: float,
    ) -> None:
        """Add a round-ended cone between two points; off the midline: both sides."""
        row = np.zeros(COLUMNS)
        row[:5] = CAPSULE, start[0] != 0 or end[0] != 0, blend, 1, 2
        row[5:8], row[8:11], row[11:13] = start, end, radii
        self.parts.append(row)

    def bump(self, x: float, y: float, wide: float, high: float, turn: float, rise: float) -> None:
        """Raise (or lower) the front of the head by a Gaussian seen from the front."""
        self.dents.append([x, y, wide, high, np.radians(turn), rise])

    def cast(
        self,
        origins: Float[np.ndarray, "n 3"],
        directions: Float[np.ndarray, "n 3"],
        start: float | Float[np.ndarray, " n"] = 230.0,
    ) -> Float[np.ndarray, " n"]:
        """Distance along unit directions to the surface, walked from `start` in or out."""
        begin = np.broadcast_to(np.asarray(start, float), len(directions)).copy()
        bumps = np.array(self.dents).reshape(-1, 6)
        origins = np.ascontiguousarray(origins, float)
        return _cast(origins, np.ascontiguousarray(directions), begin, np.array(self.parts), bumps)

    def front(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """The surface seen from the front at (x, y)."""
        points = np.asarray(points, float)
        origins = np.concatenate([points, np.full((len(points), 1), -400.0)], 1)
        ahead = np.broadcast_to([0.0, 0.0, 1.0], origins.shape)
        origins[:, 2] += self.cast(origins, ahead, 560.0)
        return origins

    def around(self, height: float, azimuths: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """The surface at one height, seen from the vertical axis; azimuth 0 is the front."""
        ahead = np.stack([np.sin(azimuths), 0 * azimuths, np.cos(azimuths)], 1)
        origins = np.broadcast_to([0.0, height, -8.0], ahead.shape)
        return origins + ahead * self.cast(origins, ahead)[:, None]


def rotation(x: float, y: float, z: float) -> Float[np.ndarray, "3 3"]:
    """Turn by degrees about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x

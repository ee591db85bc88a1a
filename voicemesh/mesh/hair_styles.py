"""What a hair style is made of: a few numbers, and where on a head they let how much hair grow.

Places are those of the neutral head in millimetres: x to the subject's left, y up from the eyes'
height, z forward.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class HairStyle:
    """How hair is cut and worn; lengths are in millimetres, the others are shares.

    `top` is how long a lock above the temples is; `sides` and `back` are how far hair hangs below
    the hairline there, so that 60 or more covers the ears and 150 reaches the shoulders.
    """

    top: float = 45.0
    sides: float = 12.0
    back: float = 14.0
    volume: float = 0.4  # how far it stands off the head, 0 to 1
    parting: float = 0.3  # -1 to 1: on the subject's right, in the middle, on the left
    sweep: float = 0.2  # of the front: -1 down over the forehead, 0 aside, 1 back
    curl: float = 0.1  # 0 straight, 0.4 waves, 1 tight curls
    recession: float = 0.0  # of the hairline at the temples
    balding: float = 0.0  # from the crown; 1 leaves a wreath
    beard: float = 0.0  # length; 0 is shaved
    cheeks: float = 1.0  # share of the beard that grows: 0 on the chin only, 1 all of it
    moustache: float = 0.0  # length
    stubble: float = 0.0
    brows: float = 1.0  # thickness, 0.5 to 1.6


def ramp(low: float, high: float, values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """0 below `low`, 1 above `high`, smooth between; the other way round if `high` is lower."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def topness(places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """1 on the top of the head, 0 at its sides and its nape."""
    _, y, z = places.T
    return ramp(38, 78, y + 0.25 * z)


def remaining(style: HairStyle, places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """The share of the scalp's hair that has not gone with the years."""
    x, y, z = places.T
    temples = np.exp(-(((np.abs(x) - 38) / 15) ** 2))
    front = 96 - style.recession * (22 + 52 * temples)
    left = 1 - ramp(-4, 4, z - front) * (y > 40) * min(style.recession * 20, 1)
    crown = np.sqrt(x**2 + (y - 100) ** 2 + (z + 38) ** 2)
    left *= ramp(86 * style.balding - 14, 86 * style.balding + 10, crown)
    forelock = ramp(0.3, 0.5, np.array([style.balding])) * ramp(25, 50, z) * (y > 40)
    left *= 1 - forelock * ramp(66, 52, np.abs(x))
    bare = 132 - 92 * style.balding
    return left * ramp(bare + 8, bare - 8, y + 0.35 * np.abs(x) - 0.12 * z)


def lengths_of(style: HairStyle, places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """How long the lock at each place of the scalp is, before it is cut at the hem."""
    _, y, z = places.T
    behind = ramp(10, -35, z)
    hanging = style.sides * (1 - behind) + style.back * behind
    above = np.where(behind > 0.5, y + 55, y - 10).clip(min=0)
    low = hanging + above * ramp(40, 90, np.maximum(style.sides, hanging))
    top = topness(places)
    front = ramp(62, 84, z) * ramp(35, 50, y)
    fringe = max(0.0, -style.sweep)
    wanted = low * (1 - top) + style.top * top
    return wanted * (1 - front * fringe) + np.minimum(wanted, 62.0) * front * fringe


def hem(style: HairStyle, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """The height at which hair is cut, all around the head."""
    behind = ramp(15, -45, points[:, 2])
    return (12 - style.sides) * (1 - behind) + (-48 - style.back) * behind


def brow_hem(
    points: Float[np.ndarray, "n 3"], luck: Float[np.ndarray, "n 6"]
) -> Float[np.ndarray, " n"]:
    """The height below which no hair is worn over the face; far below it elsewhere."""
    x, _, z = points.T
    face = (np.abs(x) < 50) & (z > 52)
    return np.where(face, 27 + 0.004 * x**2 + 2.5 * luck[:, 4], -1e3)


def bearded(style: HairStyle, places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """The share of beard and of moustache that a style keeps at each place."""
    x, y, z = places.T
    x = np.abs(x)
    lip = ramp(-64, -58, y) * ramp(34, 27, x) * (z > 70)
    chin = ramp(36, 26, x) * (z > 30)
    kept = np.maximum(chin, ramp(1 - style.cheeks, 1.02 - style.cheeks, ramp(95, 0, z - 10)))
    kept = kept * (1 - lip)
    return np.stack([kept * (style.beard > 0), lip * (style.moustache > 0)], 1)

"""Looks that a voice does not tell: skin, eyes, hair and three axes of the face.

All are drawn independently of each other and of the voice. Real populations correlate them; here
they do not, so that no voice can be read as an ancestry, and so that they serve as null targets.
"""

import numpy as np
from jaxtyping import Float

from .streams import stream

AXES = ("nose_bridge", "lip_fullness", "face_flatness")  # standard deviations, at most 2
APPEARANCE = ("melanin", "blood", "iris_melanin", "eumelanin", "pheomelanin", "grey")

# Individual typology angle (degrees) of a two-layer skin, by melanin depth and by blood share.
_MELANIN = np.array([0.03, 0.08, 0.15, 0.25, 0.40, 0.60, 0.85, 1.20])
_BLOOD = np.array([0.004, 0.008, 0.015])
_ANGLE = np.array(
    [
        [65, 59, 50, 36, 13, -13, -36, -57],
        [60, 54, 44, 29, 7, -18, -39, -59],
        [53, 46, 36, 21, -1, -24, -43, -61],
    ]
)


def draw_appearance(
    seed: int, age: Float[np.ndarray, " people"]
) -> tuple[Float[np.ndarray, "people 3"], Float[np.ndarray, "people 6"]]:
    """Null axes of the face and appearance (columns of AXES and APPEARANCE).

    Skin is drawn so that its typology angle is even between -55 and 60 degrees; only the grey
    share of the hair follows the age.
    """
    count = len(age)
    axes = np.clip(stream(seed, "null axes").standard_normal((count, len(AXES))), -2, 2)
    angle = stream(seed, "melanin").uniform(-55, 60, count)
    blood = 0.008 * np.exp(0.35 * stream(seed, "blood").standard_normal(count))
    iris = stream(seed, "iris").uniform(size=count)
    eumelanin = stream(seed, "eumelanin").uniform(size=count)
    pheomelanin = stream(seed, "pheomelanin").uniform(size=count) ** 2
    grey = 1 / (1 + np.exp(-(age - 50) / 8 - stream(seed, "grey").standard_normal(count)))
    looks = [melanin_of(angle, blood), blood, iris, eumelanin, pheomelanin, grey]
    return axes, np.stack(looks, axis=1)


def melanin_of(
    angle: Float[np.ndarray, " people"], blood: Float[np.ndarray, " people"]
) -> Float[np.ndarray, " people"]:
    """Melanin depth of skin with this typology angle (degrees) and blood share."""
    logs = np.stack([np.interp(angle, row[::-1], np.log(_MELANIN[::-1])) for row in _ANGLE])
    place = np.interp(np.log(blood), np.log(_BLOOD), np.arange(len(_BLOOD)))
    low = np.minimum(place.astype(int), len(_BLOOD) - 2)
    share = place - low
    rows = np.arange(len(angle))
    return np.exp((1 - share) * logs[low, rows] + share * logs[low + 1, rows])

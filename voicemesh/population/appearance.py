"""Looks that a voice does not tell: skin, eyes, hair and three axes of the face.

All but how hair is worn are drawn independently of each other and of the voice. Real populations
correlate them; here they do not, so that no voice can be read as an ancestry, and so that they
serve as null targets. Hair styles know of sex and age what everybody can see, and nothing else.
"""

import numpy as np
from jaxtyping import Float, Int

from .streams import stream

AXES = ("nose_bridge", "lip_fullness", "face_flatness")  # standard deviations, at most 2
APPEARANCE = ("melanin", "blood", "iris_melanin", "eumelanin", "pheomelanin", "grey")
# Hair as it is worn, in the order of `mesh.hair_styles.HairStyle`; never stored, always redrawn.
STYLES = (
    *("top", "sides", "back", "volume", "parting", "sweep", "curl", "recession", "balding"),
    *("beard", "cheeks", "moustache", "stubble", "brows"),
)

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


def styles(
    seed: int, mode: Int[np.ndarray, " people"], age: Float[np.ndarray, " people"]
) -> Float[np.ndarray, "people 14"]:
    """How everyone wears their hair (columns of STYLES), from streams of its own.

    Given the size mode and the age, nothing of it is tied to the voice. How long hair is worn
    goes with the mode by custom, not by nature, and the two distributions overlap: some women
    wear it short and some men long. Beards and receding hairlines are men's (mode 0) and come with
    age, by physiology; men's brows are a little thicker. Curls, parting, volume and fringe are
    drawn alike for all. Row i depends on person i alone.
    """
    count, men = len(mode), mode == 0
    luck = stream(seed, "hair style").uniform(size=(count, 20)).T
    normal = stream(seed, "hair normal").standard_normal((count, 8)).T
    curl = np.clip(luck[0] ** 2.2 * 1.1 - 0.05, 0, 1)
    # Length on one scale from a crop (0) over a bob (0.6) to far below the shoulders (1).
    long = np.where(men, luck[1] ** 2.8, 0.05 + 0.92 * luck[1] ** 0.8)
    long = np.where(men & (long > 0.35), 0.35 + 0.6 * (long - 0.35), long)
    short = long < 0.33
    sides = np.where(short, 2 + 36 * long, 45 + 190 * (long - 0.33)) * np.exp(0.15 * normal[0])
    back = np.where(short, 2 + sides * np.exp(0.12 * normal[1]), sides - 54 + 7 * normal[1])
    back = np.maximum(back, 2)
    top = np.where(short, 7 + 190 * long * np.exp(0.35 * normal[2]), 230 + 270 * long)
    top = np.where(curl > 0.55, np.minimum(top, 60 + 150 * long), top)
    volume = np.clip(0.36 + 0.2 * normal[3] + 0.2 * curl, 0.05, 1)
    parting = np.where(luck[2] < 0.25, 0.0, np.sign(luck[3] - 0.5) * (0.25 + 0.6 * luck[4]))
    sweep = np.where(luck[5] < 0.28, -0.55 - 0.45 * luck[6], luck[6] ** 1.5)
    years = np.clip((age - 22) / 50, 0, 1)
    recession = np.where(men, np.clip(1.5 * years * luck[7] + 0.2 * luck[8] - 0.15, 0, 1), 0.0)
    balding = np.where(men & (luck[9] < 0.15 + 0.5 * years), luck[10] ** 0.8 * (0.2 + years), 0.0)
    balding = np.clip(balding, 0, 1) * (age > 26)
    bare = balding > 0.35  # who balds keeps the rest short
    top, sides, back = (
        np.where(bare, np.minimum(length, most), length)
        for length, most in ((top, 24), (sides, 9), (back, 12))
    )
    wears = men & (luck[11] < 0.3 + 0.18 * years)
    beard = np.where(wears & (luck[12] < 0.85), 4 + 26 * luck[13] ** 2, 0.0)
    moustache = np.where(wears, 4.5 + 3.5 * luck[14], 0.0)
    cheeks = np.where(luck[15] < 0.25, 0.0, 0.55 + 0.45 * luck[16])
    stubble = np.where(men, 0.12 + 0.6 * luck[17] ** 2, 0.0)
    brows = np.clip(np.exp(0.22 * normal[4]) * np.where(men, 1.12, 0.88), 0.5, 1.6)
    columns = [top, sides, back, volume, parting, sweep, curl, recession, balding]
    return np.stack([*columns, beard, cheeks, moustache, stubble, brows], axis=1)


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

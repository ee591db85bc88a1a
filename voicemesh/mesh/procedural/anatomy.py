"""What a head is made of: named traits in millimetres, and the field and places they imply."""

from collections.abc import Mapping
from dataclasses import dataclass

from .field import Field

# name: (large mode, small mode, deviation inside one mode). The first block is corrected until the
# lengths measured on the mesh are the lengths asked for, so its values are only starting points.
TRAITS = {
    "head_circumference": (3.71, 3.58, 0.25),  # exponent of the skull's horizontal section
    "head_length": (193.96, 183.67, 7.3),
    "head_breadth": (154.49, 148.16, 5.8),
    "min_frontal_breadth": (102.31, 103.28, 5.5),
    "bizygomatic": (146.48, 135.87, 6.7),
    "bigonial": (113.23, 105.95, 9.0),
    "subnasale_sellion": (-43.58, -38.75, 3.8),  # height of the subnasale
    "subnasale_menton": (116.86, 106.93, 5.0),  # menton below the pupils
    "interpupillary": (63.82, 61.22, 3.5),
    "nose_breadth": (35.04, 31.44, 3.0),
    "nose_protrusion": (18.05, 15.42, 2.5),
    "lip_length": (52.55, 49.49, 4.0),
    "chin_height": (31.38, 27.34, 2.8),
    "upper_vermilion": (8.47, 9.12, 1.3),
    "ear_length": (61.42, 57.07, 3.9),
    "palpebral_length": (30.18, 29.63, 1.5),
    "neck_circumference": (60.92, 50.32, 4.5),  # radius
    "vault": (117.0, 112.0, 4.5),  # vertex above the pupils
    "gonion": (-74.0, -67.0, 3.5),
    "eye_opening": (10.2, 11.3, 0.8),
    "eye_tilt": (2.0, 4.0, 1.6),  # degrees
    "lid_crease": (5.2, 6.0, 1.0),
    "eye_depth": (0.8, -0.8, 1.2),
    "brow_height": (16.5, 19.5, 1.6),
    "brow_ridge": (3.4, 0.2, 1.0),
    "nose_tilt": (0.0, 2.5, 2.0),
    "bridge_width": (1.0, 0.9, 0.08),
    "bridge_height": (0.0, -1.0, 1.2),
    "tip_width": (1.0, 0.92, 0.07),
    "lower_vermilion": (8.9, 9.9, 1.2),
    "lip_fullness": (0.0, 0.5, 1.0),
    "stomion": (0.0, 0.0, 1.0),
    "chin_width": (1.14, 0.92, 0.09),
    "chin_protrusion": (1.0, -1.0, 2.0),
    "cheek_fat": (0.0, 0.2, 0.8),
    "cheekbone": (0.0, 0.3, 0.8),
    "flatness": (0.0, 0.0, 1.0),
    "forehead": (0.0, 1.2, 1.6),
    "fat": (0.0, 0.0, 0.9),
    "age": (38.0, 38.0, 14.0),
}
SUBNASALE_Z = 103.0
GLOBE = 12.2  # radius of the eyeball
Traits = Mapping[str, float]


@dataclass(frozen=True)
class Places:
    """Where the parts of one head lie."""

    eye_x: float
    eye_z: float
    subnasale: float
    stomion: float
    sublabiale: float
    menton: float
    tip_y: float
    tip_z: float
    alar: float  # half the breadth of the nose
    glabella_z: float
    brow: float
    zygion: float
    gonion_x: float
    gonion_y: float
    vertex: float
    chin_z: float
    neck: float  # height of the plane where the neck ends


def average(large: float = 0.5) -> dict[str, float]:
    """Mean traits between the small (0) and the large (1) size mode."""
    return {name: a * large + b * (1 - large) for name, (a, b, _) in TRAITS.items()}


def places(t: Traits) -> Places:
    """Where the parts lie, from the traits."""
    menton, subnasale = -t["subnasale_menton"], t["subnasale_sellion"]
    sublabiale = menton + t["chin_height"]
    stomion = sublabiale + 0.46 * (subnasale - sublabiale) + t["stomion"]
    return Places(
        eye_x=t["interpupillary"] / 2,
        eye_z=68.5 - 0.8 * t["eye_depth"] + 0.8 * t["flatness"],
        subnasale=subnasale,
        stomion=stomion,
        sublabiale=sublabiale,
        menton=menton,
        tip_y=subnasale + 1.5 + 0.42 * t["nose_protrusion"] + 0.5 * t["nose_tilt"],
        tip_z=SUBNASALE_Z + t["nose_protrusion"],
        alar=t["nose_breadth"] / 2,
        glabella_z=t["head_length"] / 2 - 2,
        brow=t["brow_height"],
        zygion=t["bizygomatic"] / 2,
        gonion_x=t["bigonial"] / 2,
        gonion_y=t["gonion"],
        vertex=t["vault"],
        chin_z=77.5 + t["chin_protrusion"],
        neck=menton - 34.0,
    )


def build(t: Traits) -> Field:
    """The field of one head."""
    f, at = Field(), places(t)
    _skull(f, t, at)
    _jaw_and_cheeks(f, t, at)
    _orbits(f, t, at)
    _nose(f, t, at)
    _neck(f, t, at)
    _dents(f, t, at)
    return f


def _skull(f: Field, t: Traits, at: Places) -> None:
    half, front = t["head_breadth"] / 2, t["min_frontal_breadth"] / 2
    radii = (half, 76.0, t["head_length"] / 2 - 0.5)
    exponent = max(t["head_circumference"], 2.05)
    narrowing = min(0.5, 0.08 - 0.04 * (t["min_frontal_breadth"] - 105))
    f.ellipsoid((0, at.vertex - 76, -3), radii, 10, exponent=exponent, narrowing=narrowing)
    bulge = 45 + 0.6 * t["forehead"]
    f.ellipsoid((0, 40 + 0.5 * (at.vertex - 114), 46), (front, 44, bulge), 26)


def _jaw_and_cheeks(f: Field, t: Traits, at: Places) -> None:
    zygion, gonion, menton, flat = at.zygion, at.gonion_x, at.menton, t["flatness"]
    f.ellipsoid((0, 75 + menton, 34), (zygion - 11, 0.66 * -menton, 56), 24)
    forward = 1.2 * (t["cheekbone"] + 0.9 * flat)
    f.capsule((zygion - 28, -22, 62 + forward), (zygion - 17, -15, 36), (14, 10.5), 30)
    f.capsule((zygion - 17, -14, 34), (zygion - 24, -8, 2), (10.5, 12), 30)
    chin = 11 * t["chin_width"]
    jaw_end = (chin, menton + 13, at.chin_z - 4)
    f.capsule((gonion - 12, at.gonion_y + 2, 16), jaw_end, (9, 10.5), 26)
    f.capsule((gonion - 12, at.gonion_y + 4, 14), (zygion - 17, -8, 4), (9, 10), 28)
    f.ellipsoid((0, menton + 17, at.chin_z), (17.5 * t["chin_width"], 14, 16), 25)
    f.ellipsoid((0.6 * chin, menton + 15.5, at.chin_z + 3.5), (8.5, 8.5, 11), 16)
    full = t["cheek_fat"]
    cheek = (20 + 2.4 * full, 30, 29 + 2.4 * full + 0.8 * flat)
    f.ellipsoid((zygion - 37, -44 + 0.5 * (menton + 103), 57), cheek, 30, (0, 22, 8))
    jowl = 14 + 2.6 * t["fat"] + 1.2 * full
    f.ellipsoid((gonion - 20, at.gonion_y + 20, 28), (jowl, 30, 30), 30)
    f.ellipsoid((0, at.stomion + 6, 66.5 + 0.6 * t["lip_fullness"]), (28, 28, 35), 28)
    f.ellipsoid((15, at.subnasale + 5, 74), (17, 22, 21), 20)
    fat = 2 * t["fat"]
    f.ellipsoid((0, menton + 24 - fat, 38), (34 + fat, 19 + fat, 34), 24)


def _orbits(f: Field, t: Traits, at: Places) -> None:
    ridge, x, z = t["brow_ridge"], at.eye_x, at.eye_z
    start = (9, at.brow - 2, at.glabella_z - 12 + 0.7 * ridge - 0.6 * t["flatness"])
    end = (t["min_frontal_breadth"] / 2 - 9, at.brow - 1, at.glabella_z - 34 + 0.4 * ridge)
    f.capsule(start, end, (9 + 0.3 * ridge, 7.5), 20)
    f.ellipsoid((x + 1, -1, z + 22), (18, 12, 14.5), 15, (0, 20, -4), carve=True)
    f.ellipsoid((x, 0, z), (13.6, 13.4, 13.6), 9)
    half = t["palpebral_length"] / 2
    f.capsule((x - half - 3, -2, z + 5.2), (x - 10, -1, z + 4), (4, 4.5), 9)
    f.capsule((x + 7, 0.5, z + 3.5), (x + half + 2, 0, z - 7.5), (5, 6.0), 16)


def _nose(f: Field, t: Traits, at: Places) -> None:
    wide, z, size = t["bridge_width"], SUBNASALE_Z, 0.6 + 0.022 * t["nose_protrusion"]
    tip = t["tip_width"] * size  # a short nose has a small tip
    y, base = at.tip_y, at.subnasale
    rise = t["bridge_height"] - 0.8 * t["flatness"]
    root, top = at.glabella_z - 2.5 + rise, at.tip_z
    f.capsule((0, 18, at.glabella_z - 9.5), (0, -8, root), (8 * wide, 7 * wide), 18)
    f.capsule((0, -8, root), (0, y + 4, top - 10.5 * size), (7 * wide, 7 * tip), 12)
    f.capsule((3.5 * wide, -4, root - 10.5), (5.2, y + 5, z - 9), (7 * wide, 8), 18)
    f.ellipsoid((0, y, top - 8.2 * tip), (7.2 * tip, 6.7 * tip, 8.2 * size), 7)
    f.ellipsoid((3.2 * tip, y - 0.5, top - 7.2 * tip), (4.2 * tip, 4.5 * tip, 5.6 * size), 6)
    alar = at.alar
    f.ellipsoid((alar - 6.2, base + 6.3, z - 2.8), (6.5, 6.6, 9.6), 4.8, (0, 24, -10))
    f.ellipsoid((alar - 9.5, base + 5.8, z + 4.5), (5, 5.4, 8), 6, (0, 20, 0))
    f.capsule((0, base + 3, z - 2.5), (0, y - 4.2 * size, top - 6.7 * size), (4, 3.4 * size), 5)
    nostril = (alar - 10.2, base + 0.6, z + 2.6)
    f.ellipsoid(nostril, (3.3, 4, 6), 3.2, (8, -20, 0), carve=True)


def _neck(f: Field, t: Traits, at: Places) -> None:
    radius = t["neck_circumference"]
    f.capsule((0, -210, -14), (0, -60, -16), (radius, 0.94 * radius), 22)
    f.capsule((0, -195, 8), (0, -100, 8), (0.78 * radius, 0.74 * radius), 24)


def _dents(f: Field, t: Traits, at: Places) -> None:
    x, half, groove = at.eye_x, t["lip_length"] / 2, 0.5 * (at.subnasale + at.stomion)
    groove += 0.5 * t["upper_vermilion"]
    f.bump(0, at.brow - 2, 9, 7, 0, 0.6 + 0.3 * t["brow_ridge"])
    f.bump(x - 12, -17, 9, 4.5, -38, -1.1)  # tear trough
    f.bump(0, at.sublabiale, 13, 4.4, 0, -2.5)
    f.bump(0, groove, 2.6, 7, 0, -1.0)  # philtrum, then its columns
    f.bump(4.6, groove, 1.7, 7, -6, 0.7)
    f.bump(half + 4.5, at.stomion - 1.5, 4.5, 5.5, 0, -1.6)  # corner of the mouth
    f.bump(25, at.subnasale - 4, 3, 15, 32, -0.9)  # nasolabial
    f.bump(56, 30, 9, 22, 0, -1.6)  # temple
    f.bump(0, 48, 30, 16, 0, 0.4 * t["forehead"])

"""Crisp features as displacements of the skin: lips, lids, alar grooves, folds of age."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from . import chart as ch
from .anatomy import Places, Traits
from .template import Template, neutral


@dataclass(frozen=True, eq=False)
class Canon:
    """Every skin vertex in the neutral head's own terms; `aside` is |x|, lengths in mm."""

    at: Places
    traits: dict[str, float]
    aside: Float[np.ndarray, " s"]
    y: Float[np.ndarray, " s"]
    z: Float[np.ndarray, " s"]
    front: Float[np.ndarray, " s"]  # 0 at the ears, 1 on the face
    mouth_s: Float[np.ndarray, " s"]  # 1 at the corner
    mouth_t: Float[np.ndarray, " s"]  # mm above the seam
    upper: Bool[np.ndarray, " s"]  # belongs to the upper lip's side
    vermilion: Float[np.ndarray, " s"]  # 0 on the seam, 1 on the border
    lid_x: Float[np.ndarray, " s"]  # -1 at the inner corner, 1 at the outer
    above_lid: Float[np.ndarray, " s"]  # mm above the upper margin
    below_lid: Float[np.ndarray, " s"]
    lid_distance: Float[np.ndarray, " s"]

    def spot(self, x: float, y: float, wide: float, high: float) -> Float[np.ndarray, " s"]:
        """A Gaussian on the face, on both sides, seen from the front."""
        u, v = (self.aside - x) / wide, (self.y - y) / high
        return np.exp(-0.5 * (u * u + v * v)) * ch.smooth(0, 30, self.z)


def canon(template: Template) -> Canon:
    """The neutral head's coordinates of all skin vertices."""
    traits, _, at = neutral()
    x, y, z = template.skin.T
    s = np.abs(x) / (traits["lip_length"] / 2)
    t = y - at.stomion - ch.seam(np.clip(s, 0, 1))
    upper = t > 0
    upper[template.lips[0]] = True
    upper[template.lips[1][1:-1]] = False
    high = np.maximum(traits["upper_vermilion"] * ch.upper_lip(s), 0.9)
    low = np.maximum(traits["lower_vermilion"] * ch.lower_lip(s), 0.9)
    upper_lid, lower_lid = ch.lids(traits, 161)
    lid_x = np.abs(x) - at.eye_x
    loop = np.concatenate([upper_lid, lower_lid[::-1][1:-1]])
    near = cKDTree(ch.resample(loop, 0.1, closed=True))
    return Canon(
        at=at,
        traits=traits,
        aside=np.abs(x),
        y=y,
        z=z,
        front=ch.smooth(5, 40, z),
        mouth_s=s,
        mouth_t=t,
        upper=upper,
        vermilion=np.maximum(np.where(upper, t / high, -t / low), 0),
        lid_x=lid_x / (traits["palpebral_length"] / 2),
        above_lid=y - np.interp(lid_x, upper_lid[:, 0], upper_lid[:, 1]),
        below_lid=np.interp(lid_x, lower_lid[:, 0], lower_lid[:, 1]) - y,
        lid_distance=near.query(np.stack([lid_x, y], 1))[0] + 50 * (z < 30),
    )


def _profile(
    x: Float[np.ndarray, " s"], at: tuple[float, ...], height: tuple[float, ...]
) -> Float[np.ndarray, " s"]:
    return PchipInterpolator(at, height)(np.clip(x, at[0], at[-1]))


def lips(c: Canon, traits: Traits, normals: Float[np.ndarray, "s 3"]) -> Float[np.ndarray, "s 3"]:
    """Displacement that turns the bare muzzle into lips."""
    s, x, front = c.mouth_s, c.vermilion, c.front * (c.z > 50)
    upper = _profile(
        x,
        (0, 0.10, 0.3, 0.6, 0.88, 1.02, 1.35, 1.9, 9),
        (-1.6, 0.55, 1.9, 2.0, 1.45, 1.15, 0.25, 0, 0),
    )
    lower = _profile(
        x,
        (0, 0.08, 0.28, 0.55, 0.85, 1.0, 1.3, 1.8, 9),
        (-1.8, 0.6, 2.6, 3.1, 1.9, 1.0, 0.05, 0, 0),
    )
    fade, corner = ch.smooth(1.02, 0.72, s), ch.smooth(1.25, 0.95, s)
    upper = upper * (0.55 + 0.45 * traits["upper_vermilion"] / c.traits["upper_vermilion"])
    lower = lower * (0.5 + 0.5 * traits["lower_vermilion"] / c.traits["lower_vermilion"])
    rise = np.where(c.upper, upper, lower) * fade
    groove = -1.7 * np.exp(-(c.mouth_t**2)) * (corner - fade) * (s < 1.03)
    outward = ch.unit(0.6 * normals + [0, 0, 0.4])
    pout = 0.55 * traits["lip_fullness"] * fade * np.exp(-((np.minimum(x, 3) / 1.2) ** 2))
    return outward * ((rise + groove) * front)[:, None] + [0, 0, 1] * (pout * front)[:, None]


def lids_and_nose(c: Canon) -> Float[np.ndarray, " s"]:
    """Rise along the normal: the crease and fold of the lids, the groove around the alae."""
    lateral, face = np.exp(-(np.abs(c.lid_x / 1.12) ** 4)), c.z > 30
    crease = c.traits["lid_crease"] * (0.8 - 0.12 * c.lid_x)
    above, below = c.above_lid, c.below_lid
    fold = -1.35 * np.exp(-(((above - crease) / 1.1) ** 2))
    fold = fold + 1.5 * np.exp(-(((above - crease - 3) / 2.4) ** 2))
    roll = 0.55 * np.exp(-(((below - 2) / 1.6) ** 2)) - 0.7 * np.exp(-(((below - 6.2) / 2) ** 2))
    rise = lateral * face * np.where(above > 0, fold, 0)
    rise = rise + lateral * face * np.where(below > 0, roll, 0)
    dx, dy = c.aside - (c.at.alar - 7.2), c.y - (c.at.subnasale + 6)
    r, turn = np.hypot(dx, dy / 1.05), np.degrees(np.arctan2(dy, dx))
    arc = ch.smooth(-35, 0, turn) * ch.smooth(175, 120, turn) * c.front
    wing = 0.6 * np.exp(-(((r - 4.5) / 2.8) ** 2)) - 1.15 * np.exp(-(((r - 8.4) / 1.2) ** 2))
    return rise + wing * arc


def _fold(
    c: Canon, path: list[tuple[float, float]], aside: float
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
    """A crease along a path seen from the front, and a bulge lateral to it, both 1 mm."""
    points = np.array(path, float)
    steps = np.linspace(0, len(points) - 1, 160)
    line = PchipInterpolator(np.arange(len(points)), points)(steps)
    distance, nearest = cKDTree(line).query(np.stack([c.aside, c.y], 1))
    along = np.gradient(line, axis=0)[nearest]
    to = np.stack([c.aside, c.y], 1) - line[nearest]
    signed = distance * np.sign(-to[:, 0] * along[:, 1] + to[:, 1] * along[:, 0])
    share = nearest / 159
    inside = ch.smooth(0, 0.22, share) * ch.smooth(1.0, 0.62, share) * (distance < 16) * c.front
    bulge = np.exp(-(((signed - aside) / (0.7 * aside)) ** 2))
    return -np.exp(-((distance / 1.6) ** 2)) * inside, bulge * inside


@dataclass(frozen=True, eq=False)
class Folds:
    """What the years do to the skin, as rises of 1 mm along the normal."""

    nasolabial: Float[np.ndarray, " s"]
    others: Float[np.ndarray, " s"]  # at the mouth's corners, under and over the eyes, jowls
    hollow: Float[np.ndarray, " s"]  # cheeks and temples of the lean

    @classmethod
    def of(cls, c: Canon) -> "Folds":
        """Those of a template."""
        at, half = c.at, c.traits["lip_length"] / 2
        path = [(at.alar + 1, at.subnasale + 9), (at.alar + 6, at.subnasale + 1)]
        path += [(half + 1.5, at.stomion + 11), (half + 6, at.stomion - 1)]
        nasolabial = sum(_fold(c, [*path, (half + 6, at.stomion - 12)], 5.0))
        path = [(half + 1, -2), (half + 3, -9), (half + 3, -18), (half + 2, -26)]
        crease, bulge = _fold(c, [(x, at.stomion + y) for x, y in path], 4.5)
        others = 1.3 * crease + 1.2 * bulge
        lateral, below, above = ch.smooth(1.25, 0.75, np.abs(c.lid_x)), c.below_lid, c.above_lid
        bag = 1.1 * np.exp(-(((below - 6.5) / 2.6) ** 2))
        bag = bag - 1.3 * np.exp(-(((below - 11) / 1.8) ** 2))
        others = others + lateral * c.front * bag * (below > 0)
        hood = ch.smooth(-0.3, 0.7, c.lid_x) * ch.smooth(1.6, 1.1, c.lid_x) * (above > 0)
        others = others + 1.3 * c.front * hood * np.exp(-(((above - 6) / 3) ** 2))
        jowl = 2.6 * c.spot(38, at.menton + 24, 9, 9) + 0.8 * c.spot(0, at.menton + 4, 20, 8)
        hollow = -2.6 * c.spot(44, -50, 11, 15) - 1.8 * c.spot(58, 28, 9, 18)
        return cls(nasolabial, others + jowl, hollow)

    def rise(self, traits: Traits) -> Float[np.ndarray, " s"]:
        """Those of one person; a young face has a faint fold beside the nose."""
        age = float(np.clip((traits["age"] - 30) / 42, 0, 1.2))
        lean = max(0.0, 1 - 0.6 * max(traits["fat"], 0) - 0.4 * max(traits["cheek_fat"], 0))
        return (0.2 + 1.7 * age) * self.nasolabial + age * (self.others + lean * self.hollow)

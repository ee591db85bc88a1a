"""Named vertices: the 68 landmarks and the polylines whose lengths are measured."""

import numpy as np
from jaxtyping import Int
from scipy.spatial import cKDTree

from voicemesh.mesh.landmarks import (
    LEFT_CHEILION,
    LEFT_INNER_CANTHUS,
    LEFT_OUTER_CANTHUS,
    LENGTH_LABELS,
    LENGTHS,
    RATIO_LABELS,
    RATIO_LENGTHS,
    RIGHT_CHEILION,
    RIGHT_OUTER_CANTHUS,
    SELLION,
    SUBNASALE,
)
from voicemesh.mesh.morphable import Measure

from . import chart as ch
from .anatomy import SUBNASALE_Z
from .controls import TEMPLE
from .heads import Grower
from .template import neutral

UPPER_LIP, UPPER_SEAM = 51, 62  # landmarks on the midline
MIRRORED = [(k, 16 - k) for k in range(8)] + [(17 + k, 26 - k) for k in range(5)]
MIRRORED += [(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
MIRRORED += [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)]


class Finder:
    """Vertices of the neutral skin by their place; the lower seam is found by name only."""

    def __init__(self, grower: Grower) -> None:
        self.traits, self.head, self.at = neutral()
        self.skin, self.mirror = grower.template.skin, grower.mirror
        self.rows = np.setdiff1d(np.arange(grower.skin), grower.template.lips[1][1:-1])
        self.tree = cKDTree(self.skin[self.rows])

    def near(self, *point: float) -> int:
        """The vertex nearest to (x, y, z)."""
        return int(self.rows[self.tree.query(np.array(point, float))[1]])

    def front(self, x: float, y: float) -> int:
        """The vertex nearest to what is seen at (x, y) from the front."""
        return self.near(*self.head.front(np.array([[x, y]], float))[0])

    def widest(self, within: float, low: float, high: float, back: float, front: float) -> int:
        """The vertex of the left half furthest from the midline, inside a box."""
        x, y, z = self.skin.T
        inside = (x < within) & (y > low) & (y < high) & (z > back) & (z < front)
        return int(np.argmax(np.where(inside, x, 0)))

    def outermost(self, low: float, high: float, up: float, ahead: float) -> int:
        """The vertex of the midline, between two heights, furthest out in a direction."""
        x, y, z = self.skin.T
        inside = (x == 0) & (y > low) & (y < high) & (z > 66)
        return int(np.argmax(np.where(inside, up * y + ahead * z, -1e9)))

    def both(self, vertex: int) -> tuple[int, int]:
        """A vertex of the left half with its mirror image before it."""
        return int(self.mirror[vertex]), vertex


def landmarks(g: Grower) -> Int[np.ndarray, "68"]:
    """The 68 points in iBUG order, the subject's right first."""
    find = Finder(g)
    at, traits, t = find.at, find.traits, g.template
    half = traits["lip_length"] / 2
    jaw = [(0, at.menton + 2, at.chin_z + 12), (17, at.menton + 4, 84), (32, at.menton + 13, 68)]
    jaw += [(44, at.menton + 25, 50), (at.gonion_x - 1, at.gonion_y - 3, 30)]
    jaw += [(at.zygion - 10, -52, 24), (at.zygion - 6, -35, 20), (at.zygion - 3, -17, 18)]
    jaw += [(at.zygion - 1, 2, 16)]
    found = {8 + k: find.near(*point) for k, point in enumerate(jaw)}
    brow = [(12.5, 1.0), (21, 3.4), (31, 5.0), (42, 4.0), (51, 0.0)]
    found |= {22 + k: find.front(x, at.brow + y) for k, (x, y) in enumerate(brow)}
    found |= {27 + k: find.front(0, y) for k, y in enumerate((8, -6, -20, at.tip_y))}
    found[33] = find.near(0, at.subnasale, SUBNASALE_Z)
    found[34] = find.near(0.45 * at.alar, at.subnasale + 1, SUBNASALE_Z)
    found[35] = find.front(at.alar - 2, at.subnasale + 3)
    upper, lower = ch.lids(traits, 81)
    margin = cKDTree(t.skin[t.lids[0]][:, :2])
    eye = {42: upper[0], 43: upper[28], 44: upper[53], 45: upper[80], 46: lower[53], 47: lower[28]}
    found |= {
        k: int(t.lids[0][margin.query(p + np.array([at.eye_x, 0]))[1]]) for k, p in eye.items()
    }
    high, low = traits["upper_vermilion"], traits["lower_vermilion"]
    for k, s, h in (
        *((51, 0.0, high), (52, 0.26, high), (53, 0.66, high)),
        *((55, 0.66, -low), (56, 0.3, -low), (57, 0.0, -low)),
    ):
        share = (ch.upper_lip if h > 0 else ch.lower_lip)(np.array([s]))[0]
        found[k] = find.front(s * half, at.stomion + float(ch.seam(np.array([s]))[0] + h * share))
    for k, line, s in ((62, 0, 0), (63, 0, 0.35), (64, 0, 0.93), (66, 1, 0), (65, 1, 0.35)):
        ids = t.lips[line]
        found[k] = int(ids[np.argmin(np.abs(t.skin[ids, 0] - s * half))])
    found[54] = int(t.lips[0][-1])
    found |= {a: int(g.mirror[found[b]]) for a, b in MIRRORED}
    return np.array([found[k] for k in range(68)])


def measures(g: Grower) -> dict[str, Measure]:
    """The law's eighteen lengths and the five of the published ratios, as polylines."""
    find, points = Finder(g), landmarks(g).tolist()
    at, ear = find.at, g.ear_points[:, 1]
    head, neck = (g.template.rings[name].tolist() for name in ("head", "neck"))
    menton = find.outermost(at.menton - 4, at.menton + 15, -0.88, 0.47)
    tip = find.outermost(at.subnasale, 0, 0, 1)
    alar = find.widest(at.alar + 1.5, at.subnasale, at.subnasale + 11, 85, 130)
    sellion, subnasale = points[SELLION], points[SUBNASALE]
    lengths = {
        "head_circumference": tuple(head),
        "head_length": (find.front(0, at.brow), head[len(head) // 2]),
        "head_breadth": find.both(find.widest(99, 20, 60, -60, 40)),
        "min_frontal_breadth": find.both(find.near(*find.head.around(*TEMPLE)[0])),
        "bizygomatic": find.both(find.near(at.zygion, -12, 28)),
        "bigonial": find.both(find.near(at.gonion_x, at.gonion_y, 14)),
        "menton_sellion": (menton, sellion),
        "subnasale_sellion": (subnasale, sellion),
        "subnasale_menton": (subnasale, menton),
        "interpupillary": (int(g.eyes[1][0]), int(g.eyes[0][0])),
        "nose_breadth": find.both(alar),
        "nose_protrusion": (subnasale, tip),
        "lip_length": (points[RIGHT_CHEILION], points[LEFT_CHEILION]),
        "chin_height": (find.front(0, at.sublabiale), menton),
        "upper_vermilion": (points[UPPER_LIP], points[UPPER_SEAM]),
        "ear_length": (int(g.ears[0][np.argmax(ear)]), int(g.ears[0][np.argmin(ear)])),
        "palpebral_length": (points[LEFT_INNER_CANTHUS], points[LEFT_OUTER_CANTHUS]),
        "neck_circumference": tuple(neck),
        "oicd": (points[RIGHT_OUTER_CANTHUS], points[LEFT_OUTER_CANTHUS]),
        # Where the published pairs lie on the mean Basel face, seen from its pupils.
        "fore": find.both(find.front(54, 13)),
        "cheek": find.both(find.front(47.5, -63)),
        "ear": find.both(find.near(66.5, -49.5, 9)),
        "mid": find.both(find.front(52, -27)),
    }
    labels, closed = LENGTH_LABELS | RATIO_LABELS, ("head_circumference", "neck_circumference")
    return {
        name: Measure(lengths[name], name in closed, labels[name])
        for name in (*LENGTHS, *RATIO_LENGTHS)
    }

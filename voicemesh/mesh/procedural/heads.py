"""One head: traits to the vertices of the whole mesh (skin, lid and mouth rows, eyes, ears)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.interpolate import RBFInterpolator

from . import chart as ch
from . import ears, eyes, features
from .anatomy import GLOBE, SUBNASALE_Z, Places, Traits, build, places
from .controls import controls
from .field import Field
from .template import POINTS, Template, grow_template

LID_ROWS = ((0.965, 0.25), (0.90, -0.15), (0.76, -1.4))  # share of the opening, mm over the globe
MOUTH_ROWS = ((0.25, -1.2), (0.9, -3.0), (2.5, -6.0), (5.0, -12.0), (10.0, -26.0))  # mm away, back
LID_THICKNESS = 0.95
ANCHORS = 290 * np.stack(
    [f(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for f in (np.cos, np.sin)], 1
)


def _rows(lines: list[Int[np.ndarray, " n"]], closed: bool, flip: bool) -> Int[np.ndarray, "t 3"]:
    """Triangles between neighbouring lines of vertices."""
    triangles = []
    for a, b in pairwise(lines):
        right, below = (np.roll(x, -1) if closed else x[1:] for x in (a, b))
        a, b = (a, b) if closed else (a[:-1], b[:-1])
        triangles += [np.stack([a, right, below], 1), np.stack([a, below, b], 1)]
    rows = np.concatenate(triangles)
    return rows[:, ::-1] if flip else rows


def normals(
    points: Float[np.ndarray, "n 3"], triangles: Int[np.ndarray, "t 3"]
) -> Float[np.ndarray, "n 3"]:
    """Area-weighted unit normals."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    total = [
        np.bincount(triangles.ravel(), np.repeat(faces[:, k], 3), len(points)) for k in range(3)
    ]
    return ch.unit(np.stack(total, 1))


@dataclass(eq=False)
class Grower:
    """The whole mesh's topology, and the way from traits to its vertices."""

    template: Template
    canon: features.Canon
    triangles: Int[np.ndarray, "t 3"]
    lid_rows: list[list[Int[np.ndarray, " l"]]]
    mouth_rows: list[list[Int[np.ndarray, " m"]]]
    eyes: list[Int[np.ndarray, " e"]]  # left, right
    ears: list[Int[np.ndarray, " a"]]
    mirror: Int[np.ndarray, " v"]

    def __post_init__(self) -> None:
        t = self.template
        self.skin = len(t.skin)
        self.neutral_controls = controls(self.canon.traits)
        self.left = np.nonzero(t.skin[:, 0] >= 0)[0]
        self.relief = features.lids_and_nose(self.canon)
        self.folds = features.Folds.of(self.canon)
        self.eye_points, _, self.eye_angle = eyes.eyeball()
        self.ear_points, _, self.ear_red, self.ear_depth = ears.ear()
        self.smoothing, self.softness = _smoothing(t, self.canon)
        self.nose_floor = _nose_floor(t, self.canon)

    def vertices(self, traits: Traits) -> Float[np.ndarray, "v 3"]:
        """All vertices of one head, mm."""
        head, at = build(traits), places(traits)
        skin = self._lift(head, traits)
        skin = self._detail(skin, traits, at)
        skin = self._level_neck(skin, head, at)
        out = np.zeros((len(self.mirror), 3))
        out[: self.skin] = skin
        self._add_rows(out, at)
        side = self._ear_side(head)
        ear = ears.place(self.ear_points, traits["ear_length"], side)
        eye = self.eye_points + np.array([at.eye_x, 0, at.eye_z])
        for hand, x in enumerate(([1, 1, 1], [-1, 1, 1])):
            out[self.eyes[hand]], out[self.ears[hand]] = eye * x, ear * x
        return out

    def _lift(self, head: Field, traits: Traits) -> Float[np.ndarray, "s 3"]:
        """Warp the chart so that places meet their like, and cast the left half."""
        t, target = self.template, controls(traits)
        source = np.concatenate([self.neutral_controls, ANCHORS])
        shift = np.concatenate([target - self.neutral_controls, 0 * ANCHORS])
        warp = RBFInterpolator(source, shift, kernel="thin_plate_spline", smoothing=0.5)
        chart = t.chart[self.left] + warp(t.chart[self.left])
        chart[t.skin[self.left, 0] == 0, 0] = 0.0
        directions = ch.from_chart(chart)
        origins = np.broadcast_to(ch.POLE, directions.shape)
        reach = head.cast(origins, directions, t.reach[self.left])
        left = ch.POLE + directions * reach[:, None]
        skin = np.zeros((self.skin, 3))
        skin[t.mirror[self.left]] = left * [-1, 1, 1]
        skin[self.left] = left
        return skin

    def _detail(
        self, skin: Float[np.ndarray, "s 3"], traits: Traits, at: Places
    ) -> Float[np.ndarray, "s 3"]:
        rim = self.template.triangles
        for _ in range(25):
            skin = skin + (self.smoothing @ skin - skin) * self.nose_floor[:, None]
        along = normals(skin, rim)
        skin = skin + features.lips(self.canon, traits, along) + along * self.relief[:, None]
        for _ in range(12):
            skin = skin + (self.smoothing @ skin - skin) * self.softness[:, None]
        skin = skin + normals(skin, rim) * self.folds.rise(traits)[:, None]
        near = self.canon.lid_distance < 9
        for hand in (1, -1):
            rows = np.nonzero(near & (np.sign(self.template.skin[:, 0]) == hand))[0]
            centre = np.array([hand * at.eye_x, 0, at.eye_z])
            out = skin[rows] - centre
            reach = np.linalg.norm(out, axis=1, keepdims=True)
            skin[rows] = centre + out * np.maximum(reach, GLOBE + LID_THICKNESS) / reach
        return skin

    def _level_neck(
        self, skin: Float[np.ndarray, "s 3"], head: Field, at: Places
    ) -> Float[np.ndarray, "s 3"]:
        """End the neck in a clean plane."""
        end = self.template.rings["end"]
        axis = np.array([0.0, at.neck, -8.0])
        turn = np.arctan2(skin[end, 0], skin[end, 2] - axis[2])
        skin[end] = head.around(at.neck, turn)
        return skin

    def _add_rows(self, out: Float[np.ndarray, "v 3"], at: Places) -> None:
        """Lid edges that dive under the eyeball; the inside of the lips."""
        for hand, x in enumerate((1, -1)):
            centre = np.array([x * at.eye_x, 0, at.eye_z])
            margin = out[self.template.lids[hand]] - centre
            middle = margin.mean(0) * [1, 1, 0]
            for k, (share, over) in enumerate(LID_ROWS):
                xy = middle + (margin - middle) * [share, share, 1]
                globe = np.sqrt(np.maximum(GLOBE**2 - (xy[:, :2] ** 2).sum(1), 4)) + over
                w = (k + 1) / len(LID_ROWS)
                z = margin[:, 2] * (1 - w) + globe * w
                xy[:, 2] = np.minimum(z, margin[:, 2] - 0.15 * (k + 1))
                out[self.lid_rows[hand][k]] = centre + xy
        for line, rows, up in zip(self.template.lips, self.mouth_rows, (1, -1), strict=True):
            for row, (away, back) in zip(rows, MOUTH_ROWS, strict=True):
                out[row] = out[line] + [0, up * away, back]

    def _ear_side(self, head: Field) -> float:
        return float(head.cast(np.array([[0, -10.0, -14]]), np.array([[1.0, 0, 0]]), 200.0)[0])


def _smoothing(t: Template, c: features.Canon) -> tuple[sp.csr_matrix, Float[np.ndarray, " s"]]:
    """Neighbour averaging, and where it acts: away from eyes, nose and mouth."""
    rim = t.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    n = len(t.skin)
    links = sp.coo_matrix((np.ones(len(rim)), (rim[:, 0], rim[:, 1])), shape=(n, n)).tocsr()
    links = ((links + links.T) > 0).astype(float)
    average = sp.diags(1 / np.asarray(links.sum(1)).ravel()) @ links
    nose = np.hypot(c.aside, 0.8 * (c.y - c.at.subnasale - 10))
    corner = np.maximum(c.aside - c.traits["lip_length"] / 2, 0)
    mouth = np.hypot(corner, np.maximum(np.abs(c.y - c.at.stomion) - 8, 0))
    soft = ch.smooth(8, 16, c.lid_distance) * ch.smooth(18, 28, nose) * ch.smooth(2, 9, mouth)
    soft = np.where(c.z < 15, 1, soft) * (c.y > c.at.neck + 8)
    return average.tocsr(), 0.55 * soft


def _nose_floor(t: Template, c: features.Canon) -> Float[np.ndarray, " s"]:
    """Where the nose is seen from below: rays graze it, so its vertices would slide and fold."""
    down = ch.smooth(-0.25, -0.6, normals(t.skin, t.triangles)[:, 1])
    inside = (c.z > 98) & (c.aside < c.at.alar) & (c.y > c.at.subnasale - 2) & (c.y < c.at.tip_y)
    base = np.linalg.norm(t.skin - [0, c.at.subnasale, SUBNASALE_Z], axis=1)
    return 0.9 * down * inside * ch.smooth(1, 4, base)


def grower(points: int = POINTS) -> Grower:
    """Grow the template with about `points` free vertices a side; put the whole mesh together."""
    t = grow_template(points)
    count = len(t.skin)
    triangles, mirror = [t.triangles], [t.mirror]

    def new(n: int) -> Int[np.ndarray, " n"]:
        nonlocal count
        count += n
        return np.arange(count - n, count)

    lid_rows = [[new(len(t.lids[0])) for _ in LID_ROWS] for _ in range(2)]
    for hand in range(2):
        triangles.append(_rows([t.lids[hand], *lid_rows[hand]], True, flip=hand == 0))
        mirror += lid_rows[1 - hand]
    mouth_rows = [[new(len(t.lips[0])) for _ in MOUTH_ROWS] for _ in range(2)]
    for k in range(2):
        triangles.append(_rows([t.lips[k], *mouth_rows[k]], False, flip=k == 0))
        mirror += [row[::-1] for row in mouth_rows[k]]
    parts = []
    for points, shape, *_ in (eyes.eyeball(), ears.ear()):
        pair = [new(len(points)), new(len(points))]
        triangles += [pair[0][shape], pair[1][shape][:, ::-1]]
        mirror += pair[::-1]
        parts.append(pair)
    canon = features.canon(t)
    whole = np.concatenate(triangles)
    return Grower(t, canon, whole, lid_rows, mouth_rows, *parts, np.concatenate(mirror))

"""The fixed topology: a symmetric skin whose vertices lie on lids, lips and measured rings."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates
from scipy.spatial import Delaunay, cKDTree

from . import chart as ch
from .anatomy import Places, average, build, places
from .controls import TEMPLE
from .field import Field
from .triangulation import areas, flip_to_delaunay

POINTS = 6200  # free vertices of one half
LID_POINTS = 84
LID_RINGS = (0.7, 1.4, 2.2, 3.1, 4.2, 5.4, 6.8)
LIP_RINGS = (0.6, 1.2, 1.9, 2.7, 3.6, 4.6, 5.8, 7.2, 8.8, 10.6)
HEAD_RING = 30.0  # height of the tape around the head, over the brow ridge
Lines = dict[str, Float[np.ndarray, "_ 3"]]
Spacing = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, " n"]]
NECK_RING = 14.0  # of the tape around the neck, above its end


@dataclass(eq=False)
class Template:
    """Skin vertices in the chart and on the neutral head, and the lines that run through them."""

    chart: Float[np.ndarray, "s 2"]
    skin: Float[np.ndarray, "s 3"]  # the neutral head
    reach: Float[np.ndarray, " s"]  # its distance from the pole
    triangles: Int[np.ndarray, "t 3"]
    mirror: Int[np.ndarray, " s"]
    lids: list[Int[np.ndarray, " l"]]  # closed loops: the subject's left eye, the right one
    lips: list[Int[np.ndarray, " m"]]  # upper and lower line of the seam, from -x to +x
    rings: dict[str, Int[np.ndarray, " r"]] = field(default_factory=dict)


def neutral() -> tuple[dict[str, float], Field, Places]:
    """The head half-way between the size modes, on which everything is drawn."""
    traits = average(0.5)
    return traits, build(traits), places(traits)


def grow_template(points: int = POINTS, seed: int = 0) -> Template:
    """Lay points on the left half, even them out, triangulate, mirror, open eyes, lips and neck."""
    traits, head, at = neutral()
    lines = _lines(traits, head, at)
    spacing = _spacing(lines, at)
    midline = _midline(head, lines, spacing, at)
    fixed = np.concatenate([*lines.values(), midline])
    free = _scatter(head, fixed, spacing, points, np.random.default_rng(seed), at)
    half = np.concatenate([fixed, free])
    half[np.abs(half[:, 0]) < 1e-6, 0] = 0.0
    _, first = np.unique(np.round(ch.unit(half - ch.POLE), 6), axis=0, return_index=True)
    half = half[np.sort(first)]
    where = {name: cKDTree(half).query(line)[1] for name, line in lines.items()}
    triangles = _triangulate(half, where, at)
    used = np.unique(triangles)
    place = np.full(len(half), -1)
    place[used] = np.arange(len(used))
    where = {name: place[ids] for name, ids in where.items()}
    return _mirrored(half[used], place[triangles], where)


def _lines(traits: dict[str, float], head: Field, at: Places) -> Lines:
    """Lines of the left half that must be lines of vertices."""
    lines = {}
    upper, lower = ch.lids(traits, 81)
    upper, lower = (
        ch.to_chart(head.front(lid + np.array([at.eye_x, 0]))) for lid in (upper, lower)
    )
    edges = [ch.resample(lid, count=LID_POINTS // 2 + 1) for lid in (upper, lower[::-1])]
    lines["lid"] = np.concatenate([edge[:-1] for edge in edges])
    flat = lines["lid"]
    turn = np.linspace(-np.pi, np.pi, 720, endpoint=False)
    for k, distance in enumerate(LID_RINGS):
        ring = ch.offset(flat, flat.mean(0), distance, turn)
        lines[f"lid {k}"] = ch.resample(ring, 1.0 + 0.09 * distance, closed=True)
    s = np.linspace(0, 1, 81)
    line = np.stack([s * traits["lip_length"] / 2, at.stomion + ch.seam(s)], 1)
    flat = ch.to_chart(head.front(line))
    lines["lip"] = ch.resample(flat, count=32)
    straight = np.array([[-flat[-1, 0], 0.0], [flat[-1, 0], 0.0]])
    turn = np.pi / 2 * np.linspace(-1, 1, 801) ** 3  # dense along the seam
    for k, distance in enumerate(LIP_RINGS):
        ring = ch.offset(straight, np.zeros(2), distance, turn, closed=False)
        ring[[0, -1], 0] = 0.0
        ring[:, 1] += np.interp(ring[:, 0], flat[:, 0], flat[:, 1])
        lines[f"lip {k}"] = ch.resample(ring, 0.95 + 0.08 * distance)
    for name, flat in lines.items():
        directions = ch.from_chart(flat)
        lines[name] = _on(head, directions)
    lines["temple"] = head.around(*TEMPLE)
    turn = np.linspace(0, np.pi, 400)
    heights = {"head": HEAD_RING, "neck": at.neck + NECK_RING, "end": at.neck}
    for (name, y), count in zip(heights.items(), (40, 34, 34), strict=True):
        ring = head.around(y, turn)
        ring[[0, -1], 0] = 0.0
        lines[name] = ch.resample(ring, count=count)
    return lines


def _on(head: Field, directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Where rays from the pole meet the head."""
    directions = ch.unit(directions)
    origins = np.broadcast_to(ch.POLE, directions.shape)
    return ch.POLE + directions * head.cast(origins, directions)[:, None]


def _spacing(lines: Lines, at: Places) -> Spacing:
    """Wanted distance between vertices, mm, as a function of the place on the neutral head."""
    x = np.linspace(12, 53, 12)
    brow = np.stack([x, at.brow + 3 + 2.5 * np.sin((x - 12) / 41 * np.pi), 105 - 0.012 * x**2], 1)
    nose = [(0, at.tip_y, at.tip_z), (at.alar, at.subnasale + 6, 96), (0, at.subnasale, 103)]
    nose += [(at.alar - 9, at.subnasale + 1, 105), (6, -16, 103), (8, at.tip_y, 112)]
    dense = [
        (cKDTree(lines["lid"]), 1.25, 0.085),
        (cKDTree(lines["lip"]), 1.3, 0.075),
        (cKDTree(np.array(nose, float)), 1.2, 0.10),
        (cKDTree(brow), 1.3, 0.10),
    ]

    def spacing(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        y, z = points[:, 1], points[:, 2]
        wide = 2.9 + 3.6 * ch.smooth(45, -35, z) + 1.5 * ch.smooth(60, 100, y)
        wide = np.where(y < at.menton - 8, np.maximum(wide, 4.0), wide)
        for tree, base, slope in dense:
            wide = np.minimum(wide, base + slope * tree.query(points)[0])
        return wide

    return spacing


def _midline(head: Field, lines: Lines, spacing: Spacing, at: Places) -> Float[np.ndarray, "n 3"]:
    """Points of the midline that no other line has taken."""
    turn = np.linspace(-1.4, np.pi + 1.4, 4000)
    line = _on(head, np.stack([0 * turn, np.sin(turn), np.cos(turn)], 1))
    line = line[line[:, 1] > at.neck + 2]
    taken = np.concatenate(list(lines.values()))
    tree = cKDTree(taken)
    chosen = [line[0]]
    for point, step in zip(line, spacing(line), strict=True):
        if np.linalg.norm(point - chosen[-1]) > step:
            chosen.append(point)
    chosen = np.array(chosen)
    chosen = chosen[tree.query(chosen)[0] > 0.6 * spacing(chosen)]
    lip = np.concatenate([v for name, v in lines.items() if name.startswith("lip")])
    lip = lip[lip[:, 0] < 1e-6]
    inside = (chosen[:, 1] > lip[:, 1].min()) & (chosen[:, 1] < lip[:, 1].max())
    return chosen[~(inside & (chosen[:, 2] > 50))]


def _scatter(
    head: Field,
    fixed: Float[np.ndarray, "m 3"],
    spacing: Spacing,
    points: int,
    rng: np.random.Generator,
    at: Places,
) -> Float[np.ndarray, "n 3"]:
    """Points of the left half away from the fixed ones, evened out by weighted Lloyd steps."""
    n = 420
    grid = np.stack(np.meshgrid(np.linspace(0, 315, n), np.linspace(-315, 315, 2 * n)), -1)
    flat = np.clip(np.linalg.norm(grid.reshape(-1, 2), axis=1), 1e-6, None)[:, None]
    surface = _on(head, ch.from_chart(grid.reshape(-1, 2) * np.minimum(1, 313 / flat)))
    surface = surface.reshape(2 * n, n, 3)
    cell = np.cross(np.gradient(surface, axis=1), np.gradient(surface, axis=0))
    area = np.linalg.norm(cell, axis=2)
    uv = rng.uniform(size=(145 * points, 2)) * [630, 315]
    uv = uv[np.hypot(uv[:, 0] - 315, uv[:, 1]) < 312]
    at_grid = (uv / [630, 315] * [2 * n - 1, n - 1]).T
    cloud = np.stack([map_coordinates(surface[..., k], at_grid, order=1) for k in range(3)], 1)
    density = map_coordinates(area, at_grid, order=1) / spacing(cloud) ** 2
    keep = rng.uniform(size=len(cloud)) < density / np.quantile(density, 0.995)
    cloud = cloud[keep & (cloud[:, 1] > at.neck + 1) & (cloud[:, 0] > 0)]
    lid = cKDTree(fixed).query(cloud)[0] / spacing(cloud)
    eye = _in_eye(cloud, at)
    choice = cloud[(lid > 0.7) & ~eye]
    cloud = cloud[~eye]
    free = choice[rng.choice(len(choice), points, replace=False)]
    for _ in range(24):
        owner = cKDTree(np.concatenate([free, fixed])).query(cloud)[1]
        mine = owner < points
        count = np.bincount(owner[mine], minlength=points)
        for k in range(3):
            total = np.bincount(owner[mine], cloud[mine, k], points)
            free[:, k] = np.where(count > 0, total / np.maximum(count, 1), free[:, k])
    free = _on(head, free - ch.POLE)
    far = cKDTree(fixed).query(free)[0] > 0.55 * spacing(free)
    return free[far & (free[:, 0] > 0.45 * spacing(free)) & ~_in_eye(free, at)]


def _in_eye(points: Float[np.ndarray, "n 3"], at: Places) -> Bool[np.ndarray, " n"]:
    """Between the lids of the left eye, seen from the front."""
    traits = average(0.5)
    upper, lower = ch.lids(traits, 81)
    x, y = points[:, 0] - at.eye_x, points[:, 1]
    high, low = (np.interp(x, lid[:, 0], lid[:, 1]) for lid in (upper, lower))
    inside = (upper[0, 0] < x) & (x < upper[-1, 0]) & (y < high) & (y > low)
    return inside & (points[:, 2] > 30)


def _triangulate(
    half: Float[np.ndarray, "n 3"], where: dict[str, Int[np.ndarray, " _"]], at: Places
) -> Int[np.ndarray, "t 3"]:
    """Triangles of the left half, open at the eye and the neck."""
    plane = ch.to_plane(half - ch.POLE)
    triangles = Delaunay(plane).simplices.astype(int)
    size = areas(plane, triangles)
    triangles = np.where((size < 0)[:, None], triangles[:, ::-1], triangles)[np.abs(size) > 1e-10]
    for rim in (where["lid"], where["end"]):
        triangles = triangles[~np.isin(triangles, rim).all(1)]
    lid = where["lid"]
    locked = [np.stack([lid, np.roll(lid, -1)], 1)]
    for name in ("lip", "end"):
        locked.append(np.stack([where[name][:-1], where[name][1:]], 1))
    triangles = flip_to_delaunay(half, plane, triangles, np.sort(np.concatenate(locked), 1))
    return triangles[:, ::-1]  # the plane is seen from inside


def _mirrored(
    half: Float[np.ndarray, "n 3"],
    triangles: Int[np.ndarray, "t 3"],
    where: dict[str, Int[np.ndarray, " _"]],
) -> Template:
    """Both halves as one skin, with the lips parted along their seam."""
    n, beside = len(half), np.nonzero(half[:, 0] > 0)[0]
    other = np.arange(n)
    other[beside] = n + np.arange(len(beside))
    skin = np.concatenate([half, half[beside] * [-1, 1, 1]])
    mirror = np.concatenate([other, beside])
    triangles = np.concatenate([triangles, other[triangles][:, ::-1]])
    seam = np.concatenate([other[where["lip"][:0:-1]], where["lip"]])
    inner = seam[1:-1]
    lower = np.arange(len(skin))
    lower[inner] = len(skin) + np.arange(len(inner))
    xyz = skin[triangles].mean(1)
    below = xyz[:, 1] < np.interp(xyz[:, 0], skin[seam, 0], skin[seam, 1])
    below &= np.isin(triangles, inner).any(1)
    triangles[below] = lower[triangles[below]]
    mirror = np.concatenate([mirror, lower[mirror[inner]]])
    skin = np.concatenate([skin, skin[inner]])
    rings = {
        name: np.concatenate([where[name], other[where[name]][-2:0:-1]])
        for name in ("head", "neck", "end")
    }
    return Template(
        chart=ch.to_chart(skin),
        skin=skin,
        reach=np.linalg.norm(skin - ch.POLE, axis=1),
        triangles=triangles,
        mirror=mirror,
        lids=[where["lid"], other[where["lid"]]],
        lips=[seam, np.concatenate([seam[:1], lower[inner], seam[-1:]])],
        rings=rings,
    )

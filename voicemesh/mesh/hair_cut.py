"""How hair on a screen is cut and combed: the lines of its locks on the mean head of a model."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.spatial import cKDTree

from .hair_locks import comb
from .hair_roots import Body, Ground, Roots, placed, scatter, unit
from .hair_styles import HairStyle, lengths_of, ramp, remaining, topness
from .lighting import vertex_normals
from .morphable import MorphableModel

SEED = 20
TIDY = 0.33  # of the chance in how locks lie
ALIKE = 11  # locks that are combed like each other
FIRM = 0.65  # of what neighbours do is in each of them
COMBED, SMOOTHED = 3, 4  # times all lines, and each by itself
POINTS = 22  # of a line
DENSER = 1.3  # towards the root, where locks bend
FINEST, LINED = 2.6, 5.0  # millimetres between roots among which those of the parting are chosen
ASTRAY = 6.0  # millimetres from how its neighbours lie at which a lock is left out
TORN = 2.2  # times as long as others is a step of a line that is left out
LAID = 0.5  # of how far short hair would stand off the head
LAYERED = 8.0  # between the innermost and the outermost hair that hangs
FIRST = 20.0  # millimetres before the innermost hair the outermost is drawn
CLEAR = 1.3  # millimetres between any hair and the skin


@dataclass(frozen=True)
class Weave:
    """How finely locks are shown that are up to so long; lengths are in millimetres."""

    longest: float
    rows: int  # of vertices along a lock
    columns: int  # of vertices across it
    width: float  # between two columns


@dataclass(frozen=True)
class Cut:
    """A style, and how it is shown; lengths are in millimetres."""

    style: HairStyle
    spacing: float  # between the roots of locks
    weaves: tuple[Weave, ...]  # from the shortest locks to the longest
    buried: float = 0.0  # share of the locks that others cover, which is left out
    tapered: float = 0.0  # by which locks are shorter at the sides of the top than above
    longer: float = 1.0  # before the hem cuts them
    wave: float = 0.0
    inward: float = 0.0  # by which the tips turn to the neck


CUTS: dict[str, Cut | None] = {
    "none": None,
    "short": Cut(
        HairStyle(top=40, sides=10, back=12, volume=0.33, parting=0.6, sweep=0.7),
        spacing=5.0,
        weaves=(Weave(24.0, 3, 3, 1.35), Weave(np.inf, 5, 4, 1.9)),
        tapered=0.55,
        longer=1.2,
    ),
    "long": Cut(
        HairStyle(top=330, sides=124, back=72, volume=0.32, parting=0.5, sweep=0.45, brows=0.9),
        spacing=9.0,
        weaves=(Weave(np.inf, 11, 5, 2.6),),
        buried=0.8,
        longer=1.5,
        wave=2.0,
        inward=20.0,
    ),
}


@dataclass(frozen=True, eq=False)
class Lines:
    """The middle lines of locks, from root to tip."""

    paths: Float32[np.ndarray, "n k 3"]
    luck: Float32[np.ndarray, "n 6"]  # nearly normal
    layer: Float32[np.ndarray, " n"]  # 0 lies on the head, 1 outside
    share: Float[np.ndarray, " k"]  # of the length, at the points of a line

    @property
    def lengths(self) -> Float[np.ndarray, " n"]:
        """Millimetres from root to tip."""
        return np.linalg.norm(np.diff(self.paths, axis=1), axis=2).sum(1)

    def of(self, kept: Bool[np.ndarray, " n"] | Int[np.ndarray, " m"]) -> "Lines":
        """Some of them, or all in another order."""
        return Lines(self.paths[kept], self.luck[kept], self.layer[kept], self.share)


def drawn(face_model: MorphableModel, soil: Ground, body: Body, cut: Cut) -> Lines:
    """The lines of a cut on the mean head: what grows side by side lies alike."""
    style, vertices = cut.style, soil.neutral
    triangles = face_model.triangles.cpu().numpy()
    roots = rooted(face_model, vertices, triangles, cut)
    places = placed(roots, np.ones(len(roots.rank), bool), vertices)
    luck = roots.luck * np.float32(TIDY)
    _, y, z = places.T
    length = lengths_of(style, places) * np.exp(0.12 * luck[:, 0]) * cut.longer
    length = length * (1 - cut.tapered * ramp(112, 48, y + 0.25 * z) * topness(places))
    kept = (remaining(style, places) > 0.6 * roots.rank) & (length > 3)
    if cut.buried:
        kept &= (roots.rank >= cut.buried * covered(places)) & ~temples(places)
    places, luck, layer, length = places[kept], luck[kept], roots.rank[kept], length[kept]
    outward = unit(placed(roots, kept, vertex_normals(vertices, triangles)))
    share = np.linspace(0, 1, POINTS) ** DENSER
    side, parted = parting(places, style)
    # What is too short to hang is not cut at a hem.
    free = style if cut.inward else replace(style, sides=60.0, back=60.0)
    paths = comb(body, places, outward, parted, length, layer, luck, free, share)
    off = np.einsum("nkd,nd->nk", paths - paths[:, :1], outward)
    close = (1 - LAID) * ramp(45, 15, length)  # what is short lies closer than it is combed
    paths = paths - (close[:, None] * off)[..., None] * outward[:, None]
    like = np.concatenate([places, 60 * side[:, None], 14 * layer[:, None]], 1)
    paths, astray = tidied(paths, cKDTree(like).query(like, ALIKE)[1])
    lines = Lines(clear(paths, body), luck, layer, share).of(astray < ASTRAY)
    lines = lines.of(~torn(lines))
    lines = replace(lines, paths=rounded(clear(shaped(lines, cut), body)))
    # What is drawn first hides what comes later, which then costs little: the front goes first.
    return lines.of(np.argsort(-lines.paths[:, :, 2].mean(1) - FIRST * lines.layer))


def rooted(
    face_model: MorphableModel,
    vertices: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    cut: Cut,
) -> Roots:
    """Roots all over the scalp, and more along the parting."""
    scalp = face_model.paint[:, face_model.paint_names.index("scalp")].float().cpu().numpy()
    rng = np.random.default_rng(SEED)
    roots = scatter(vertices, triangles, scalp, cut.spacing, rng)
    dense = scatter(vertices, triangles, scalp * beside_line(vertices, cut.style, 8.0), FINEST, rng)
    places = placed(dense, np.ones(len(dense.rank), bool), vertices)
    chosen = along_parting(places, cut.style, LINED)
    names = ("corners", "weights", "luck", "rank")
    both = {n: np.concatenate([getattr(roots, n), getattr(dense, n)[chosen]]) for n in names}
    return Roots(**both)


def tidied(
    paths: Float[np.ndarray, "n k 3"], near: Int[np.ndarray, "n a"]
) -> tuple[Float[np.ndarray, "n k 3"], Float[np.ndarray, " n"]]:
    """Lines that lie like their neighbours, without corners; how far each is astray from them."""
    for _ in range(COMBED):
        grown = paths - paths[:, :1]
        paths = paths[:, :1] + (1 - FIRM) * grown + FIRM * grown[near].mean(1)
    paths = rounded(paths)
    grown = paths - paths[:, :1]
    return paths, np.linalg.norm(grown - grown[near].mean(1), axis=2).max(1)


def rounded(paths: Float[np.ndarray, "n k 3"]) -> Float32[np.ndarray, "n k 3"]:
    """Lines without corners."""
    for _ in range(SMOOTHED):
        middle = 0.5 * paths[:, 1:-1] + 0.25 * (paths[:, :-2] + paths[:, 2:])
        paths = np.concatenate([paths[:, :1], middle, paths[:, -1:]], 1)
    return paths.astype(np.float32)


def torn(lines: Lines) -> Bool[np.ndarray, " n"]:
    """Which long lines leap: over an ear, or to the other side of the head."""
    steps = np.linalg.norm(np.diff(lines.paths, axis=1), axis=2)
    even = np.diff(lines.share) * lines.lengths[:, None]
    return (steps > TORN * even).any(1) & (lines.lengths > 60)


def parting(
    places: Float[np.ndarray, "n 3"], style: HairStyle
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """To which side locks are combed, -1 to 1, and places from which the comb takes them there.

    The line of the parting runs to the crown; behind it all fall straight down.
    """
    x, _, z = places.T
    side = np.tanh((x - line_of(places, style)) / 1.5) * ramp(-80, -35, z)
    above = 42 * style.parting + 5 * np.arctanh(0.97 * side)
    beside = np.where(np.abs(side) > 0.3, 40 * side, 0.0)
    taken = np.where(topness(places) > 0.5, above, beside)
    return side, np.concatenate([taken[:, None], places[:, 1:]], 1)


def along_parting(
    places: Float[np.ndarray, "n 3"], style: HairStyle, spacing: float
) -> Bool[np.ndarray, " n"]:
    """Which of many places are the ones, `spacing` apart, on either side of the parting's line."""
    close = np.flatnonzero(beside_line(places, style, 3.0))
    right = places[close, 0] > line_of(places[close], style)
    slot = np.round(places[close, 2] / spacing) * 2 + right
    chosen = np.zeros(len(places), bool)
    chosen[close[np.unique(slot, return_index=True)[1]]] = True
    return chosen


def beside_line(
    places: Float[np.ndarray, "n 3"], style: HairStyle, millimetres: float
) -> Bool[np.ndarray, " n"]:
    """Which places are so near to the parting's line."""
    x, y, z = places.T
    return (np.abs(x - line_of(places, style)) < millimetres) & (y > 40) & (z > -75)


def line_of(places: Float[np.ndarray, "n 3"], style: HairStyle) -> Float[np.ndarray, " n"]:
    """How far to the subject's left hair parts: less and less towards the crown."""
    return 42 * style.parting * ramp(-70, -5, places[:, 2])


def temples(places: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
    """Where hair from above hangs over the hairline beside a forehead."""
    x, y, z = places.T
    return (np.abs(x) > 48) & (y < 60) & (z > 5)


def covered(places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """How far long hair from above lies over what grows at these places of the scalp."""
    _, y, z = places.T
    return ramp(88, 55, y) * ramp(45, 20, z) * ramp(-75, -55, y)


def shaped(lines: Lines, cut: Cut) -> Float32[np.ndarray, "n k 3"]:
    """Lines that wave where they hang freely, with tips that turn in."""
    gone = lines.share * lines.lengths[:, None]
    away = lines.paths * [1, 0, 1] + [0, 0, 15]
    root = lines.paths[:, 0]
    turn = 0.1 * root[:, 0] + 0.08 * root[:, 2] + 2.4 * lines.luck[:, 5]
    wave = cut.wave * ramp(60, 140, gone) * np.sin(2 * np.pi * gone / 85 + turn[:, None])
    tip = ramp(0.4, 1.0, lines.share) * ramp(80, 180, lines.lengths)[:, None]
    apart = LAYERED * (lines.layer[:, None] - 0.5) * ramp(30, 120, gone)
    moved = lines.paths + unit(away) * (wave + apart - cut.inward * tip**2)[..., None]
    return moved.astype(np.float32)


def clear(paths: Float[np.ndarray, "n k 3"], body: Body) -> Float32[np.ndarray, "n k 3"]:
    """The same lines, none of which goes through the skin."""
    free = paths.copy()
    for _ in range(2):
        points = free[:, 1:].reshape(-1, 3)
        near = body.tree.query(points)[1]
        off = ((points - body.points[near]) * body.normals[near]).sum(1)
        push = (CLEAR - off).clip(min=0)[:, None] * body.normals[near]
        free[:, 1:] += push.reshape(free[:, 1:].shape)
    return free.astype(np.float32)

"""Hair, beards and brows as ribbons that grow from a painted head: a style makes the shape."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32, Int64
from scipy.spatial import cKDTree

from .hair_styles import HairStyle, bearded, brow_hem, hem, lengths_of, ramp, remaining, topness
from .lighting import vertex_normals
from .look import Look, hair, paint
from .morphable import FaceMesh, MorphableModel
from .studio import Material, materials

SPACING = {"scalp": 5.9, "beard": 3.7, "brows": 1.5}  # millimetres between roots
CANDIDATES = 12  # per root
LOCK = 6.5  # millimetres across a long lock
SEED = 20


@dataclass(frozen=True, eq=False)
class Hair:
    """What a head wears: ribbons in the head's own frame, and the head's colours beneath them."""

    vertices: Float32[np.ndarray, "h 3"]
    normals: Float32[np.ndarray, "h 3"]
    tangents: Float32[np.ndarray, "h 3"]  # from the root to the tip
    colours: Float32[np.ndarray, "h 3"]  # linear
    openness: Float32[np.ndarray, " h"]
    across: Float32[np.ndarray, " h"]  # millimetres, far apart for different locks
    along: Float32[np.ndarray, " h"]  # millimetres from the root
    triangles: Int32[np.ndarray, "t 3"]
    head_colours: Float32[np.ndarray, "v 3"]  # sRGB: shaved, receded, with the style's brows
    head_material: Int32[np.ndarray, " v"]
    scalp_vertices: int = 0  # of the head's own locks, which come first
    scalp_triangles: int = 0


@dataclass(frozen=True, eq=False)
class Roots:
    """Where hair of one kind grows on a model: places in its triangles, and their luck."""

    corners: Int64[np.ndarray, "n 3"]
    weights: Float32[np.ndarray, "n 3"]
    luck: Float32[np.ndarray, "n 6"]  # standard normal
    rank: Float32[np.ndarray, " n"]  # even in [0, 1]


@dataclass(frozen=True, eq=False)
class Ground:
    """A model's skin, ready for hair to grow on."""

    roots: dict[str, Roots]
    skin: Int64[np.ndarray, " s"]  # vertices that hair lies on
    ears: Int64[np.ndarray, " e"]
    neutral: Float32[np.ndarray, "v 3"]
    material: Int32[np.ndarray, " v"]


@lru_cache(maxsize=4)
def ground(face_model: MorphableModel) -> Ground:
    """Roots on a painted model, spread evenly over the scalp, the beard and the brows.

    Raises:
        ValueError: the model has no paint that says where hair grows.
    """
    if face_model.paint is None or not set(SPACING) <= set(face_model.paint_names):
        raise ValueError(
            f"the face model {face_model.name!r} has no paint named {', '.join(SPACING)}; "
            "hair grows where these say so"
        )
    neutral = face_model.vertices(torch.zeros(face_model.shape_basis.shape[2])).cpu().numpy()
    triangles = face_model.triangles.cpu().numpy()
    painted = face_model.paint.float().cpu().numpy()
    layer = dict(zip(face_model.paint_names, painted.T, strict=True))
    roots = {
        name: scatter(neutral, triangles, layer[name], spacing, np.random.default_rng(SEED))
        for name, spacing in SPACING.items()
    }
    regions = {name: ids.cpu().numpy() for name, ids in face_model.regions.items()}
    ears = regions.get("ears", np.zeros(0, np.int64))
    skin = np.setdiff1d(regions.get("skin", np.arange(len(neutral))), ears)[::2]
    return Ground(roots, skin, ears[::3], neutral, materials(face_model))


def scatter(
    vertices: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    cover: Float[np.ndarray, " v"],
    spacing: float,
    rng: np.random.Generator,
) -> Roots:
    """Points no nearer than `spacing` to each other on the covered part of a surface."""
    inside = triangles[cover[triangles].mean(1) > 0.35]
    a, b, c = (vertices[inside[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    count = int(CANDIDATES * area.sum() / spacing**2)
    chosen = rng.choice(len(inside), count, p=area / area.sum())
    split = rng.dirichlet((1, 1, 1), count)
    points = np.einsum("nk,nkd->nd", split, vertices[inside[chosen]])
    near = cKDTree(points).query_ball_point(points, 0.78 * spacing)
    kept = np.ones(count, bool)
    for i, others in enumerate(near):
        if kept[i]:
            kept[[j for j in others if j > i]] = False
    number = int(kept.sum())
    return Roots(
        corners=inside[chosen][kept].astype(np.int64),
        weights=split[kept].astype(np.float32),
        luck=rng.standard_normal((number, 6)).astype(np.float32),
        rank=rng.permutation((np.arange(number) + 0.5) / number).astype(np.float32),
    )


def grow(
    face_model: MorphableModel,
    mesh: FaceMesh,
    style: HairStyle | None = None,
    look: Look | None = None,
    before: Hair | None = None,
) -> Hair:
    """The hair of a head of this model, for `portrait(mesh, ..., hair=...)`.

    Args:
        before: what the same head wears with another expression, to spare time: only its brows
            and its beard grow anew.

    Raises:
        ValueError: the model has no paint that says where hair grows.
    """
    style, look = style or HairStyle(), look or Look()
    soil = ground(face_model)
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    body = Body.of(soil, mesh.vertices, normals, style.sides > 28)
    on_head = (soil, body, mesh.vertices, normals, style, look)
    scalp = scalp_locks(*on_head) if before is None else scalp_of(before)
    parts = [scalp, beard_locks(*on_head), brow_locks(*on_head)]
    columns, first = [], 0
    for part in parts:
        columns.append((*part[:-1], part[-1] + np.int32(first)))
        first += len(part[0])
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
    if before is None:
        colours, material = groomed(face_model, soil, style, look)
    else:
        colours, material = before.head_colours, before.head_material
    return Hair(*joined, colours, material, len(scalp[0]), len(scalp[-1]))


def scalp_of(before: Hair) -> "Part":
    """The locks that do not move with the face."""
    rows = slice(before.scalp_vertices)
    columns = (getattr(before, name)[rows] for name in COLUMNS)
    return (*columns, before.triangles[: before.scalp_triangles])


def groomed(
    face_model: MorphableModel, soil: Ground, style: HairStyle, look: Look
) -> tuple[Float32[np.ndarray, "v 3"], Int32[np.ndarray, " v"]]:
    """Colours and materials of a head beneath its hair."""
    painted = face_model.paint.float().cpu()
    channels = dict(zip(face_model.paint_names, painted.unbind(1), strict=True))
    places = soil.neutral
    left = remaining(style, places)
    thin = np.clip(0.3 + np.where(topness(places) > 0.5, style.top, style.sides + 6) / 14, 0, 1)
    scalp = channels["scalp"].numpy() * left * thin
    beard = bearded(style, places) * [min(style.beard / 8, 1), min(style.moustache / 6, 1)]
    veil = np.maximum(0.8 * beard.max(1), 0.3 * style.stubble * (1 - 0.75 * look.grey))
    channels["scalp"] = torch.from_numpy(scalp.astype(np.float32))
    channels["beard"] = channels["beard"] * torch.from_numpy(veil.astype(np.float32))
    channels["shade"] = channels["shade"] * (
        1 - 0.35 * (soil.neutral[:, 1] > -45) * (soil.neutral[:, 1] < -30)
    )
    channels["lashes"] = channels["lashes"] ** 0.7
    channels["brows"] = (channels["brows"] * 0.97 * style.brows).clamp(0, 1)
    colours = paint(channels, replace(look, beard=1.0 if veil.any() else 0.0))
    material = soil.material.copy()
    material[(material == int(Material.HAIR)) & (scalp < 0.5)] = int(Material.SKIN)
    return colours.numpy().astype(np.float32), material


Part = tuple[np.ndarray, ...]  # COLUMNS of Hair, and triangles
COLUMNS = ("vertices", "normals", "tangents", "colours", "openness", "across", "along")


@dataclass(frozen=True, eq=False)
class Body:
    """What hair lies on: points with outward normals, and the nearest of them to any place."""

    points: Float[np.ndarray, "s 3"]
    normals: Float[np.ndarray, "s 3"]
    tree: cKDTree

    @classmethod
    def of(
        cls,
        soil: Ground,
        vertices: Float[np.ndarray, "v 3"],
        normals: Float[np.ndarray, "v 3"],
        covered: bool,
    ) -> "Body":
        """The skin; with `covered`, ears are something to lie on and not to fall behind."""
        points, outward = vertices[soil.skin], normals[soil.skin]
        if covered and len(soil.ears):
            ears = vertices[soil.ears]
            side = np.sign(ears[:, :1]) * [0.92, 0, 0] + [0, 0.1, 0.35]
            points, outward = np.concatenate([points, ears]), np.concatenate([outward, side])
        return cls(points, outward, cKDTree(points))


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Vectors of length 1; what has no length stays 0."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def placed(
    roots: Roots, kept: Bool[np.ndarray, " n"], values: Float[np.ndarray, "v d"]
) -> Float[np.ndarray, "m d"]:
    """Values of vertices at the roots that are kept."""
    return np.einsum("nk,nkd->nd", roots.weights[kept], values[roots.corners[kept]])


def scalp_locks(
    soil: Ground,
    body: Body,
    vertices: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    style: HairStyle,
    look: Look,
) -> Part:
    """Locks of the head, combed from the parting and cut at the hem."""
    roots = soil.roots["scalp"]
    everywhere = np.ones(len(roots.rank), bool)
    places = placed(roots, everywhere, soil.neutral)
    length = lengths_of(style, places) * np.exp(0.12 * roots.luck[:, 0])
    fewer = 1 - 0.4 * ramp(70, 160, length) - 0.25 * ramp(0.3, 0.6, np.array(style.curl))
    kept = (remaining(style, places) * fewer > roots.rank) & (length > 3)
    places, length, luck = places[kept], length[kept], roots.luck[kept]
    rank = roots.rank[kept] / fewer[kept]
    start, outward = placed(roots, kept, vertices), unit(placed(roots, kept, normals))
    longest = float(length.max(initial=0))
    steps = round(3 + longest / 20) if style.curl < 0.3 else round(5 + longest / 13)
    steps = min(max(steps, 5), 10 if style.curl < 0.3 else 13)
    layer = rank  # 0 lies on the head, 1 outside
    share = np.linspace(0, 1, steps) ** (1.4 if style.curl < 0.3 else 1.0)  # dense where it bends
    paths = comb(body, start, outward, places, length, layer, luck, style, share)
    length = np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(1)
    paths = curled(paths, length, luck, style.curl, share)
    width = np.clip(0.11 * length + 2.0, 2.5, LOCK) * np.exp(0.15 * luck[:, 1])
    width *= (1 - 0.2 * style.curl) / np.sqrt(fewer[kept])
    bright = np.exp(0.13 * luck[:, 2])[:, None]
    grey = np.clip(look.grey * (1 + 0.35 * (1 - look.grey) * luck[:, 3]), 0, 1)
    natural, silver = (hair(replace(look, grey=g)).numpy() for g in (0.0, 1.0))
    colour = (natural * (1 - grey[:, None]) + silver * grey[:, None]) * bright
    return ribbons(paths, length, width, colour, layer, luck[:, 5], body, share)


def comb(
    body: Body,
    start: Float[np.ndarray, "n 3"],
    outward: Float[np.ndarray, "n 3"],
    places: Float[np.ndarray, "n 3"],
    length: Float[np.ndarray, " n"],
    layer: Float[np.ndarray, " n"],
    luck: Float[np.ndarray, "n 6"],
    style: HairStyle,
    share: Float[np.ndarray, " k"],
) -> Float32[np.ndarray, "n k 3"]:
    """The middle lines of locks: they rise, follow the comb, lie on the head and hang."""
    top = topness(places)
    front = ramp(40, 85, places[:, 2]) * top
    side = np.tanh((places[:, 0] - 42 * style.parting) / 5) * top + np.sign(places[:, 0]) * (
        1 - top
    )
    fringe = front * max(0.0, -style.sweep)
    swept = max(style.sweep, 0.0 if style.top < 60 else 0.45) * (style.sweep >= 0)
    thick = 1.0 + (1.5 + 11 * style.volume) * layer * np.clip(length / 45, 0.25, 1) * (
        1 - 0.45 * top
    )
    lift = (0.15 + 0.75 * style.volume * (0.4 + 0.35 * top)) * np.exp(0.2 * luck[:, 4])
    lift = lift * (0.35 + 0.65 * np.abs(side))
    spread = 0.12 + 0.5 * style.curl
    lie = field(start, side, top, front, fringe, swept)
    heading = unit(lie - outward * (lie * outward).sum(1, keepdims=True))
    heading = unit(heading + outward * lift[:, None] + spread * luck[:, :3] * 0.5)
    here, near = start.astype(np.float64), outward
    line = [here]
    for part in np.diff(share):
        step = length * part
        loose = 1 - np.exp(-step / 26)
        ahead = here + heading * step[:, None]
        found = body.tree.query(ahead)[1]
        near = body.normals[found]
        off = ((ahead - body.points[found]) * near).sum(1)
        reached = np.linalg.norm(here - start, axis=1) / 18
        need = thick * np.clip(0.15 + reached, 0, 1)
        ahead = ahead + near * (need - off).clip(min=0)[:, None]
        low = np.maximum(hem(style, ahead) + 5 * luck[:, 4], brow_hem(ahead, luck))
        cut = (ahead[:, 1] < low) & (ahead[:, 1] < here[:, 1])
        within = np.where(
            cut, (here[:, 1] - low).clip(min=0) / (here[:, 1] - ahead[:, 1] + 1e-6), 1
        )
        moved = (ahead - here) * np.clip(within, 0, 1)[:, None]
        heading = unit(ahead - here)
        here = here + moved
        line.append(here)
        lie = field(here, side, top, front, fringe, swept)
        close = np.exp(-((off / 14).clip(min=0)))[:, None]
        lie = lie - near * (lie * near).sum(1, keepdims=True) * close
        heading = unit(heading * (1 - loose)[:, None] + unit(lie) * loose[:, None])
    return evened(np.stack(line, 1), share)


def evened(
    paths: Float[np.ndarray, "n k 3"], share: Float[np.ndarray, " k"]
) -> Float32[np.ndarray, "n k 3"]:
    """The same lines with their points at these shares of their length, and corners rounded."""
    count = paths.shape[1]
    steps = np.linalg.norm(np.diff(paths, axis=1), axis=2)
    gone = np.concatenate([np.zeros((len(paths), 1)), np.cumsum(steps, 1)], 1)
    wanted = gone[:, -1:] * share
    below = (gone[:, None, :] <= wanted[..., None]).sum(2).clip(1, count - 1) - 1
    rows = np.arange(len(paths))[:, None]
    share = (wanted - gone[rows, below]) / np.maximum(steps[rows, below], 1e-6)
    share = share.clip(0, 1)[..., None]
    even = paths[rows, below] * (1 - share) + paths[rows, below + 1] * share
    even[:, 1:-1] = 0.5 * even[:, 1:-1] + 0.25 * (even[:, :-2] + even[:, 2:])
    return even.astype(np.float32)


def field(
    at: Float[np.ndarray, "n 3"],
    side: Float[np.ndarray, " n"],
    top: Float[np.ndarray, " n"],
    front: Float[np.ndarray, " n"],
    fringe: Float[np.ndarray, " n"],
    swept: float,
) -> Float[np.ndarray, "n 3"]:
    """Where the comb and the weight of the hair draw it at a place."""
    x, y, z = at.T
    wide = ramp(34, 74, np.abs(x)) + ramp(-20, -85, z)
    aside = side * (1 - 0.75 * swept * front) * (1 - 0.75 * fringe) * (1 - wide).clip(min=0)
    down = -0.25 - 0.9 * ramp(70, 20, y) - 1.6 * wide
    back = -0.15 - (1.3 * swept - 0.2 * (1 - swept)) * front * (1 - wide).clip(min=0)
    lie = np.stack([aside * (0.25 + top), down, back + 1.1 * fringe], 1)
    # Hair that reaches the face without being a fringe goes around it.
    face = ramp(30, 62, z) * ramp(66, 40, y) * (1 - fringe)
    beside = ramp(74, 50, np.abs(x))
    around = np.stack(
        [np.sign(x + 20 * side) * 1.5 * beside, -0.5 - 0.8 * (1 - beside), -1.2 * beside - 0.2], 1
    )
    return lie * (1 - face[:, None]) + around * face[:, None]


def curled(
    paths: Float32[np.ndarray, "n k 3"],
    length: Float[np.ndarray, " n"],
    luck: Float[np.ndarray, "n 6"],
    curl: float,
    share: Float[np.ndarray, " k"],
) -> Float32[np.ndarray, "n k 3"]:
    """Paths wound about themselves, as tightly as their points allow."""
    if curl < 0.03:
        return paths
    count = paths.shape[1]
    wave = np.maximum(95 - 75 * curl, 3.6 * length / (count - 1))
    wide = (2.0 + 5.0 * curl) * min(1.0, curl * 4)
    along = unit(np.gradient(paths, axis=1))
    first = unit(np.cross(along, np.array([0.3, 0.5, 0.8])))
    second = np.cross(along, first)
    turn = 2 * np.pi * (share * (length / wave)[:, None]) + 2 * luck[:, 5:6]
    grown = np.clip(share * length[:, None] / 22, 0, 1) * np.minimum(wide, 0.16 * wave)[:, None]
    around = np.cos(turn)[..., None] * first + np.sin(turn)[..., None] * second
    return (paths + grown[..., None] * around).astype(np.float32)


def ribbons(
    paths: Float32[np.ndarray, "n k 3"],
    length: Float[np.ndarray, " n"],
    width: Float[np.ndarray, " n"],
    colour: Float[np.ndarray, "n 3"],
    layer: Float[np.ndarray, " n"],
    roll: Float[np.ndarray, " n"],
    body: Body,
    share: Float[np.ndarray, " k"],
) -> Part:
    """Ribbons along paths, rounded by their normals, narrow at the tips."""
    n, k = paths.shape[:2]
    tangents = unit(np.gradient(paths, axis=1)) if n else paths
    found = body.tree.query(paths[:, k // 2])[1]
    outward = unit(paths - body.points.mean(0) * [0, 1, 0.4])
    outward = unit(0.6 * outward + 0.4 * body.normals[found][:, None])
    # Turned a little to the front, or the hair beside a face would be seen edge on.
    shown = unit(0.65 * outward + [0, 0, 0.5] + 0.35 * roll[:, None, None] * [1, 0, 0])
    aside = unit(np.cross(tangents, shown))
    facing = unit(outward - tangents * (outward * tangents).sum(-1, keepdims=True))
    profile = np.minimum(1, 0.55 + 2 * share) * np.sqrt(1 - 0.96 * share**4)
    half = (0.5 * width[:, None] * profile)[..., None] * aside
    points = np.stack([paths - half, paths + half], 2)
    normals = unit(np.stack([facing - 0.7 * aside, facing + 0.7 * aside], 2))
    tints = colour[:, None, None] * (0.78 + 0.3 * share)[None, :, None, None]
    opened = (0.35 + 0.65 * layer[:, None]) * (0.55 + 0.45 * np.minimum(1, 2 * share))
    lock = np.arange(n)[:, None, None] * 37.3
    across = lock + np.stack([0 * share, 0 * share + 1], -1)[None] * width[:, None, None]
    pair = np.ones((1, 1, 2))
    first = (np.arange(n)[:, None] * k + np.arange(k - 1)) * 2
    quad = np.stack([first, first + 1, first + 2, first + 2, first + 1, first + 3], -1)

    def flat(values: Float[np.ndarray, "..."], wide: int) -> Float32[np.ndarray, "..."]:
        shape = (n, k, 2, wide) if wide else (n, k, 2)
        values = np.broadcast_to(values, shape).astype(np.float32)
        return values.reshape(-1, wide) if wide else values.ravel()

    return (
        flat(points, 3),
        flat(normals, 3),
        flat(tangents[:, :, None], 3),
        flat(tints, 3),
        flat(opened[..., None] * pair, 0),
        flat(across, 0),
        flat((share * length[:, None])[..., None] * pair, 0),
        quad.reshape(-1, 3).astype(np.int32),
    )


def beard_locks(
    soil: Ground,
    body: Body,
    vertices: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    style: HairStyle,
    look: Look,
) -> Part:
    """Short locks of beard and moustache."""
    roots = soil.roots["beard"]
    places = placed(roots, np.ones(len(roots.rank), bool), soil.neutral)
    shares = bearded(style, places)
    length = shares @ [style.beard, style.moustache]
    kept = (shares.max(1) > 0.25 + 0.5 * roots.rank) & (length > 2)
    places, length, luck, rank = places[kept], length[kept], roots.luck[kept], roots.rank[kept]
    length = length * np.exp(0.15 * luck[:, 0])
    start, outward = placed(roots, kept, vertices), unit(placed(roots, kept, normals))
    lip = (shares[kept, 1] > 0.5)[:, None]
    down = np.stack([0.25 * np.sign(places[:, 0]), -1 + 0 * length, 0.1 + 0 * length], 1)
    apart = np.stack([0.8 * np.tanh(places[:, 0] / 6), -0.75 + 0 * length, 0 * length], 1)
    lie = unit(np.where(lip, apart, down) + 0.22 * luck[:, :3])
    lie = unit(lie + 0.45 * outward)
    share = np.linspace(0, 1, 4)[:, None]
    reach = (share * length[:, None, None]) * lie[:, None]
    droop = np.array([0, -0.25, 0]) * share**2 * length[:, None, None]
    paths = (start[:, None] + reach + droop + 0.3 * outward[:, None]).astype(np.float32)
    flat = body.tree.query(paths.reshape(-1, 3))[1]
    off = ((paths.reshape(-1, 3) - body.points[flat]) * body.normals[flat]).sum(1)
    push = (0.8 - off).clip(min=0)[:, None] * body.normals[flat]
    paths = (paths + push.reshape(paths.shape)).astype(np.float32)
    paths = curled(paths, length, luck, 0.5 * style.curl, share[:, 0])
    width = np.clip(0.1 * length + 1.9, 2.1, 4.3)
    colour = hair(replace(look, grey=min(1.0, 1.1 * look.grey))).numpy() * 0.85
    colour = colour * np.exp(0.16 * luck[:, 2])[:, None]
    return ribbons(paths, length, width, colour, 0.4 + 0.6 * rank, luck[:, 5], body, share[:, 0])


def brow_locks(
    soil: Ground,
    body: Body,
    vertices: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    style: HairStyle,
    look: Look,
) -> Part:
    """Fine hairs of the brows, laid outward."""
    roots = soil.roots["brows"]
    kept = roots.rank < 0.42 * style.brows
    luck, rank = roots.luck[kept], roots.rank[kept]
    start, outward = placed(roots, kept, vertices), unit(placed(roots, kept, normals))
    aside = np.abs(start[:, 0])
    rising = ramp(34, 14, aside)
    side = np.sign(start[:, 0])
    lie = np.stack([side * (1 - 0.35 * rising), -0.3 + 0.75 * rising, 0 * side], 1)
    lie = unit(lie - outward * (lie * outward).sum(1, keepdims=True) + 0.15 * luck[:, :3])
    length = 4.8 * np.sqrt(style.brows) * np.exp(0.15 * luck[:, 0])
    share = np.linspace(0, 1, 3)[:, None]
    paths = start[:, None] + share * length[:, None, None] * lie[:, None]
    paths = paths + 0.5 * outward[:, None] * (1 + np.sin(np.pi * share) * 0.8)
    width = 0.55 * np.sqrt(style.brows) * np.ones(len(length))
    colour = hair(replace(look, grey=0.5 * look.grey)).numpy() * 1.1
    colour = colour * np.exp(0.15 * luck[:, 2])[:, None]
    return ribbons(
        paths.astype(np.float32),
        length,
        width,
        colour,
        0.6 + 0.4 * rank,
        luck[:, 5],
        body,
        share[:, 0],
    )

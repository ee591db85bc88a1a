"""Locks of hair as ribbons: combed over a head, wound into curls, rounded by their normals."""

import numpy as np
from jaxtyping import Float, Float32

from .hair_roots import Body, unit
from .hair_styles import HairStyle, brow_hem, hem, ramp, topness

Part = tuple[np.ndarray, ...]  # COLUMNS of Hair, and triangles
COLUMNS = ("vertices", "normals", "tangents", "colours", "openness", "across", "along")


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

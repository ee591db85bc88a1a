"""Locks as strips of strands: columns of vertices side by side, from root to tip."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32, Int32

from .hair_cut import Lines, Weave
from .hair_locks import Part
from .hair_roots import Body, unit
from .hair_styles import ramp
from .look import Look, hair

Strip = tuple[int, int, int]  # locks, rows of each, columns of each
SEED = 5
ARCHED, ROLLED, TILTED = 0.30, 0.2, 0.32  # of a lock's half width; how far it turns, and its edges
UNEVEN = 0.13  # of the normals of strands
FRAYED = 0.02  # of the length by which strands end before others
GOLDEN, GLOW = 0.55, 0.10  # eumelanin of the lightest strands; how far strands differ
WARM = (0.53, 0.57, 0.50)  # of the light in the room on hair, in which it is seen
ROOT = 40.0  # millimetres over which hair is darker


def woven(strips: Sequence[Strip]) -> Int32[np.ndarray, "t 3"]:
    """The triangles of strips whose vertices follow each other lock by lock, row by row."""
    found, first = [np.zeros((0, 3), np.int32)], 0
    for locks, rows, columns in strips:
        place = first + np.arange(locks * rows * columns, dtype=np.int32)
        place = place.reshape(locks, rows, columns)
        first += locks * rows * columns
        a, b = place[:, :-1, :-1], place[:, :-1, 1:]
        c, d = place[:, 1:, :-1], place[:, 1:, 1:]
        found.append(np.stack([a, b, c, c, b, d], -1).reshape(-1, 3))
    return np.concatenate(found)


def strips_of(lines: Lines, weave: Weave, look: Look, body: Body) -> tuple[Part, Strip]:
    """Strips along lines, flat on the head, arched, ending in strands of unequal lengths."""
    rng = np.random.default_rng(SEED)
    count, rows, columns = len(lines.paths), weave.rows, weave.columns
    side, down = np.linspace(-1, 1, columns), np.linspace(0, 1, rows) ** 1.2
    length = lines.lengths[:, None, None]
    ends = 1 - np.abs(rng.normal(0, FRAYED, (count, 1, columns)))
    at = down[:, None] * ends
    tangents = unit(np.gradient(lines.paths, axis=1))
    facing, aside = turned(lines, tangents, body)
    points, along, facing, aside = (
        taken(values, lines.share, at) for values in (lines.paths, tangents, facing, aside)
    )
    half = 0.5 * weave.width * (columns - 1) * np.exp(0.36 * lines.luck[:, 1])[:, None, None]
    tip = 0.4 + 0.4 * ramp(50, 25, length)
    root = 0.2 + 0.22 * ramp(50, 150, length)
    narrow = (root + (1 - root) * ramp(0, 0.22, down)) * (1 - tip * ramp(0.7, 1.0, down))
    half = half * np.swapaxes(narrow, 1, 2)
    points = points + aside * (half * side)[..., None]
    points = points + facing * (ARCHED * half * (1 - side**2))[..., None]
    tilt = TILTED * side + UNEVEN * rng.normal(size=(count, 1, columns))
    gone = at * length
    dark = 0.72 + 0.2 * ramp(50, 20, length)
    dark = (dark + (1 - dark) * ramp(0, 1, gone / np.minimum(ROOT, 0.5 * length)))[..., None]
    colours = tinted(look, down, lines, columns, rng) * dark
    across = 37.3 * np.arange(count)[:, None, None] + half.mean() * side + 0 * at
    opened = (0.75 + 0.25 * lines.layer[:, None, None]) * (0.7 + 0.3 * ramp(0, 25, gone))
    flat = [points, unit(facing + aside * tilt[..., None]), along, colours]
    flat = [values.reshape(-1, 3).astype(np.float32) for values in flat]
    flat += [values.reshape(-1).astype(np.float32) for values in (opened, across, gone)]
    strip = count, rows, columns
    return (*flat, woven([strip])), strip


def turned(
    lines: Lines, tangents: Float[np.ndarray, "n k 3"], body: Body
) -> tuple[Float[np.ndarray, "n k 3"], Float[np.ndarray, "n k 3"]]:
    """Which way locks face, and their direction across: flat on the head, or nearly so."""
    near = body.tree.query(lines.paths[:, ::2].reshape(-1, 3))[1]
    skin = body.normals[near].reshape(len(near) // lines.paths[:, ::2].shape[1], -1, 3)
    skin = np.repeat(skin, 2, 1)[:, : lines.paths.shape[1]]
    outward = unit(lines.paths - body.points.mean(0) * [0, 1, 0.4])
    outward = unit(0.55 * outward + 0.45 * skin)
    facing = unit(outward - tangents * (outward * tangents).sum(-1, keepdims=True))
    aside = unit(np.cross(tangents, facing))
    roll = ROLLED * lines.luck[:, 4, None, None]
    return unit(facing + roll * aside), unit(aside - roll * facing)


def taken(
    values: Float[np.ndarray, "n k 3"],
    share: Float[np.ndarray, " k"],
    at: Float[np.ndarray, "n r c"],
) -> Float[np.ndarray, "n r c 3"]:
    """Values along lines at these shares of their length."""
    place = np.interp(at, share, np.arange(len(share)))
    low = place.astype(int).clip(0, len(share) - 2)
    part, lock = (place - low)[..., None], np.arange(len(values))[:, None, None]
    return values[lock, low] * (1 - part) + values[lock, low + 1] * part


def tinted(
    look: Look,
    down: Float[np.ndarray, " r"],
    lines: Lines,
    columns: int,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "n r c 3"]:
    """Colours of strands: dark and light ones side by side, lighter towards the tips."""
    warm = np.array(WARM, np.float32)
    light = replace(look, eumelanin=GOLDEN * look.eumelanin)
    shape = len(lines.paths), 1, columns
    share = 0.22 + 0.22 * rng.normal(size=shape) + 0.27 * lines.luck[:, 2, None, None]
    share = (share + 0.25 * ramp(0.45, 1, down)[:, None]).clip(0, 1)[..., None]
    glow = np.exp(GLOW * rng.normal(size=shape))[..., None]
    mixed = hair(look).numpy() * (1 - share) + hair(light).numpy() * share
    return (mixed * warm * glow).astype(np.float32)

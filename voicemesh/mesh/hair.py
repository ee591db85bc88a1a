"""Hair, beards and brows as ribbons that grow from a painted head: a style makes the shape."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32

from .hair_locks import COLUMNS, Part, comb, curled, ribbons
from .hair_roots import Body, Ground, ground, placed, unit
from .hair_styles import HairStyle, bearded, lengths_of, ramp, remaining, topness
from .lighting import vertex_normals
from .look import Look, hair, paint
from .morphable import FaceMesh, MorphableModel
from .studio import Material

LOCK = 6.5  # millimetres across a long lock


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
    # Locks, rows and columns of strips in which the vertices stand, if all of them do.
    strips: tuple[tuple[int, int, int], ...] = ()
    shade: Float32[np.ndarray, " v"] | None = None  # light on the head that gets through the hair


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


def scalp_of(before: Hair) -> Part:
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
    # The hollow under a nose is less dark in soft light than the paint has it.
    nose = (places[:, 1] > -45) & (places[:, 1] < -30)
    channels["shade"] = channels["shade"] * torch.from_numpy(1 - 0.35 * nose)
    channels["lashes"] = channels["lashes"] ** 0.7
    channels["brows"] = (channels["brows"] * 0.97 * style.brows).clamp(0, 1)
    colours = paint(channels, replace(look, beard=1.0 if veil.any() else 0.0))
    material = soil.material.copy()
    material[(material == int(Material.HAIR)) & (scalp < 0.5)] = int(Material.SKIN)
    return colours.numpy().astype(np.float32), material


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
    fewer = 1 - 0.4 * ramp(70, 160, length) - 0.25 * ramp(0.3, 0.6, np.array([style.curl]))
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

"""The studio's light developed at vertices, for viewers that have no studio: colours to be shown.

Lamps, matter and film are those of `portrait`, at every vertex instead of every pixel. Highlights
are those that a camera before the face sees; further round, those of a camera that walks along.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.sparse import csr_matrix, diags

from .export import linear
from .hair import Hair
from .hair_styles import ramp
from .lighting import vertex_normals
from .morphable import FaceMesh
from .portrait import reach_of
from .studio import SURFACES, Lamp, Material, Studio
from .view import axes_towards, depth_map, framing

# Softer than for portraits: it is looked at from everywhere, and on white pages.
SOFT = Studio(
    lamps=(
        Lamp((-0.60, 0.55, 0.85), (2.22, 2.09, 1.98)),  # key
        Lamp((0.85, 0.10, 0.75), (0.78, 0.79, 0.81)),  # fill
        Lamp((-0.90, 0.35, -0.55), (1.0, 0.97, 0.95)),  # rims, from behind
        Lamp((0.95, 0.30, -0.45), (0.93, 0.96, 1.0)),
    ),
    sky=(0.76, 0.76, 0.78),
    ground=(0.62, 0.55, 0.51),
    exposure=1.25,
)
SHADOW_PIXELS = 320  # a side of the map of the key light
SHADOW_TAPS, SHADOW_RADIUS = 16, 8.0  # per vertex; millimetres
GOLDEN = 2.399963  # radians
REFLECTANCE = 0.028  # of skin at normal incidence
ALONG = 0.4  # cosine to the camera below which it walks along
MATT, GLOSS = np.float32(0.493), np.float32(0.9)  # of scattered and of mirrored light
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
# Two windows mirrored in the eyes: direction, half width, half height, brightness.
WINDOWS = ((-0.392, 0.467, 0.793, 0.17, 0.22, 2.6), (0.636, 0.051, 0.770, 0.08, 0.22, 0.35))
STRANDS = 0.45  # how far the colours of strands lie apart
THICK = np.float32(0.72)  # of the scattered light that strands let out again
# The highlights of hair: how strong the white and the coloured one are, how far scales of strands
# tilt them to the root and to the tip, and by how much the strands differ in this.
GLEAM, GLOW, CUTICLE, LOOSE = 0.075, 0.05, 0.07, 0.16
ROOTS = 30.0  # millimetres from its root over which hair begins to shine
CREEPING = (5, 3, 2)  # steps from vertex to vertex that light of each channel takes under the skin

Light = tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n 3"]]  # received, mirrored


def developed(
    mesh: FaceMesh,
    material: Int[np.ndarray, " v"] | None = None,
    openness: Float[np.ndarray, " v"] | None = None,
    hair: Hair | None = None,
    studio: Studio = SOFT,
) -> tuple[Float32[np.ndarray, "v 3"], Float32[np.ndarray, "h 3"]]:
    """Display colours in [0, 1] of a head's vertices and of its hair's, lit once and for all.

    Hair brings the colours and materials of the head; without, they are the mesh's own, all of
    skin if no material is given. `openness` is the share of the sky over each vertex.
    """
    count, points = len(mesh.vertices), mesh.vertices - framing(mesh)[0]
    if openness is None:
        openness = np.ones(count, np.float32)
    if material is None:
        material = np.full(count, int(Material.SKIN))
    if hair is not None and hair.shade is not None:
        openness = openness * hair.shade
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    triangles, colours = mesh.triangles, mesh.colours
    locks = np.zeros((0, 3), np.float32)
    if hair is not None:
        material, colours = hair.head_material, hair.head_colours
        locks = hair.vertices - framing(mesh)[0]
        triangles = np.concatenate([triangles, hair.triangles + np.int32(count)])
    all_points = np.concatenate([points, locks]).astype(np.float32)
    all_normals = normals if hair is None else np.concatenate([normals, hair.normals])
    key = key_light(all_points, all_normals, triangles, studio)
    received, mirrored = on_head(points, normals, material, openness, key[:count], studio)
    skin = np.isin(material, (Material.SKIN, Material.LIPS, Material.HAIR))
    received = np.where(skin[:, None], crept(received, mesh.triangles), received)
    head = film(linear(colours) * received * MATT + mirrored * GLOSS, studio.exposure)
    if hair is None:
        return head, locks
    received, mirrored = on_hair(locks, hair, key[count:], studio)
    return head, film(stranded(hair) * received * MATT + mirrored * GLOSS, studio.exposure)


def stranded(hair: Hair) -> Float32[np.ndarray, "h 3"]:
    """The colours of locks, either edge of each brighter or darker than others."""
    return hair.colours * (1 + np.float32(STRANDS) * (chance(hair) - np.float32(0.5)))[:, None]


def chance(hair: Hair) -> Float32[np.ndarray, " h"]:
    """A number in [0, 1] for each strand."""
    return ((np.round(hair.across * 7.3) * 0.61803) % 1.0).astype(np.float32)


def key_light(
    points: Float32[np.ndarray, "v 3"],
    normals: Float32[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    studio: Studio,
) -> Float32[np.ndarray, " v"]:
    """The share of the key lamp that reaches each vertex, past the head and its hair."""
    axes, reach = axes_towards(studio.directions()[0]), reach_of(points)
    depth = depth_map(points, triangles, axes, reach, SHADOW_PIXELS).ravel()
    x, y, z = ((points + np.float32(1.2) * normals) @ axes.T).T
    scale, last = np.float32(SHADOW_PIXELS / (2 * reach)), SHADOW_PIXELS - 1
    x, y = last / 2 + x * scale + np.float32(0.5), last / 2 - y * scale + np.float32(0.5)
    lit, above = np.zeros(len(points), np.float32), z + np.float32(0.8)
    for tap in range(SHADOW_TAPS):
        radius = SHADOW_RADIUS * ((tap + 0.5) / SHADOW_TAPS) ** 0.5 * scale
        right, up = radius * np.cos(tap * GOLDEN), radius * np.sin(tap * GOLDEN)
        column = (x + np.float32(right)).astype(np.int32).clip(0, last)
        row = (y - np.float32(up)).astype(np.int32).clip(0, last)
        lit += depth[row * SHADOW_PIXELS + column] < above
    return lit / SHADOW_TAPS


def on_head(
    points: Float32[np.ndarray, "v 3"],
    normals: Float32[np.ndarray, "v 3"],
    material: Int[np.ndarray, " v"],
    openness: Float[np.ndarray, " v"],
    key: Float32[np.ndarray, " v"],
    studio: Studio,
) -> Light:
    """What each vertex of a head receives and mirrors."""
    rough, strength, wrap = SURFACES[material].T
    towards, facing = walked(points, normals, studio)
    opened = (0.24 + 0.76 * openness).astype(np.float32)
    eye = material == Material.EYE
    strength = strength * np.where(eye, 1, 0.45 + 0.55 * ramp(0.05, 0.45, facing))
    ambient = sky(normals, studio)
    received = ambient * opened[:, None]
    # What reaches a fold of skin has been under skin before, and is redder.
    received[:, 0] = np.where(
        material == Material.SKIN, ambient[:, 0] * opened**0.75, received[:, 0]
    )
    sheen = (REFLECTANCE + 0.25 * (1 - facing) ** 5) * opened * strength * 0.6
    mirrored = ambient * sheen[:, None]
    for number, (lamp, colour) in enumerate(
        zip(studio.directions(), studio.colours(), strict=True)
    ):
        cosine = normals @ lamp
        reaches = reaching(number, key, opened)
        gleam = highlight(cosine, facing, normals, towards, lamp, rough) * strength * reaches
        received += (((cosine + wrap) / (1 + wrap)).clip(0) * reaches)[:, None] * colour
        mirrored += gleam[:, None] * colour
    mirrored[eye] += windows(normals[eye], towards[eye])[:, None]
    received[eye] *= (0.15 + 0.85 * opened[eye])[:, None]  # the lid's shade on the ball
    return received.astype(np.float32), mirrored.astype(np.float32)


def on_hair(
    points: Float32[np.ndarray, "h 3"], hair: Hair, key: Float32[np.ndarray, " h"], studio: Studio
) -> Light:
    """What each vertex of a lock receives and mirrors: brightest across the strands."""
    _, strength, wrap = SURFACES[int(Material.LOCK)]
    towards, facing = walked(points, hair.normals, studio)
    opened = (0.10 + 0.90 * hair.openness).astype(np.float32)
    ambient = sky(hair.normals, studio)
    received = ambient * opened[:, None]
    sheen = (REFLECTANCE + 0.25 * (1 - facing) ** 5) * opened * (0.3 * strength)
    mirrored, passed = ambient * sheen[:, None], np.zeros_like(received)
    loose = (chance(hair) - np.float32(0.5)) * np.float32(LOOSE)
    ends = 0.2 + 0.8 * ramp(0, ROOTS, hair.along)
    for number, (lamp, colour) in enumerate(
        zip(studio.directions(), studio.colours(), strict=True)
    ):
        cosine = hair.normals @ lamp
        reaches = reaching(number, key, opened)
        half = towards + lamp
        half /= np.sqrt(dot(half, half))[:, None]
        along, out = dot(hair.tangents, half), dot(hair.normals, half)
        lit = (2.5 * cosine).clip(0, 1) * reaches * ends
        near = 1 - (along + (loose - CUTICLE) * out) ** 2
        far = 1 - (along + (loose + 1.5 * CUTICLE) * out) ** 2
        received += (((cosine + wrap) / (1 + wrap)).clip(0) * reaches)[:, None] * colour
        mirrored += (GLEAM * near.clip(0) ** 90 * lit)[:, None] * colour
        passed += (GLOW * far.clip(0) ** 14 * lit)[:, None] * colour
    tint = hair.colours / (hair.colours @ LUMINANCE)[:, None].clip(1e-4)
    # What is mirrored keeps the lamp's colour, what has been through the strands has theirs.
    mirrored = mirrored * (0.3 + 0.7 * tint) + passed * tint
    return (THICK * received).astype(np.float32), mirrored.astype(np.float32)


def dot(
    first: Float32[np.ndarray, "n 3"], second: Float32[np.ndarray, "n 3"]
) -> Float32[np.ndarray, " n"]:
    """The products of vectors; a sum over an axis of three takes several times as long."""
    return np.einsum("nk,nk->n", first, second)


def walked(
    points: Float32[np.ndarray, "n 3"], normals: Float32[np.ndarray, "n 3"], studio: Studio
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, " n"]]:
    """The direction to a camera that walks around as far as it must, and its cosine."""
    towards = np.array([0, 0, studio.distance], np.float32) - points
    towards /= np.sqrt(dot(towards, towards))[:, None]
    behind = (ALONG - dot(normals, towards)).clip(0).astype(np.float32)
    towards = towards + np.float32(1.5) * normals * behind[:, None]
    towards /= np.sqrt(dot(towards, towards))[:, None]
    return towards, dot(normals, towards).clip(1e-3, 1)


def sky(normals: Float32[np.ndarray, "n 3"], studio: Studio) -> Float32[np.ndarray, "n 3"]:
    """Light from above and from the ground."""
    above = (0.5 + 0.5 * normals[:, 1:2]).astype(np.float32)
    over, under = np.array(studio.sky, np.float32), np.array(studio.ground, np.float32)
    return under + above * (over - under)


def reaching(
    number: int, key: Float32[np.ndarray, " n"], opened: Float32[np.ndarray, " n"]
) -> Float32[np.ndarray, " n"]:
    """The share of a lamp that arrives: the key casts a shadow, the fill comes from all around it,
    rims need the open."""
    return (0.17 + 0.83 * key, 0.35 + 0.65 * opened)[number] if number < 2 else opened


def windows(
    normals: Float32[np.ndarray, "e 3"], towards: Float32[np.ndarray, "e 3"]
) -> Float[np.ndarray, " e"]:
    """What the eyes mirror of the studio's windows."""
    back = 2 * dot(normals, towards)[:, None] * normals - towards
    total = np.zeros(len(normals))
    for x, y, z, half_width, half_height, bright in WINDOWS:
        side = (x * x + z * z) ** 0.5
        u = np.abs((back[:, 0] * z - back[:, 2] * x) / side) / half_width
        v = np.abs(back[:, 1] * side - (back[:, 0] * x + back[:, 2] * z) * y / side) / half_height
        total += bright * ramp(1.15, 0.85, u) * ramp(1.15, 0.85, v) * (back @ (x, y, z) > 0)
    return total


def highlight(
    cosine: Float32[np.ndarray, " v"],
    facing: Float32[np.ndarray, " v"],
    normals: Float32[np.ndarray, "v 3"],
    towards: Float32[np.ndarray, "v 3"],
    lamp: Float32[np.ndarray, "3"],
    roughness: Float32[np.ndarray, " v"],
) -> Float[np.ndarray, " v"]:
    """Two-lobe GGX reflection times the cosine to the lamp, as on the portraits."""
    half = towards + lamp
    half /= np.sqrt(dot(half, half))[:, None]
    straight = dot(normals, half).clip(0) ** 2
    away = (1 - dot(towards, half)).clip(0, 1)
    fresnel = REFLECTANCE + (1 - REFLECTANCE) * away * (away * away) ** 2
    lit, total = cosine.clip(0), np.zeros(len(cosine), np.float32)
    for share, rough in ((0.85, roughness), (0.15, np.maximum(0.12, 0.62 * roughness))):
        a2 = (rough * rough) ** 2
        spread = a2 / (np.pi * (straight * (a2 - 1) + 1) ** 2 + 1e-9)
        k = (rough + 1) ** 2 / 8
        total += share * spread / (4 * (lit * (1 - k) + k) * (facing * (1 - k) + k) + 1e-6)
    return total * fresnel * lit


@lru_cache(maxsize=4)
def _neighbours(triangles: bytes, count: int) -> csr_matrix:
    """A matrix that takes the mean over a vertex and those next to it."""
    corners = np.frombuffer(triangles, np.int32).reshape(-1, 3)
    a, b = corners[:, [0, 1, 2, 1, 2, 0]].ravel(), corners[:, [1, 2, 0, 0, 1, 2]].ravel()
    near = csr_matrix((np.ones(len(a), np.float32), (a, b)), (count, count))
    near.data[:] = 1
    near = near + diags(np.ones(count, np.float32))
    shares = 1 / np.asarray(near.sum(1), np.float32).ravel()
    return csr_matrix(diags(shares) @ near)


def crept(
    received: Float32[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]
) -> Float32[np.ndarray, "v 3"]:
    """Light after it has crept under the skin: red travels farthest."""
    near = _neighbours(np.ascontiguousarray(triangles, np.int32).tobytes(), len(received))
    columns = []
    for light, steps in zip(received.T, CREEPING, strict=True):
        for _ in range(steps):
            light = near @ light
        columns.append(light)
    return np.stack(columns, 1)


def film(light: Float[np.ndarray, "n 3"], exposure: float) -> Float32[np.ndarray, "n 3"]:
    """Light to display values, as `develop` shows it: the film's curve, then the display's."""
    light = np.maximum(light * np.float32(exposure), 0).astype(np.float32)
    whole = light @ LUMINANCE

    def curve(v: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        return (1 + v / np.float32(9)) / (1 + v * np.float32(0.72))

    # The curve on the whole keeps the hue; on each channel it bleaches light.
    shown = light * (np.float32(0.65) * curve(whole)[:, None] + np.float32(0.35) * curve(light))
    bright = np.float32(1.055) * np.maximum(shown, np.float32(1e-6)) ** np.float32(1 / 2.4)
    return np.where(shown <= 0.0031308, 12.92 * shown, bright - np.float32(0.055)).clip(0, 1)

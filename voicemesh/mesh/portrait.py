"""A portrait of one head: soft light, light under the skin, eyes with windows in them."""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8

from voicemesh.kernels.rasterize import Fragments, interpolate

from .export import linear
from .hair import Hair
from .lighting import Triple, vertex_normals
from .morphable import FaceMesh
from .portrait_scene import Layers, Lighting, Seen, Sitter
from .studio import DIFFUSION, SURFACES, Material, Studio
from .view import axes_towards, depth_map, fragments_of, framing, project, turn, without_slivers

SKY_DIRECTIONS = 22
SKY_PIXELS = 160  # a side of the maps in which the sky looks at the head
SHADOW_PIXELS = 400
BACKDROP = (0.80, 0.82, 0.85)


def portrait(
    mesh: FaceMesh,
    size: int = 512,
    yaw: float = 0.0,
    pitch: float = 0.0,
    *,
    hair: Hair | None = None,
    material: Int[np.ndarray, " v"] | None = None,
    openness: Float[np.ndarray, " v"] | None = None,
    width: float | None = None,
    focus: Float[np.ndarray, "3"] | None = None,
    fade: float = 20.0,
    backdrop: Triple = BACKDROP,
    samples: int = 2,
    studio: Studio | None = None,
) -> UInt8[np.ndarray, "size size 3"]:
    """A square picture of a head; yaw turns it to the viewer's right, pitch upwards, in degrees.

    Args:
        hair: what `hair.grow` grew on this head; it brings the colours and materials of the head.
        material: a `Material` per vertex, from `materials`; without it all is skin.
        openness: from `openness_of`, to spare its time when one head is pictured often.
        width: millimetres across the picture at the head; None frames the head.
        focus: the point of the mesh that the head turns about and the camera looks at; None is
            the middle of the head.
        fade: millimetres above the lowest vertex over which the neck fades away; 0 for faces
            that have no neck. The inside of a fading neck is not seen either.
        samples: a side of each pixel's grid of samples.
    """
    from .portrait_cpu import shade
    from .shading_cpu import develop

    studio = studio or Studio()
    hair = hair or bald(mesh, material)
    middle, framed = framing(mesh, hair.vertices)
    middle = middle if focus is None else focus.astype(np.float32)
    side, across = size * samples, width or framed
    if openness is None:
        openness = openness_of(mesh)
    lens = studio.distance, across, side
    sitter = sitter_of(mesh, hair, middle, turn(yaw, pitch), openness, fade, lens)
    shadows, axes, reach = key_shadows(sitter, studio)
    sitter = sitter._replace(triangles=without_slivers(sitter.image, sitter.triangles))
    seen = fragments_of(sitter.image, sitter.triangles, (side, side))
    low = Fragments(*(part[::samples, ::samples] for part in seen))
    turns = np.random.default_rng(0).uniform(0, 2 * np.pi, (61, 61)).astype(np.float32)
    lighting = Lighting(
        distance=studio.distance,
        surfaces=SURFACES,
        directions=studio.directions(),
        colours=studio.colours(),
        sky=np.array(studio.sky),
        ground=np.array(studio.ground),
        axes=axes,
        shadows=shadows,
        reach=reach,
        folds=folds(low, sitter, turns, studio.distance, across / size),
        turns=turns,
    )
    layers = Layers.empty(size, samples)
    shade(Seen(*(part.numpy() for part in seen)), sitter, lighting, layers, samples)
    crept = under_the_skin(layers.creeping, size / across)
    return develop(seen.triangle.numpy(), layers, crept, wall(size, backdrop), studio.exposure)


def sitter_of(
    mesh: FaceMesh,
    hair: Hair,
    middle: Float32[np.ndarray, "3"],
    rotation: Float32[np.ndarray, "3 3"],
    openness: Float[np.ndarray, " v"],
    fade: float,
    lens: tuple[float, float, int],
) -> Sitter:
    """Head and hair, turned about `middle` and seen through a `lens`.

    Args:
        lens: of `view.project`: its distance, millimetres and samples across the picture.
    """
    heads, ribbons = len(mesh.vertices), len(hair.vertices)
    centred = np.concatenate([mesh.vertices, hair.vertices]) - middle
    triangles = np.concatenate([mesh.triangles, hair.triangles + np.int32(heads)])
    normals = np.concatenate([vertex_normals(mesh.vertices, mesh.triangles), hair.normals])
    material = np.concatenate([hair.head_material, np.full(ribbons, int(Material.LOCK))])
    points = centred @ rotation.T
    return Sitter(
        triangles=triangles.astype(np.int32),
        image=project(points, *lens),
        points=points,
        normals=normals @ rotation.T,
        paint=paint_of(mesh, hair, openness, fade),
        material=material.astype(np.int32),
        combs=combs_of(hair, rotation, heads),
        rotation=rotation,
        scalp=middle_of(centred[:heads][hair.head_material == Material.HAIR]),
        open_below=float(centred[:heads, 1].min() + fade),
    )


def key_shadows(
    sitter: Sitter, studio: Studio
) -> tuple[Float32[np.ndarray, "size size"], Float32[np.ndarray, "3 3"], float]:
    """The map of the first lamp's shadows, its axes, and half the side of the map."""
    axes, reach = axes_towards(studio.directions()[0]), reach_of(sitter.points)
    return depth_map(sitter.points, sitter.triangles, axes, reach, SHADOW_PIXELS), axes, reach


def openness_of(mesh: FaceMesh) -> Float32[np.ndarray, " v"]:
    """The share of the sky over each vertex that the head itself does not hide, by cosine."""
    from .shading_cpu import open_to

    triangles = np.ascontiguousarray(mesh.triangles, np.int32)
    middle, _ = framing(mesh)
    points = mesh.vertices - middle
    normals = vertex_normals(mesh.vertices, triangles)
    reach = reach_of(points)
    lit, total = np.zeros((2, len(points)), np.float32)
    for direction in sphere_directions(SKY_DIRECTIONS):
        axes = axes_towards(direction)
        depth = depth_map(points, triangles, axes, reach, SKY_PIXELS)
        open_to(points, normals, direction, axes, depth, reach, lit, total)
    return (lit + 0.05) / (total + 0.05)


def folds(
    seen: Fragments,
    sitter: Sitter,
    turns: Float32[np.ndarray, "n n"],
    distance: float,
    millimetres: float,
) -> Float32[np.ndarray, "height width"]:
    """The light that reaches small folds, in [0, 1] per pixel, a little smoothed."""
    from .shading_cpu import blur, creases

    triangles, normals = (torch.from_numpy(part) for part in (sitter.triangles, sitter.normals))
    facing = interpolate(seen, triangles, normals).numpy()
    depth = seen.depth.numpy()
    away = np.where(depth > 0, 1 / np.maximum(depth, 1e-9), np.float32(1e9))
    return blur(creases(away, facing, turns, distance, millimetres), 0.8)


def bald(mesh: FaceMesh, material: Int[np.ndarray, " v"] | None) -> Hair:
    """No hair but what the mesh is painted with."""
    if material is None:
        material = np.full(len(mesh.vertices), int(Material.SKIN))
    none, empty = np.zeros(0, np.float32), np.zeros((0, 3), np.float32)
    return Hair(
        vertices=empty,
        normals=empty,
        tangents=empty,
        colours=empty,
        openness=none,
        across=none,
        along=none,
        triangles=np.zeros((0, 3), np.int32),
        head_colours=mesh.colours,
        head_material=np.asarray(material, np.int32),
    )


def paint_of(
    mesh: FaceMesh, hair: Hair, openness: Float[np.ndarray, " v"], fade: float
) -> Float32[np.ndarray, "all 5"]:
    """Linear colour, openness and presence of the head's vertices and then of the hair's."""
    below = mesh.vertices[:, 1].min()
    head = [linear(hair.head_colours), openness, presence(mesh.vertices[:, 1] - below, fade)]
    ribbons = [hair.colours, hair.openness, presence(hair.vertices[:, 1] - below, fade)]
    both = [np.column_stack(part) for part in (head, ribbons)]
    return np.concatenate(both).astype(np.float32)


def combs_of(
    hair: Hair, rotation: Float32[np.ndarray, "3 3"], heads: int
) -> Float32[np.ndarray, "all 5"]:
    """Direction of the hair in the picture, and the place in its lock; 0 on the head."""
    ribbons = np.column_stack([hair.tangents @ rotation.T, hair.across, hair.along])
    return np.concatenate([np.zeros((heads, 5)), ribbons]).astype(np.float32)


def presence(height: Float[np.ndarray, " n"], fade: float) -> Float32[np.ndarray, " n"]:
    """How much shows at heights above the mesh's lowest: nothing there, all of it at `fade`."""
    if fade <= 0:
        return np.ones(len(height), np.float32)
    share = (height / fade).clip(0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def reach_of(points: Float32[np.ndarray, "v 3"]) -> float:
    """Half the side of a map of far light that holds the whole mesh."""
    return float(np.linalg.norm(points, axis=1).max()) + 4


def middle_of(points: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "3"]:
    """The middle of the box around points; the origin if there are none."""
    return (points.min(0) + points.max(0)) / 2 if len(points) else np.zeros(3, np.float32)


def sphere_directions(count: int) -> Float32[np.ndarray, "count 3"]:
    """Unit vectors spread evenly by the golden angle."""
    y = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - y * y)
    return np.stack([flat * np.cos(angle), y, flat * np.sin(angle)], 1).astype(np.float32)


def under_the_skin(
    creeping: Float32[np.ndarray, "4 height width"], pixels: float
) -> Float32[np.ndarray, "3 height width"]:
    """Received light after it has crept through the skin; `pixels` are in one millimetre."""
    from .shading_cpu import blur

    area = creeping[3]
    crept = np.zeros_like(creeping[:3])
    for channel, (near, far, share) in enumerate(DIFFUSION):
        for sigma, weight in ((near, 1 - share), (far, share)):
            spread = max(sigma * pixels, 0.3)
            light = blur(creeping[channel], spread) / np.maximum(blur(area, spread), 1e-4)
            crept[channel] += np.float32(weight) * light
    return crept


def wall(size: int, colour: Triple) -> Float32[np.ndarray, "size size 3"]:
    """The backdrop in display values: lighter above, darker in the corners."""
    across = np.linspace(-1, 1, size)
    gradient = np.linspace(1.06, 0.86, size)[:, None]
    corners = 1 - 0.16 * (across[:, None] ** 2 + across**2)
    return ((gradient * corners)[..., None] * np.array(colour)).astype(np.float32)

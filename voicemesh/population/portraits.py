"""Pictures of people: their heads in their own looks, each sitting in its own pose and light.

Framed as photographs of faces are cropped: by the eyes and the mouth, so that a wide head is wide
against its own eyes and not against the picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from voicemesh.mesh.bust import on_shoulders
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.hair_styles import HairStyle
from voicemesh.mesh.landmarks import LANDMARK_GROUPS, LEFT_CHEILION, RIGHT_CHEILION
from voicemesh.mesh.lighting import Triple
from voicemesh.mesh.look import Look
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.mesh.studio import Lamp, Studio
from voicemesh.mesh.view import project, turn

from .appearance import APPEARANCE, STYLES
from .law import People
from .streams import stream

TURN, NOD = 20.0, 10.0  # degrees, largest
EXPRESSION = 0.5  # standard deviations of a random expression
# A crop of FFHQ is four eye distances wide or 3.6 times the way from eyes to mouth, and looks a
# tenth of that way below the eyes (Karras et al. 2019); ours is a little wider, for the hair.
WIDER = 1.04
EYES, MOUTH, BELOW = 4.0 * WIDER, 3.6 * WIDER, 0.1
LOOKS = (*APPEARANCE, "age", *STYLES)
# Where the key light stands (degrees; 0 is the camera, positive the viewer's right), its strength
# and warmth, and the strength of fill, rims and sky against those of the usual studio.
LIGHTS = ("azimuth", "elevation", "key", "warmth", "fill", "rims", "sky", "exposure")
NEUTRAL = (-42.2, 31.5, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0)
NEUTRAL_BACKDROP = (0.80, 0.82, 0.85)
NEUTRAL_CLOTH = (0.33, 0.36, 0.42)
WARM = np.array([0.30, 0.0, -0.42])  # of a lamp's colour, at a warmth of one


@dataclass(frozen=True, eq=False)
class Sitting:
    """How a head holds itself before the camera, and what stands around it."""

    yaw: float = 0.0  # degrees, to the viewer's right
    pitch: float = 0.0  # degrees, upwards
    expression: Float32[np.ndarray, " e"] | None = None  # whitened; None is at rest
    light: tuple[float, ...] = NEUTRAL  # in the order of LIGHTS
    backdrop: Triple = NEUTRAL_BACKDROP
    cloth: Triple = NEUTRAL_CLOTH


@dataclass(frozen=True, eq=False)
class Picture:
    """A portrait, and the camera that took it."""

    pixels: UInt8[np.ndarray, "size size 3"]
    camera: Float32[np.ndarray, "3 4"]  # (x, y, z, 1) in mm -> pixels right, down, to the viewer
    sitting: Sitting


def looks_of(
    people: People, person: int, style: Float[np.ndarray, "14"]
) -> Float32[np.ndarray, " looks"]:
    """What LOOKS names, of a person."""
    return np.array([*people.appearance[person], people.age[person], *style], np.float32)


def look_of(people: People, person: int) -> Look:
    """Skin, eyes and hair of a person."""
    names = ("melanin", "blood", "iris_melanin", "eumelanin", "pheomelanin", "grey")
    return Look(*(float(people.column(name)[person]) for name in names))


def portraits(
    people: People,
    person: int,
    face_model: MorphableModel,
    shape_params: Float[Tensor, " s"],
    style: HairStyle,
    count: int = 4,
    size: int = 128,
    seed: int = 0,
    openness: Float32[np.ndarray, " v"] | None = None,
) -> Iterator[Picture]:
    """`count` pictures of a person; the first looks straight ahead, at rest, in neutral light.

    Hair grows on a model whose paint says where; a model without has none. The `openness` of any
    head of the model will do for pictures as small as these.
    """
    from voicemesh.mesh.hair import grow
    from voicemesh.mesh.render import openness_of

    look, hair = look_of(people, person), None
    resting = face_model.mesh(shape_params, look=look)
    openness = openness_of(resting) if openness is None else openness
    for picture in range(count):
        luck = stream(seed, "portrait", person, picture)
        sat = sitting(luck, face_model.expression_basis.shape[2]) if picture else Sitting()
        mesh = resting
        if sat.expression is not None:
            vertices = face_model.vertices(shape_params, torch.from_numpy(sat.expression))
            mesh = replace(resting, vertices=vertices.cpu().numpy())
        if face_model.paint is not None:
            hair = grow(face_model, mesh, style, look, before=hair)
        yield taken(mesh, sat, size, openness, hair)


def sitting(luck: np.random.Generator, expressions: int) -> Sitting:
    """A random one; whatever the light, the photographer exposes the face about rightly."""
    yaw, pitch = luck.uniform(-TURN, TURN), luck.uniform(-NOD, NOD)
    expression = (EXPRESSION * luck.standard_normal(expressions)).astype(np.float32)
    azimuth, elevation = luck.uniform(-75, 75), luck.uniform(0, 65)
    key, fill, sky = np.exp(np.array([0.35, 0.5, 0.3]) * luck.standard_normal(3))
    warmth, rims = luck.uniform(-0.5, 1.0), luck.uniform(0, 1.3)
    exposure = np.exp(0.15 * luck.standard_normal()) / shed(azimuth, elevation, key, fill, sky)
    backdrop, cloth = paint_of(luck, 0.95), paint_of(luck, 0.8)
    values = (azimuth, elevation, key, warmth, fill, rims, sky, exposure)
    return Sitting(yaw, pitch, expression, tuple(map(float, values)), backdrop, cloth)


def shed(azimuth: float, elevation: float, key: float, fill: float, sky: float) -> float:
    """How much light falls on a face, against an even one."""
    facing = np.cos(np.radians(azimuth)) * np.cos(np.radians(elevation))
    return float(2.2 * key * (0.35 + 0.65 * facing) + 0.6 * fill + 0.6 * sky) / 3.0


def cloth_of(seed: int, person: int, picture: int, expressions: int) -> Triple:
    """The colour of what a person wears in a picture, which is drawn with the sitting."""
    if not picture:
        return NEUTRAL_CLOTH
    return sitting(stream(seed, "portrait", person, picture), expressions).cloth


def paint_of(luck: np.random.Generator, lightest: float) -> Triple:
    """Any colour, most often a quiet one, in display values."""
    hue, strength, value = luck.uniform(), luck.uniform() ** 2, luck.uniform(0.15, lightest)
    faded = 0.5 + 0.5 * np.cos(2 * np.pi * (hue - np.arange(3) / 3))
    red, green, blue = value * (1 - 0.6 * strength * faded)
    return float(red), float(green), float(blue)


def taken(
    mesh: FaceMesh,
    sat: Sitting,
    size: int,
    openness: Float32[np.ndarray, " v"] | None = None,
    hair: Hair | None = None,
) -> Picture:
    """The picture of a head in this sitting."""
    from voicemesh.mesh.render import openness_of, portrait

    focus, width = framed(mesh, sat)
    studio = studio_of(sat.light)
    openness = openness_of(mesh) if openness is None else openness
    bust, openness, hair = on_shoulders(mesh, openness, hair, sat.cloth)
    pixels = portrait(
        bust,
        size,
        sat.yaw,
        sat.pitch,
        focus=focus,
        width=width,
        fade=0.0,
        backdrop=sat.backdrop,
        studio=studio,
        openness=openness,
        hair=hair,
    )
    return Picture(pixels, camera_of(mesh, sat, focus, width, studio.distance, size), sat)


def framed(mesh: FaceMesh, sat: Sitting) -> tuple[Float32[np.ndarray, "3"], float]:
    """The point that the camera looks at, and the millimetres across the picture there."""
    points = mesh.vertices[mesh.landmarks]
    right, left = (points[LANDMARK_GROUPS[f"{side}_eye"]].mean(0) for side in ("right", "left"))
    eyes, mouth = (right + left) / 2, (points[RIGHT_CHEILION] + points[LEFT_CHEILION]) / 2
    across, down = (turn(sat.yaw, sat.pitch) @ np.stack([left - right, mouth - eyes], 1))[:2].T
    width = max(EYES * np.hypot(*across), MOUTH * np.hypot(*down))
    return (eyes + BELOW * (mouth - eyes)).astype(np.float32), float(width)


def camera_of(
    mesh: FaceMesh,
    sat: Sitting,
    focus: Float32[np.ndarray, "3"],
    width: float,
    distance: float,
    size: int,
) -> Float32[np.ndarray, "3 4"]:
    """The weak perspective nearest to the true one, by least squares over the landmarks."""
    rotation = turn(sat.yaw, sat.pitch)
    turned = (mesh.vertices[mesh.landmarks] - focus) @ rotation.T
    seen = project(turned, distance, width, size)[:, :2] * [1, -1]
    middle, centre = seen.mean(0), turned.mean(0)
    flat = (turned - centre)[:, :2]
    scale = ((seen - middle) * flat).sum() / np.square(flat).sum()
    rows = scale * rotation
    offset = np.array([*(middle - scale * centre[:2]), 0.0]) - rows @ focus
    down = np.array([[1.0], [-1.0], [1.0]])
    return (down * np.column_stack([rows, offset])).astype(np.float32)


def studio_of(light: tuple[float, ...]) -> Studio:
    """The usual studio with its lamps moved, coloured and dimmed as LIGHTS say."""
    told = dict(zip(LIGHTS, light, strict=True))
    usual = Studio()
    warm = 1 + told["warmth"] * WARM
    key, fill, *rims = usual.lamps
    opposite = -1.15 * told["azimuth"]
    lamps = (
        Lamp(_towards(told["azimuth"], told["elevation"]), _tinted(key, told["key"] * warm)),
        Lamp(_towards(opposite, 5.0), _tinted(fill, told["fill"] * np.ones(3))),
        *(Lamp(rim.direction, _tinted(rim, told["rims"] * np.ones(3))) for rim in rims),
    )
    sky, ground = (
        tuple((told["sky"] * np.array(colour)).tolist()) for colour in (usual.sky, usual.ground)
    )
    return Studio(usual.distance, lamps, sky, ground, usual.exposure * told["exposure"])


def _towards(azimuth: float, elevation: float) -> tuple[float, float, float]:
    a, b = np.radians([azimuth, elevation])
    return float(np.sin(a) * np.cos(b)), float(np.sin(b)), float(np.cos(a) * np.cos(b))


def _tinted(lamp: Lamp, by: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    red, green, blue = np.array(lamp.colour) * by
    return float(red), float(green), float(blue)

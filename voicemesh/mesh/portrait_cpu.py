"""The compiled loop over the samples of a portrait.

Compiled on first use, then kept in the compiler's cache; releases the interpreter lock.
"""

import math
from typing import no_type_check

import numpy as np

from voicemesh.kernels.compiling import compiled

from . import portrait_grain, portrait_light
from .portrait_grain import lock, texture
from .portrait_light import REFLECTANCE, mirror, shadow, window_light
from .studio import Material

SKIN, EYE, HAIR, LOCK = (
    int(material) for material in (Material.SKIN, Material.EYE, Material.HAIR, Material.LOCK)
)
NECK = 120.0  # millimetres through it

loop = compiled(portrait_grain, portrait_light, nogil=True, fastmath=True, error_model="numpy")


@loop
@no_type_check
def corners(t, sitter):
    """The three vertices of a triangle."""
    return sitter.triangles[t, 0], sitter.triangles[t, 1], sitter.triangles[t, 2]


@loop
@no_type_check
def surface(t, w, sitter, at, n):
    """Fills position and unit normal under a sample; perspective weights, whether it is a back."""
    image, points, normals = sitter.image, sitter.points, sitter.normals
    a, b, c = corners(t, sitter)
    w0, w1, w2 = w[0] * image[a, 2], w[1] * image[b, 2], w[2] * image[c, 2]
    total = w0 + w1 + w2
    w0, w1, w2 = w0 / total, w1 / total, w2 / total
    length = 0.0
    for k in range(3):
        at[k] = w0 * points[a, k] + w1 * points[b, k] + w2 * points[c, k]
        n[k] = w0 * normals[a, k] + w1 * normals[b, k] + w2 * normals[c, k]
        length += n[k] * n[k]
    # Rows run down, so triangles that face the viewer are clockwise in the image.
    area = (image[b, 0] - image[a, 0]) * (image[c, 1] - image[a, 1]) - (
        image[c, 0] - image[a, 0]
    ) * (image[b, 1] - image[a, 1])
    back = area > 0
    length = math.sqrt(length) + 1e-12
    for k in range(3):
        n[k] = -n[k] / length if back else n[k] / length
    return w0, w1, w2, back


@loop
@no_type_check
def smooth(depth, top, left, step):
    """Whether the samples of a pixel lie on one surface, so that half of them tell its light."""
    nearest, farthest = depth[top, left], depth[top, left]
    for row in range(top, top + step):
        for column in range(left, left + step):
            nearest = max(nearest, depth[row, column])
            farthest = min(farthest, depth[row, column])
    # A millimetre and a half at the usual distance; where nothing was drawn it is far below 0.
    return step % 2 == 0 and farthest > 0 and nearest - farthest < 1.4e-3 * farthest


@loop
@no_type_check
def painted(t, w0, w1, w2, sitter, shown):
    """Fills colour and presence under a sample; returns openness to the sky and material."""
    paint, material = sitter.paint, sitter.material
    a, b, c = corners(t, sitter)
    for k in range(3):
        shown[k] = w0 * paint[a, k] + w1 * paint[b, k] + w2 * paint[c, k]
    opened = w0 * paint[a, 3] + w1 * paint[b, 3] + w2 * paint[c, 3]
    shown[3] = w0 * paint[a, 4] + w1 * paint[b, 4] + w2 * paint[c, 4]
    made_of = material[a] if w0 >= w1 and w0 >= w2 else material[b] if w1 >= w2 else material[c]
    return opened, made_of


@loop
@no_type_check
def through_the_neck(at, view, sitter):
    """Whether the inside of the head is seen here through the end of the neck."""
    height = 0.0
    for k in range(3):
        height += (at[k] + NECK * view[k]) * sitter.rotation[k, 1]
    return height < sitter.open_below


@loop
@no_type_check
def surround(n, nv, opened, strength, made_of, lighting, received, mirrored):
    """Fills in what sky and ground give to a surface."""
    hemisphere = 0.5 + 0.5 * n[1]
    grazed = 1 - nv
    sheen = (REFLECTANCE + 0.25 * grazed**5) * opened * strength * 0.6
    for k in range(3):
        ambient = lighting.sky[k] * hemisphere + lighting.ground[k] * (1 - hemisphere)
        # What reaches a fold of skin has been under skin before, and is redder.
        received[k] = ambient * (opened**0.75 if k == 0 and made_of == SKIN else opened)
        mirrored[k] = ambient * sheen


@loop
@no_type_check
def shade(seen, sitter, lighting, layers, step):
    """One pass over the samples, `step` on a side of each pixel; all is in linear light.

    The groups are those of `portrait_scene`; `layers` are filled.
    """
    side = seen.triangle.shape[0]
    folds, turns = lighting.folds, lighting.turns
    at, n, view = np.zeros(3), np.zeros(3), np.zeros(3)
    received, mirrored = np.zeros(3), np.zeros(3)
    combed = np.zeros(3)
    for row in range(side):
        for column in range(side):
            t, y, x = seen.triangle[row, column], row // step, column // step
            if (row % step) + (column % step) == 0:
                layers.halved[y, x] = smooth(seen.depth, row, column, step)
            if t < 0 or ((row + column) % 2 == 1 and layers.halved[y, x]):
                continue
            shown = layers.albedo[row, column]
            w0, w1, w2, back = surface(t, seen.weights[row, column], sitter, at, n)
            opened, made_of = painted(t, w0, w1, w2, sitter, shown)
            rough, strength, wrap = lighting.surfaces[made_of]
            if made_of == LOCK:
                a, b, c = corners(t, sitter)
                grain = lock(a, b, c, w0, w1, w2, sitter.combs, shown, combed)
                if back:  # ribbons have no inside
                    n[0], n[1], n[2] = -n[0], -n[1], -n[2]
                    back = False
            else:
                grain = texture(at, n, made_of, sitter.rotation, sitter.scalp, shown, combed)
            away = math.sqrt(at[0] ** 2 + at[1] ** 2 + (lighting.distance - at[2]) ** 2)
            view[0], view[1] = -at[0] / away, -at[1] / away
            view[2] = (lighting.distance - at[2]) / away
            if back and through_the_neck(at, view, sitter):
                shown[3] = 0
            nv = min(1.0, max(1e-3, n[0] * view[0] + n[1] * view[1] + n[2] * view[2]))
            grazing = min(1.0, max(0.0, (nv - 0.05) / 0.4))
            if made_of == SKIN:
                strength *= 0.55 + 0.9 * grain
            if made_of != EYE:
                strength *= 0.45 + 0.55 * grazing * grazing * (3 - 2 * grazing)
            fold = folds[y, x]
            opened = 0.24 + 0.76 * opened * fold
            if back:
                opened *= 0.3
            surround(n, nv, opened, strength, made_of, lighting, received, mirrored)
            turn = turns[row % turns.shape[0], column % turns.shape[1]]
            shadowed = shadow(at, n, lighting.axes, lighting.shadows, lighting.reach, turn)
            keyed = (0.17 + 0.83 * shadowed) * (0.45 + 0.55 * fold)
            for lamp in range(lighting.directions.shape[0]):
                towards = lighting.directions[lamp]
                nl = n[0] * towards[0] + n[1] * towards[1] + n[2] * towards[2]
                if nl <= -wrap:
                    continue
                # The key casts its shadow, the fill comes from all around it, rims need the open.
                reaches = keyed if lamp == 0 else (0.35 + 0.65 * opened if lamp == 1 else opened)
                reaches *= 0.3 if back else 1.0
                wrapped = (nl + wrap) / (1 + wrap) * reaches
                gleam = reaches * mirror(n, view, nv, towards, nl, made_of, rough, combed)
                gleam *= grain if made_of == HAIR or made_of == LOCK else strength
                for k in range(3):
                    received[k] += wrapped * lighting.colours[lamp, k]
                    mirrored[k] += gleam * lighting.colours[lamp, k]
            if made_of == EYE:
                windows = window_light(n, view, nv) * (0.3 + 0.7 * fold)
                for k in range(3):
                    received[k] *= 0.15 + 0.85 * opened  # the lid's shade on the ball
                    mirrored[k] += windows
            for k in range(3):
                layers.diffuse[row, column, k] = received[k]
                layers.shine[row, column, k] = mirrored[k]
            if made_of == EYE or made_of == LOCK:
                shown[3] = -1 - shown[3]  # no creeping light here
            else:
                for k in range(3):
                    layers.creeping[k, y, x] += received[k]
                layers.creeping[3, y, x] += 1

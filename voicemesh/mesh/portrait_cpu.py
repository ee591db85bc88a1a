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
def surface(t, w, triangles, image, points, normals, at, n):
    """Fills position and unit normal under a sample; returns perspective weights and "is a back".

    `image` holds what `view.project` gave.
    """
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
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
def shade(
    triangle,  # [side, side], weights [side, side, 3] and depth: what `rasterize` found
    weights,
    triangles,
    image,  # [v, 3] as `view.project` gave it
    points,  # [v, 3] turned, about the middle of the view
    normals,  # [v, 3] turned
    paint,  # [v, 5] linear colour, openness to the sky, presence
    depth,  # [side, side] as `view.project` gave it
    material,  # [v]
    combs,  # [v, 5] direction of the hair, turned; millimetres across and along it
    surfaces,  # [materials, 3] as studio.SURFACES
    directions,  # [lamps, 3]
    lamps,  # [lamps, 3] colours
    sky,
    ground,
    axes,  # of the key light, for `shadow`
    shade_map,
    reach,
    folds,  # [side / step, side / step] from `creases`
    turns,  # [n, n] random angles, a tile over the samples
    turned,  # [3, 3] the rotation of the head
    scalp,  # the middle of the hair, in the head's own frame
    open_below,  # height, in the head's own frame, at which the neck opens
    distance,
    step,
    diffuse,  # [side, side, 3] out: light that the surface receives
    shine,  # [side, side, 3] out: light that it mirrors
    albedo,  # [side, side, 4] out: its colour and presence
    halved,  # [side / step, side / step] out: pixels of which every other sample was left out
    creeping,  # [4, side / step, side / step] out, zero before: light on skin, and its area
):
    # One pass over the samples; everything is in linear light.
    side = triangle.shape[0]
    at, n, view = np.zeros(3), np.zeros(3), np.zeros(3)
    received, mirrored = np.zeros(3), np.zeros(3)
    combed = np.zeros(3)
    for row in range(side):
        for column in range(side):
            t = triangle[row, column]
            if (row % step) + (column % step) == 0:
                halved[row // step, column // step] = smooth(depth, row, column, step)
            if t < 0 or ((row + column) % 2 == 1 and halved[row // step, column // step]):
                continue
            w = weights[row, column]
            w0, w1, w2, back = surface(t, w, triangles, image, points, normals, at, n)
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            for k in range(3):
                albedo[row, column, k] = w0 * paint[a, k] + w1 * paint[b, k] + w2 * paint[c, k]
            opened = w0 * paint[a, 3] + w1 * paint[b, 3] + w2 * paint[c, 3]
            albedo[row, column, 3] = w0 * paint[a, 4] + w1 * paint[b, 4] + w2 * paint[c, 4]
            made_of = (
                material[a] if w0 >= w1 and w0 >= w2 else material[b] if w1 >= w2 else material[c]
            )
            rough, strength, wrap = surfaces[made_of]
            if made_of == LOCK:
                grain = lock(a, b, c, w0, w1, w2, combs, albedo[row, column], combed)
                if back:  # ribbons have no inside
                    n[0], n[1], n[2] = -n[0], -n[1], -n[2]
                    back = False
            else:
                grain = texture(at, n, made_of, turned, scalp, albedo[row, column], combed)
            away = math.sqrt(at[0] ** 2 + at[1] ** 2 + (distance - at[2]) ** 2)
            view[0], view[1], view[2] = -at[0] / away, -at[1] / away, (distance - at[2]) / away
            if back:
                # Inside the head: not shown if it is seen through the end of the neck.
                height = 0.0
                for k in range(3):
                    height += (at[k] + NECK * view[k]) * turned[k, 1]
                if height < open_below:
                    albedo[row, column, 3] = 0
            nv = min(1.0, max(1e-3, n[0] * view[0] + n[1] * view[1] + n[2] * view[2]))
            grazing = min(1.0, max(0.0, (nv - 0.05) / 0.4))
            if made_of == SKIN:
                strength *= 0.55 + 0.9 * grain
            if made_of != EYE:
                strength *= 0.45 + 0.55 * grazing * grazing * (3 - 2 * grazing)
            fold = folds[row // step, column // step]
            opened = 0.24 + 0.76 * opened * fold
            if back:
                opened *= 0.3
            turn = turns[row % turns.shape[0], column % turns.shape[1]]
            hemisphere = 0.5 + 0.5 * n[1]
            grazed = 1 - nv
            sheen = (REFLECTANCE + 0.25 * grazed**5) * opened * strength * 0.6
            for k in range(3):
                ambient = sky[k] * hemisphere + ground[k] * (1 - hemisphere)
                # What reaches a fold of skin has been under skin before, and is redder.
                received[k] = ambient * (opened**0.75 if k == 0 and made_of == SKIN else opened)
                mirrored[k] = ambient * sheen
            keyed = (0.17 + 0.83 * shadow(at, n, axes, shade_map, reach, turn)) * (
                0.45 + 0.55 * fold
            )
            dim = 0.3 if back else 1.0
            for lamp in range(directions.shape[0]):
                towards = directions[lamp]
                nl = n[0] * towards[0] + n[1] * towards[1] + n[2] * towards[2]
                if nl <= -wrap:
                    continue
                # The key casts its shadow, the fill comes from all around it, rims need the open.
                reaches = keyed if lamp == 0 else (0.35 + 0.65 * opened if lamp == 1 else opened)
                reaches *= dim
                wrapped = (nl + wrap) / (1 + wrap) * reaches
                gleam = reaches * mirror(n, view, nv, towards, nl, made_of, rough, combed)
                gleam *= grain if made_of == HAIR or made_of == LOCK else strength
                for k in range(3):
                    received[k] += wrapped * lamps[lamp, k]
                    mirrored[k] += gleam * lamps[lamp, k]
            if made_of == EYE:
                windows = window_light(n, view, nv) * (0.3 + 0.7 * fold)
                for k in range(3):
                    received[k] *= 0.15 + 0.85 * opened  # the lid's shade on the ball
                    mirrored[k] += windows
            for k in range(3):
                diffuse[row, column, k] = received[k]
                shine[row, column, k] = mirrored[k]
            if made_of == EYE or made_of == LOCK:
                albedo[row, column, 3] = -1 - albedo[row, column, 3]  # no creeping light here
            else:
                for k in range(3):
                    creeping[k, row // step, column // step] += received[k]
                creeping[3, row // step, column // step] += 1

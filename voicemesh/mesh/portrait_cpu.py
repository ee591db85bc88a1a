"""The compiled loop over the samples of a portrait, and the light and matter that it asks for.

Compiled on first use, then kept in the compiler's cache; all release the interpreter lock. One
file, since that cache does not notice a change in a function of another file.
"""

import math
from typing import no_type_check

import numpy as np

from voicemesh.kernels.compiling import compiled

SKIN, EYE, HAIR, LOCK = 0, 1, 2, 5  # of studio.Material
SHADOW_TAPS = 8  # per sample; the samples of a pixel turn their patterns differently
SHADOW_RADIUS = 7.5  # millimetres
GOLDEN = 2.399963
CROWN = (0.0, 0.82, -0.57)  # where the hair parts, seen from the middle of the scalp
STRANDS = 85.0  # clumps of hair in a radian about the crown
CROP = 11.0  # millimetres along which a clump stays the same
NECK = 120.0  # millimetres through it
REFLECTANCE = 0.028  # of skin at normal incidence
# Two windows mirrored in the eyes: direction, half width, half height, brightness.
WINDOWS = ((-0.392, 0.467, 0.793, 0.17, 0.22, 2.6), (0.636, 0.051, 0.770, 0.08, 0.22, 0.35))

loop = compiled(nogil=True, fastmath=True, error_model="numpy")


@loop
@no_type_check
def noise(x, y, z):
    """Smooth noise in [0, 1] with features of size 1."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    x, y, z = x - fx, y - fy, z - fz
    x, y, z = x * x * (3 - 2 * x), y * y * (3 - 2 * y), z * z * (3 - 2 * z)
    total = 0.0
    for corner in range(8):
        i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
        h = ((ix + i) * 73856093) ^ ((iy + j) * 19349663) ^ ((iz + k) * 83492791)
        h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFF
        weight = (x if i else 1 - x) * (y if j else 1 - y) * (z if k else 1 - z)
        total += weight * (h / 16777216.0)
    return total


@loop
@no_type_check
def strands(at, tangent):
    """Noise of combed hair at a point about the middle of the scalp; fills its direction."""
    radius = math.sqrt(at[0] ** 2 + at[1] ** 2 + at[2] ** 2) + 1e-6
    rise = (at[0] * CROWN[0] + at[1] * CROWN[1] + at[2] * CROWN[2]) / radius
    aside = (CROWN[1] * at[2] - CROWN[2] * at[1]) / radius
    about = math.atan2(aside, at[0] / radius)
    down = math.acos(min(1.0, max(-1.0, rise))) * radius
    length = 1e-6
    for k in range(3):
        tangent[k] = at[k] / radius * rise - CROWN[k]
        length += tangent[k] ** 2
    length = math.sqrt(length)
    for k in range(3):
        tangent[k] /= length
    coarse = noise(about * STRANDS, down / CROP, 0.5)
    fine = noise(about * STRANDS * 2.7, down / CROP * 1.6, 7.5)
    return 0.5 * coarse + 0.5 * fine


@loop
@no_type_check
def texture(at, n, made_of, turned, scalp, shown, combed):
    """Draws strands or blotches into the colour `shown`; returns the grain of hair or pores.

    Fills `combed` with the direction of the hair.
    """
    own, tangent = np.empty(3), np.empty(3)
    for k in range(3):
        own[k] = at[0] * turned[0, k] + at[1] * turned[1, k] + at[2] * turned[2, k]
    if made_of == HAIR:
        for k in range(3):
            own[k] -= scalp[k]
        lift = strands(own, tangent)
        for k in range(3):
            shown[k] *= 0.25 + 1.1 * lift
            combed[k] = 0.5 * (lift - 0.5) * n[k]
            for j in range(3):
                combed[k] += turned[k, j] * tangent[j]
        return lift
    if made_of != SKIN:
        return 1.0
    blotch = noise(own[0] / 4.5, own[1] / 4.5, own[2] / 4.5)
    flush = noise(own[0] / 13.0, own[1] / 13.0, own[2] / 13.0 + 5.0)
    pores = noise(own[0] / 0.7, own[1] / 0.7, own[2] / 0.7)
    shown[0] *= 0.955 + 0.03 * blotch + 0.03 * flush + 0.03 * pores
    shown[1] *= 0.89 + 0.07 * blotch + 0.09 * flush + 0.06 * pores
    shown[2] *= 0.89 + 0.07 * blotch + 0.09 * flush + 0.06 * pores
    return pores


@loop
@no_type_check
def lock(a, b, c, w0, w1, w2, combs, shown, combed):
    """Draws the strands of a ribbon into the colour `shown`; returns their grain.

    Fills `combed` with their direction.
    """
    across = w0 * combs[a, 3] + w1 * combs[b, 3] + w2 * combs[c, 3]
    along = w0 * combs[a, 4] + w1 * combs[b, 4] + w2 * combs[c, 4]
    coarse = noise(across / 1.6, along / 38.0, 0.5)
    fine = noise(across / 0.6, along / 16.0, 7.5)
    lift = min(1.0, max(0.0, 0.5 + 1.7 * (0.5 * coarse + 0.5 * fine - 0.5)))
    length = 1e-6
    for k in range(3):
        shown[k] *= 0.3 + 1.35 * lift
        combed[k] = w0 * combs[a, k] + w1 * combs[b, k] + w2 * combs[c, k]
        length += combed[k] * combed[k]
    length = math.sqrt(length)
    for k in range(3):
        combed[k] /= length
    return lift


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
def shadow(at, n, axes, shade_map, reach, turn):
    """Share of the key light that reaches a point: soft edges by a turned spiral of taps.

    `axes` are right, up and forward of the lamp; `reach` is half the side of its square map.
    """
    size = shade_map.shape[0]
    x = y = z = 0.0
    for k in range(3):
        p = at[k] + n[k] * 1.2
        x += p * axes[0, k]
        y += p * axes[1, k]
        z += p * axes[2, k]
    scale = size / (2 * reach)
    middle = (size - 1) / 2
    lit = 0
    for tap in range(SHADOW_TAPS):
        r = math.sqrt((tap + 0.5) / SHADOW_TAPS) * SHADOW_RADIUS
        angle = turn + tap * GOLDEN
        column = int(middle + (x + r * math.cos(angle)) * scale + 0.5)
        row = int(middle - (y + r * math.sin(angle)) * scale + 0.5)
        if not (0 <= row < size and 0 <= column < size) or shade_map[row, column] < z + 0.8:
            lit += 1
    return lit / SHADOW_TAPS


@loop
@no_type_check
def highlight(nl, nv, nh, vh, roughness):
    """Two-lobe GGX reflection times the cosine to the light."""
    total = 0.0
    fresnel = 1 - vh
    fresnel = REFLECTANCE + (1 - REFLECTANCE) * fresnel * fresnel * fresnel * fresnel * fresnel
    for lobe in range(2):
        rough = roughness if lobe == 0 else max(0.12, roughness * 0.62)
        a2 = rough * rough * rough * rough
        d = nh * nh * (a2 - 1) + 1
        k = (rough + 1) * (rough + 1) / 8
        g = 4 * (nl * (1 - k) + k) * (nv * (1 - k) + k) + 1e-6
        total += (0.85 if lobe == 0 else 0.15) * a2 / (math.pi * d * d + 1e-9) / g
    return total * fresnel * nl


@loop
@no_type_check
def mirror(n, view, nv, towards, nl, made_of, rough, combed):
    """The share of a lamp's light that a surface mirrors into the camera."""
    if nl <= 0:
        return 0.0
    hx, hy, hz = view[0] + towards[0], view[1] + towards[1], view[2] + towards[2]
    h = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
    if made_of == HAIR or made_of == LOCK:  # brightest across the strands (Kajiya and Kay)
        along = (combed[0] * hx + combed[1] * hy + combed[2] * hz) / h
        across = max(0.0, 1 - along * along)
        shone = 0.03 * across**16 if made_of == HAIR else 0.012 * across**12 + 0.075 * across**60
        return shone * min(1.0, 3 * nl)
    nh = max(0.0, (n[0] * hx + n[1] * hy + n[2] * hz) / h)
    vh = max(0.0, (view[0] * hx + view[1] * hy + view[2] * hz) / h)
    return highlight(nl, nv, nh, vh, rough)


@loop
@no_type_check
def window_light(n, view, nv):
    """What an eye mirrors of the studio's windows."""
    total = 0.0
    for i in range(2):
        cx, cy, cz, half_width, half_height, bright = WINDOWS[i]
        rx, ry, rz = 2 * nv * n[0] - view[0], 2 * nv * n[1] - view[1], 2 * nv * n[2] - view[2]
        if rx * cx + ry * cy + rz * cz <= 0:
            continue
        side = math.sqrt(cx * cx + cz * cz)
        u = abs((rx * cz - rz * cx) / side)
        v = abs(-rx * cx * cy / side + ry * side - rz * cz * cy / side)
        a = min(1.0, max(0.0, (half_width * 1.15 - u) / (half_width * 0.3)))
        b = min(1.0, max(0.0, (half_height * 1.15 - v) / (half_height * 0.3)))
        total += a * a * (3 - 2 * a) * b * b * (3 - 2 * b) * bright
    return total


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

"""Compiled loops over vertices and pixels for `lighting` and `render`.

Compiled on first use, then kept in the compiler's cache; all release the interpreter lock.
"""

import math
from typing import no_type_check

import numpy as np

from voicemesh.kernels.compiling import compiled

CREASE_TAPS = 12
CREASE_RADIUS = 6.0  # millimetres
GOLDEN = 2.399963  # radians
MATT, GLOSS = 0.493, 0.9  # the shares of scattered and of mirrored light, set by eye
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of the sRGB primaries


@compiled(nogil=True)
@no_type_check
def normals(vertices, triangles):
    """Area-weighted unit normals [v, 3]; zero where there is no area."""
    total = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x1, x2 = vertices[b, 0] - vertices[a, 0], vertices[c, 0] - vertices[a, 0]
        y1, y2 = vertices[b, 1] - vertices[a, 1], vertices[c, 1] - vertices[a, 1]
        z1, z2 = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
        for i in (a, b, c):
            total[i, 0] += nx
            total[i, 1] += ny
            total[i, 2] += nz
    for i in range(total.shape[0]):
        length = np.sqrt(total[i, 0] ** 2 + total[i, 1] ** 2 + total[i, 2] ** 2)
        if length > np.float32(0):
            for k in range(3):
                total[i, k] /= length
    return total


@compiled(nogil=True)
@no_type_check
def shine_on(placed, normals, places, colours, strengths, exponent):
    """Sim3DR's light at vertices in the unit box; `places` are of the light and the viewer."""
    total = np.empty_like(placed)
    to_light, to_viewer = np.empty(3, dtype=np.float32), np.empty(3, dtype=np.float32)
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    for i in range(placed.shape[0]):
        far_light, far_viewer = zero, zero
        for k in range(3):
            to_light[k], to_viewer[k] = places[0, k] - placed[i, k], places[1, k] - placed[i, k]
            far_light += to_light[k] * to_light[k]
            far_viewer += to_viewer[k] * to_viewer[k]
        far_light, far_viewer = np.sqrt(far_light), np.sqrt(far_viewer)
        cosine = zero
        for k in range(3):
            to_light[k] /= far_light
            to_viewer[k] /= far_viewer
            cosine += normals[i, k] * to_light[k]
        specular = zero
        if cosine != zero:
            for k in range(3):
                axis = to_viewer[k] * (two * cosine * normals[i, k] - to_light[k])
                power = one
                for _ in range(exponent):
                    power *= axis
                specular += power
        direct = strengths[1] * max(cosine, zero)
        direct += strengths[2] * min(max(specular, zero), one)
        for k in range(3):
            sent = strengths[0] * colours[0, k] + direct * colours[1, k]
            total[i, k] = min(max(sent, zero), one)
    return total


@compiled(nogil=True)
@no_type_check
def blend(triangle, weights, triangles, colours, image, alpha, reverse):
    """Colours over the bytes of an image, in place: truncate((1 - alpha) old + alpha 255 new)."""
    height, width = triangle.shape
    rest, full = np.float32(1) - np.float32(alpha), np.float32(alpha) * np.float32(255)
    for y in range(height):
        row = height - 1 - y if reverse else y
        for x in range(width):
            t = triangle[y, x]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            w0, w1, w2 = weights[y, x, 0], weights[y, x, 1], weights[y, x, 2]
            for k in range(image.shape[2]):
                new = w0 * colours[a, k] + w1 * colours[b, k] + w2 * colours[c, k]
                byte = rest * np.float32(image[row, x, k]) + full * new
                image[row, x, k] = np.uint8(min(max(byte, np.float32(0)), np.float32(255)))


@compiled(nogil=True, fastmath=True)
@no_type_check
def blur(plane, sigma):
    """A Gaussian over a plane, in samples; nothing comes in over the edge."""
    radius = math.ceil(2.6 * sigma)
    taps = np.empty(radius + 1, dtype=np.float32)
    for i in range(radius + 1):
        taps[i] = math.exp(-0.5 * (i / sigma) ** 2)
    taps /= taps[0] + 2 * taps[1:].sum()
    height, width = plane.shape
    across = plane * taps[0]
    for y in range(height):
        for i in range(1, radius + 1):
            for x in range(width - i):
                across[y, x] += taps[i] * plane[y, x + i]
            for x in range(i, width):
                across[y, x] += taps[i] * plane[y, x - i]
    down = across * taps[0]
    for y in range(height):
        for i in range(1, min(radius, height - 1) + 1):
            if y + i < height:
                for x in range(width):
                    down[y, x] += taps[i] * across[y + i, x]
            if y - i >= 0:
                for x in range(width):
                    down[y, x] += taps[i] * across[y - i, x]
    return down


@compiled(nogil=True, fastmath=True)
@no_type_check
def open_to(points, normals, direction, axes, depth, reach, lit, total):
    """Add one direction of the sky to each vertex: the light that gets through, and all of it.

    `depth` is the square map of the mesh seen from that direction.
    """
    size = depth.shape[0]
    scale, middle = size / (2 * reach), (size - 1) / 2
    for i in range(points.shape[0]):
        facing = 0.0
        for k in range(3):
            facing += normals[i, k] * direction[k]
        if facing <= 0:
            continue
        x = y = z = 0.0
        for k in range(3):
            p = points[i, k] + normals[i, k] * 2.0
            x += p * axes[0, k]
            y += p * axes[1, k]
            z += p * axes[2, k]
        column, row = int(middle + x * scale + 0.5), int(middle - y * scale + 0.5)
        total[i] += facing
        if not (0 <= row < size and 0 <= column < size) or depth[row, column] < z + 1.5:
            lit[i] += facing


@compiled(nogil=True, fastmath=True)
@no_type_check
def creases(depth, normal, turns, distance, millimetres):
    """Light that reaches small folds, in [0, 1] per pixel: occlusion within CREASE_RADIUS.

    `depth` is the distance to the camera plane, `normal` [height, width, 3] need not be of unit
    length; `millimetres` is a pixel's width at `distance`.
    """
    height, width = depth.shape
    middle = (width - 1) / 2
    light = np.ones((height, width), dtype=np.float32)
    for y in range(height):
        for x in range(width):
            z = depth[y, x]
            if z > 1e8:
                continue
            nx, ny, nz = normal[y, x, 0], normal[y, x, 1], normal[y, x, 2]
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
            length = -length if nz < 0 else length  # the inside of the mesh
            nx, ny, nz = nx / length, ny / length, nz / length
            lens = z * millimetres / distance  # a pixel's width at this depth
            px, py = (x - middle) * lens, (middle - y) * lens
            turn = turns[y % turns.shape[0], x % turns.shape[1]]
            hidden, total = 0.0, 0.0
            for tap in range(CREASE_TAPS):
                dz = (tap + 0.5) / CREASE_TAPS
                flat = math.sqrt(1 - dz * dz)
                dx = flat * math.cos(turn + tap * GOLDEN)
                dy = flat * math.sin(turn + tap * GOLDEN)
                reach = CREASE_RADIUS * (0.15 + 0.85 * ((tap * 7) % CREASE_TAPS) / CREASE_TAPS)
                facing = dx * nx + dy * ny + dz * nz
                if facing < 0:
                    dx, dy, dz, facing = -dx, -dy, -dz, -facing
                total += facing
                sx = px + dx * reach + nx * 0.4
                sy = py + dy * reach + ny * 0.4
                sz = z - dz * reach - nz * 0.4
                scale = distance / (sz * millimetres)
                column, row = int(middle + sx * scale + 0.5), int(middle - sy * scale + 0.5)
                if 0 <= row < height and 0 <= column < width:
                    behind = sz - depth[row, column]
                    if behind > 0.25:
                        far = behind / (1.6 * CREASE_RADIUS) - 1
                        hidden += facing * min(1.0, max(0.0, 1.0 - far))
            light[y, x] = 1 - hidden / total
    return light


@compiled(nogil=True, fastmath=True)
@no_type_check
def film(v):
    """The curve of the film: nearly straight in the shadows, soft in the lights."""
    return v * (1 + v / 9) / (1 + v * 0.72)


@compiled(nogil=True, fastmath=True)
@no_type_check
def develop(triangle, layers, crept, backdrop, exposure):
    """Samples to bytes: light times colour, film curve, display curve, mean over each pixel.

    `layers` are those of `portrait_scene`; `crept` is [3, height, width], the light under the skin;
    `backdrop` [height, width, 3] is in display values.
    """
    halved, albedo = layers.halved, layers.albedo
    diffuse, shine = layers.diffuse, layers.shine
    height, width = backdrop.shape[:2]
    step = triangle.shape[0] // height
    image = np.empty((height, width, 3), dtype=np.uint8)
    total, linear = np.zeros(3), np.zeros(3)
    for y in range(height):
        for x in range(width):
            total[:] = 0
            count = 0
            for row in range(y * step, (y + 1) * step):
                for column in range(x * step, (x + 1) * step):
                    if halved[y, x] and (row + column) % 2 == 1:
                        continue
                    count += 1
                    if triangle[row, column] < 0:
                        for k in range(3):
                            total[k] += backdrop[y, x, k]
                        continue
                    presence = albedo[row, column, 3]
                    creeps = presence >= 0
                    presence = presence if creeps else -1 - presence
                    luminance = 1e-6
                    for k in range(3):
                        light = crept[k, y, x] if creeps else diffuse[row, column, k]
                        v = albedo[row, column, k] * light * MATT
                        linear[k] = (v + shine[row, column, k] * GLOSS) * exposure
                        luminance += LUMINANCE[k] * linear[k]
                    whole = film(luminance) / luminance
                    for k in range(3):
                        # The curve on the whole keeps the hue; on each channel it bleaches light.
                        v = 0.65 * whole * linear[k] + 0.35 * film(linear[k])
                        v = 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055
                        total[k] += backdrop[y, x, k] * (1 - presence) + v * presence
            # Rounded up or down by a fine pattern, or the backdrop would show bands.
            threshold = (52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1
            for k in range(3):
                value = min(max(total[k] / count, 0.0), 1.0) * 255
                image[y, x, k] = np.uint8(min(value + threshold, 255.0))
    return image

"""Compiled loops over vertices and pixels for `lighting` and `render`.

Compiled on first use, then kept in the compiler's cache; all release the interpreter lock.
"""

import math
from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True, fastmath=True)
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


@njit(cache=True, nogil=True, fastmath=True)
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

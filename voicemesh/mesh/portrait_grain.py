"""What skin and hair are like close by, as compiled loops: pores, blotches and strands."""

import math
from typing import no_type_check

import numpy as np

from voicemesh.kernels.compiling import compiled

from .studio import Material

SKIN, HAIR = int(Material.SKIN), int(Material.HAIR)
CROWN = (0.0, 0.82, -0.57)  # where the hair parts, seen from the middle of the scalp
STRANDS = 85.0  # clumps of hair in a radian about the crown
CROP = 11.0  # millimetres along which a clump stays the same

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

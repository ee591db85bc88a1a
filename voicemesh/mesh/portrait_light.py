"""What a surface makes of a lamp, as compiled loops: shadow, highlight, windows in the eyes."""

import math
from typing import no_type_check

from voicemesh.kernels.compiling import compiled

from .studio import Material

HAIR, LOCK = int(Material.HAIR), int(Material.LOCK)
SHADOW_TAPS = 8  # per sample; the samples of a pixel turn their patterns differently
SHADOW_RADIUS = 7.5  # millimetres
GOLDEN = 2.399963
REFLECTANCE = 0.028  # of skin at normal incidence
# Two windows mirrored in the eyes: direction, half width, half height, brightness.
WINDOWS = ((-0.392, 0.467, 0.793, 0.17, 0.22, 2.6), (0.636, 0.051, 0.770, 0.08, 0.22, 0.35))

loop = compiled(nogil=True, fastmath=True, error_model="numpy")


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

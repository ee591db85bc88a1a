"""The source-filter machinery of a voice, sample by sample, compiled.

Glottal pulses are the Liljencrants-Fant model with its shape parameter Rd (Fant 1995), built at
three times the output rate and decimated; the tract is a cascade of resonators that move, with a
nasal pole and zero beside it (Klatt 1980); hisses are band-passed noise.
"""

from functools import cache
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Float32
from scipy.optimize import brentq

from voicemesh.audio.recording import SAMPLE_RATE
from voicemesh.kernels.compiling import compiled

OVERSAMPLING = 3  # the pulse's closure is too sharp for 16 kHz
CONTROL_RATE = 200  # Hz, of the articulation tracks
BLOCK = SAMPLE_RATE // CONTROL_RATE
RD_LOW, RD_STEP, RD_COUNT = 0.4, 0.1, 23
PULSE_POINTS = 2048


def lf_pulse(rd: float, points: int = PULSE_POINTS) -> tuple[Float[np.ndarray, " points"], float]:
    """One period of the flow's derivative (peak -1), and the instant of closure in periods."""
    ra, rk = (4.8 * rd - 1) / 100, (22.4 + 11.8 * rd) / 100
    rg = (rk / 4) * (0.5 + 1.2 * rk) / (0.11 * rd - ra * (0.5 + 1.2 * rk))
    tp = 1 / (2 * rg)
    te = tp * (1 + rk)
    if te > 0.98:
        tp, te = tp * 0.98 / te, 0.98
    ta = min(ra, 0.9 * (1 - te))
    span = 1 - te
    decay = brentq(lambda e: 1 - np.exp(-e * span) - e * ta, 0.01 / ta, 1 / ta + 1e-9)
    end = np.exp(-decay * span)
    returned = (-(1 - end) / decay + span * end) / (decay * ta)
    wave = np.pi / tp

    def gain(growth: float) -> float:
        return -1 / (np.exp(growth * te) * np.sin(wave * te))

    def net_flow(growth: float) -> float:
        turn = growth * np.sin(wave * te) - wave * np.cos(wave * te)
        opened = (np.exp(growth * te) * turn + wave) / (growth * growth + wave * wave)
        return gain(growth) * opened + returned

    growth = brentq(net_flow, -60, 200)
    t = np.arange(points) / points
    opening = gain(growth) * np.exp(growth * np.minimum(t, te)) * np.sin(wave * t)
    closing = -(np.exp(-decay * (t - te)) - end) / (decay * ta)
    return np.where(t < te, opening, closing), te


@cache
def pulse_tables() -> tuple[Float32[np.ndarray, "rd points"], Float32[np.ndarray, "rd points"]]:
    """Pulses and flows (0 to 1) over Rd; every period starts at the closure."""
    pulses, flows = [], []
    for rd in RD_LOW + RD_STEP * np.arange(RD_COUNT):
        pulse, closure = lf_pulse(float(rd))
        pulse = np.roll(pulse, -int(closure * PULSE_POINTS))
        flow = np.cumsum(pulse - pulse.mean())
        flow -= flow.min()
        pulses.append(pulse)
        flows.append(flow / flow.max())
    return np.array(pulses, np.float32), np.array(flows, np.float32)


@cache
def decimator() -> Float32[np.ndarray, "73"]:
    """Low-pass filter before every third sample is kept."""
    taps = np.sinc(np.arange(-36, 37) / OVERSAMPLING * 0.96) * np.hamming(73)
    return (taps / taps.sum()).astype(np.float32)


@compiled(fastmath=True)
@no_type_check
def glottis(f0, rd, creak, jitter, shimmer, luck, pulses, flows, taps):
    """Flow derivative and flow at the output rate, from tracks at the control rate.

    Every period takes two normal numbers from `luck`: its length (jitter) and height (shimmer).
    Creak makes every other period longer and weaker.
    """
    over = OVERSAMPLING
    n = len(f0) * BLOCK
    half = len(taps) // 2
    raw = np.zeros(n * over + 2 * half, np.float32)
    flow = np.zeros(n, np.float32)
    points = pulses.shape[1]
    phase, height, stretch, odd, period = 0.0, 1.0, 1.0, 1.0, 0
    for k in range(len(f0)):
        place = (min(max(rd[k], 0.4), 2.599) - RD_LOW) / RD_STEP
        row = min(int(place), RD_COUNT - 2)
        w = np.float32(place - row)
        step = f0[k] / (SAMPLE_RATE * over)
        for i in range(k * BLOCK * over, (k + 1) * BLOCK * over):
            phase += step * stretch
            if phase >= 1.0:
                phase -= 1.0
                odd = -odd
                period = (period + 1) % len(luck)
                c = creak[k]
                stretch = np.exp(luck[period, 0] * (jitter + 0.06 * c)) * (1.0 - 0.12 * c * odd)
                height = np.exp(luck[period, 1] * (shimmer + 0.15 * c))
                if odd < 0:
                    height *= 1.0 - 0.45 * c
            at = phase * points
            a = min(int(at), points - 1)
            b = a + 1 if a + 1 < points else 0
            u = np.float32(at - a)
            low = (1 - u) * pulses[row, a] + u * pulses[row, b]
            high = (1 - u) * pulses[row + 1, a] + u * pulses[row + 1, b]
            raw[half + i] = height * ((1 - w) * low + w * high)
            if i % over == 0:
                flow[i // over] = (1 - w) * flows[row, a] + w * flows[row + 1, a]
    out = np.empty(n, np.float32)
    for i in range(n):
        total = np.float32(0.0)
        for j in range(len(taps)):
            total += taps[j] * raw[i * over + j]
        out[i] = total
    return out, flow


@compiled(fastmath=True)
@no_type_check
def vocal_tract(
    source, flow, noise, levels, breath, tilt, poles, widths, zero, zero_width, nasal, nasal_width
):
    """The glottal source and its noise through the tract.

    levels [2, blocks + 1]: voicing and aspiration, linear in between; poles and widths
    [blocks, poles] in Hz; zero and nasal pole [blocks]. tilt in (-1, 1): first-order slope.
    """
    count = poles.shape[1]
    y = np.empty_like(source)
    a, b, c = np.empty(count), np.empty(count), np.empty(count)
    z1, z2 = np.zeros(count), np.zeros(count)
    n1 = n2 = p1 = p2 = last = before = 0.0
    for k in range(poles.shape[0]):
        for j in range(count):
            r = np.exp(-np.pi * widths[k, j] / SAMPLE_RATE)
            b[j] = 2 * r * np.cos(2 * np.pi * poles[k, j] / SAMPLE_RATE)
            c[j] = -r * r
            a[j] = 1 - b[j] - c[j]
        r = np.exp(-np.pi * zero_width[k] / SAMPLE_RATE)
        zb, zc = 2 * r * np.cos(2 * np.pi * zero[k] / SAMPLE_RATE), -r * r
        za = 1 / (1 - zb - zc)
        r = np.exp(-np.pi * nasal_width[k] / SAMPLE_RATE)
        nb, nc = 2 * r * np.cos(2 * np.pi * nasal[k] / SAMPLE_RATE), -r * r
        na = 1 - nb - nc
        for s in range(BLOCK):
            i = k * BLOCK + s
            u = s / BLOCK
            voicing = (1 - u) * levels[0, k] + u * levels[0, k + 1]
            hiss = (1 - u) * levels[1, k] + u * levels[1, k + 1]
            if tilt > 0:  # a pole darkens
                x = (1 - tilt) * source[i] + tilt * last
                last = x
            else:  # a zero brightens
                x = (source[i] + tilt * before) / (1 + tilt)
                before = source[i]
            breathing = breath * 4 * voicing * (0.3 + 0.7 * flow[i])
            x = x * voicing + noise[i] * (breathing + 0.12 * hiss + 0.0006)
            for j in range(count):
                v = a[j] * x + b[j] * z1[j] + c[j] * z2[j]
                z2[j] = z1[j]
                z1[j] = v
                x = v
            v = (x - zb * n1 - zc * n2) * za
            n2 = n1
            n1 = x
            x = na * v + nb * p1 + nc * p2
            p2 = p1
            p1 = x
            y[i] = x
    return y


@compiled(fastmath=True)
@no_type_check
def hisses(noise, level, centre, width):
    """Band-passed noise: about unit gain at the moving centre; level [blocks + 1] is linear."""
    y = np.empty_like(noise)
    z1 = z2 = x1 = x2 = 0.0
    for k in range(len(centre)):
        r = np.exp(-np.pi * width[k] / SAMPLE_RATE)
        b, c = 2 * r * np.cos(2 * np.pi * centre[k] / SAMPLE_RATE), -r * r
        g = (1 - r * r) / 2
        for s in range(BLOCK):
            i = k * BLOCK + s
            u = s / BLOCK
            v = g * (noise[i] - x2) + b * z1 + c * z2
            x2 = x1
            x1 = noise[i]
            z2 = z1
            z1 = v
            y[i] = v * ((1 - u) * level[k] + u * level[k + 1])
    return y

"""How alike neighbouring cycles of a voice are: what a spectrum of 25 ms has averaged away.

Jitter and shimmer, which grow with age, live in the differences of one period from the next.
"""

from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from voicemesh.kernels.compiling import compiled

from .pitch import candidates

TRACKS = 4
REACH = 0.08  # of a period: how far its length may be from the pitch map's
VOICED = 0.5  # of the pitch map; frames below have no cycles
ALIKE = 0.3  # least correlation of neighbouring cycles
FLAT = np.float32(1e-5)  # share of a cycle's power around its mean; below is nothing but rounding
CUTOFF, TAPS = 2500.0, 33  # Hz; above there is more noise than voice
SAMPLE_RATE = 16_000
# Logarithms are of a value and the least that a recording can show, then centred by eye.
LENGTH, HEIGHT, NOISE = (0.002, 4.3), (0.01, 2.5), (0.002, 3.0)


def cycle_tracks(
    waveform: Float[Tensor, "batch samples"],
    pitches: Float[Tensor, "batch candidates frames"],
    first: int,
    hop: int,
) -> Float[Tensor, "batch 4 frames"]:
    """Per frame, from three cycles around it: whether there are such cycles, 1 or 0; and where
    there are, logarithms of how the length of a period differs from its neighbours', how its
    amplitude does, and of what in a cycle is not in the next.

    `pitches` is the pitch map of the same frames. Neither level nor polarity matters.
    """
    best = pitches.max(1)
    periods = torch.from_numpy(SAMPLE_RATE / candidates()).float()
    tau = torch.where(best.values > VOICED, periods.to(best.indices.device)[best.indices], 0.0)
    low_pass = torch.from_numpy(_low_pass())[None, None].to(waveform.device)
    smooth = torch.nn.functional.conv1d(waveform.float()[:, None], low_pass, padding=TAPS // 2)
    wave, period = smooth[:, 0].cpu().numpy(), tau.float().cpu().numpy()
    out = np.zeros((len(wave), TRACKS, period.shape[1]), np.float32)
    for row in range(len(wave)):
        _follow(wave[row], period[row], first, hop, out[row])
    return torch.from_numpy(out).to(waveform.device)


def _low_pass() -> Float32[np.ndarray, " taps"]:
    share = 2 * CUTOFF / SAMPLE_RATE
    taps = np.sinc(share * (np.arange(TAPS) - TAPS // 2)) * np.hanning(TAPS + 2)[1:-1]
    return (taps / taps.sum()).astype(np.float32)


@compiled(fastmath=True)
@no_type_check
def _follow(x, periods, first, hop, out):
    """Fill the tracks of one voice in."""
    for frame in range(len(periods)):
        period = periods[frame]
        if period == 0:
            continue
        length = round(period)
        reach = max(2, round(REACH * period))
        at = first + frame * hop - 2 * length
        if at < 0 or at + 5 * (length + reach) > len(x):
            continue
        good = True
        lengths, heights, alike = np.zeros(3), np.zeros(3), 0.0
        for cycle in range(3):
            lag, likeness, height = _next(x, at, length, reach)
            if likeness < ALIKE:
                good = False
                break
            lengths[cycle], heights[cycle] = lag, height
            alike += likeness / 3
            at += round(lag)
        if not good:
            continue
        uneven = abs(lengths[0] - 2 * lengths[1] + lengths[2]) / period
        unlike = abs(heights[0] - 2 * heights[1] + heights[2])
        out[0, frame] = 1.0
        out[1, frame] = np.log(uneven + LENGTH[0]) + LENGTH[1]
        out[2, frame] = np.log(unlike + HEIGHT[0]) + HEIGHT[1]
        out[3, frame] = np.log(max(1 - alike, 0.0) + NOISE[0]) + NOISE[1]


@compiled(fastmath=True)
@no_type_check
def _next(x, at, length, reach):
    """The lag, finer than a sample, at which the cycle at `at` comes again; the correlation there;
    the logarithm of the cycle's amplitude. No correlation where it is best at the edge."""
    likeness = np.zeros(2 * reach + 1)
    total, power = np.float32(0), np.float32(0)
    for i in range(length):
        total += x[at + i]
        power += x[at + i] * x[at + i]
    least = FLAT * power
    power = max(power - total * total / length, least)
    for k in range(2 * reach + 1):
        shifted = at + length - reach + k
        both, sum_, own = np.float32(0), np.float32(0), np.float32(0)
        for i in range(length):
            value = x[shifted + i]
            both += x[at + i] * value
            sum_ += value
            own += value * value
        flat = FLAT * own
        own -= sum_ * sum_ / length
        if power > least and own > flat:
            likeness[k] = (both - total * sum_ / length) / np.sqrt(max(power * own, 1e-12))
    k = np.argmax(likeness)
    if k == 0 or k == 2 * reach:
        return 0.0, 0.0, 0.0
    before, here, after = likeness[k - 1], likeness[k], likeness[k + 1]
    between = (before - after) / (2 * (before - 2 * here + after) - 1e-12)
    return length - reach + k + between, here, 0.5 * np.log(power + 1e-12)

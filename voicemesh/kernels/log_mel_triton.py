"""Triton kernel of `log_mel`: a Fourier sum by matrix products, nothing but the result stored."""

from functools import lru_cache
from typing import no_type_check

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .log_mel import MelSettings, fourier_bases, mel_weights

FRAMES = 16  # per program
BINS = 64  # of the transform at once
TAPS = 16  # of the window at once; 400 is 25 times as many


@triton.jit
@no_type_check
def _log_mel_kernel(
    wave,  # [batch, samples]
    prior,  # [batch]: what comes before the first sample
    bases,  # [2, window, bins]: cosines and sines with window and scale folded in, zeros behind
    weights,  # [bins, mels], zeros behind
    energies,  # [batch, mels, frames], out
    samples,
    frames,
    mels,
    bins,  # a multiple of BINS
    hop,
    window,
    emphasis,
    floor,
    FRAMES: tl.constexpr,
    BINS: tl.constexpr,
    TAPS: tl.constexpr,
    MELS: tl.constexpr,
):
    # One program per FRAMES frames of one waveform. Frame t holds y[k] = f[k] - emphasis f[k - 1],
    # f[k] = x[t hop + k mod left], left = min(window, samples - t hop); f[-1] is the last f of
    # frame t - 1. energy = log(max(sum over bins of (y C)^2 + (y S)^2 times weight, floor)).
    t = tl.program_id(0) * FRAMES + tl.arange(0, FRAMES)
    item = tl.program_id(1).to(tl.int64)
    live = t < frames
    start = t * hop
    left = tl.minimum(samples - start, window)
    turn = tl.maximum(left, 1)
    # What comes before: the last place of the frame before, which repeats itself likewise.
    earlier = start - hop
    turn_earlier = tl.maximum(tl.minimum(samples - earlier, window), 1)
    last = earlier + (window - 1) % turn_earlier
    before = tl.load(
        wave + item * samples + last, mask=live & (t > 0) & (samples > earlier), other=0
    )
    before = tl.where(t == 0, tl.load(prior + item), before)

    mel = tl.arange(0, MELS)
    energy = tl.zeros((FRAMES, MELS), tl.float32)
    for f in range(0, bins, BINS):
        bin = f + tl.arange(0, BINS)
        real = tl.zeros((FRAMES, BINS), tl.float32)
        imaginary = tl.zeros((FRAMES, BINS), tl.float32)
        for k in range(0, window, TAPS):
            tap = k + tl.arange(0, TAPS)
            here = start[:, None] + tap[None, :] % turn[:, None]
            # (k - 1) mod left, without a negative number at k = 0, which `before` replaces
            back = start[:, None] + (tap[None, :] + turn[:, None] - 1) % turn[:, None]
            inside = live[:, None] & (left > 0)[:, None] & (tap < window)[None, :]
            x = tl.load(wave + item * samples + here, mask=inside, other=0.0)
            y = tl.load(wave + item * samples + back, mask=inside & (tap > 0)[None, :], other=0.0)
            y = tl.where((tap == 0)[None, :], before[:, None], y)
            x = x - emphasis * y
            place = tap[:, None] * bins + bin[None, :]
            known = (tap < window)[:, None] & (bin < bins)[None, :]
            cosine = tl.load(bases + place, mask=known, other=0.0)
            sine = tl.load(bases + window * bins + place, mask=known, other=0.0)
            # TF32, the default, would err by up to 0.3 in the logarithm.
            real = tl.dot(x, cosine, real, input_precision="ieee")
            imaginary = tl.dot(x, sine, imaginary, input_precision="ieee")
        power = real * real + imaginary * imaginary
        place = bin[:, None] * mels + mel[None, :]
        weight = tl.load(weights + place, mask=(mel < mels)[None, :], other=0.0)
        energy = tl.dot(power, weight, energy, input_precision="ieee")
    place = (item * mels + mel[None, :]) * frames + t[:, None]
    stored = live[:, None] & (mel < mels)[None, :]
    tl.store(energies + place, tl.log(tl.maximum(energy, floor)), mask=stored)


def log_mel_triton(
    waveform: Float[Tensor, "batch samples"],
    settings: MelSettings,
    prior: Float[Tensor, " batch"],
    block: int = FRAMES,
    bins: int = BINS,
    taps: int = TAPS,
) -> Float[Tensor, "batch mels frames"]:
    """`log_mel` by one kernel in float32; the block sizes are powers of two from 16 on."""
    wave = waveform.detach().float().contiguous()
    batch, samples = wave.shape
    frames = settings.frames(samples)
    bases, weights = _tables(settings, bins, wave.device)
    energies = wave.new_empty(batch, settings.mels, frames)
    if batch:
        with torch.cuda.device_of(wave):
            _log_mel_kernel[(triton.cdiv(frames, block), batch)](
                wave,
                prior.to(wave).contiguous(),
                bases,
                weights,
                energies,
                samples,
                frames,
                settings.mels,
                len(weights),
                settings.hop,
                settings.window,
                settings.emphasis,
                settings.floor,
                block,
                bins,
                taps,
                max(16, triton.next_power_of_2(settings.mels)),
            )
    return energies.to(waveform.dtype)


@lru_cache(maxsize=16)
def _tables(
    settings: MelSettings, block: int, device: torch.device
) -> tuple[Float[Tensor, "2 window bins"], Float[Tensor, "bins mels"]]:
    """Bases and mel weights of the bins that filters use, filled to whole blocks with zeros."""
    weights = mel_weights(settings)
    rows = weights.any(1).nonzero()[0]
    used = slice(int(rows[0]), int(rows[-1]) + 1)
    count = used.stop - used.start
    behind = triton.cdiv(count, block) * block - count
    waves = torch.from_numpy(settings.scale * np.stack(fourier_bases(settings))[..., used])
    bases = torch.nn.functional.pad(waves, (0, behind))
    filled = torch.nn.functional.pad(torch.from_numpy(weights[used]), (0, 0, 0, behind))
    return bases.float().contiguous().to(device), filled.float().contiguous().to(device)

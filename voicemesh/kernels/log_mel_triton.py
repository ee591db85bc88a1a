"""Triton kernels of `log_mel`: emphasis, then a folded Fourier sum by matrix products.

Bytes: 16 a sample (read, written emphasised, read twice) and 4 a mel and frame, 2.8 kB a frame as
published; no frame is stored, tables come from the second-level cache. Operations: the window is
symmetric and only power is wanted, so the sum about its middle needs half the taps, cosines with
the even half and sines with the odd: 2 x 200 x 460 products and 460 x 64 for the mels, 430 kFLOP a
frame. That is the roof, and only tensor cores are near it: float16 halves, high and low parts
times high and low parts with float32 sums, keep float32's accuracy (TF32 would err by 0.3 in the
logarithm) at a third of their rate, 1.3 MFLOP a frame against 990 TFLOP/s on an H200: 1.3 ns.
"""

from functools import lru_cache
from typing import NamedTuple, no_type_check

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from triton.language.target_info import cuda_capability_geq

from .log_mel import MelSettings, hamming, mel_weights

SAMPLES = 2048  # emphasised by a program
TABLE = 256.0  # the tables' scale, which keeps the low parts of float16 out of its subnormals


class Blocks(NamedTuple):
    """What one program takes at once; powers of two from 16 on."""

    frames: int = 64
    bins: int = 128
    taps: int = 16
    warps: int = 4
    stages: int = 2


@triton.jit
@no_type_check
def _wrapped(place, left, inverse):
    # place modulo left, both below 2^20: exact, as (place + 1/2) / left is never near an integer.
    turns = ((place.to(tl.float32) + 0.5) * inverse).to(tl.int32)
    return place - turns * left


@triton.jit
@no_type_check
def _halves(value):
    # A float32 as the sum of two float16.
    high = value.to(tl.float16)
    return high, (value - high.to(tl.float32)).to(tl.float16)


@triton.jit(do_not_specialize=["samples", "blocks"])
@no_type_check
def _emphasis_kernel(
    wave,  # [batch, samples]
    prior,  # [batch]: what comes before the first sample
    emphasised,  # [batch, samples], out
    peak,  # [batch] zeros: the largest magnitude, out
    samples,
    blocks,  # per waveform
    emphasis,
    SAMPLES: tl.constexpr,
):
    # y[i] = x[i] - emphasis x[i - 1], SAMPLES a program. A maximum is the same in any order.
    item = (tl.program_id(0) // blocks).to(tl.int64)
    i = tl.program_id(0) % blocks * SAMPLES + tl.arange(0, SAMPLES)
    live = i < samples
    x = tl.load(wave + item * samples + i, mask=live, other=0.0)
    before = tl.load(wave + item * samples + i - 1, mask=live & (i > 0), other=0.0)
    before = tl.where(i == 0, tl.load(prior + item), before)
    tl.store(emphasised + item * samples + i, x - emphasis * before, mask=live)
    largest = tl.max(tl.maximum(tl.abs(x), tl.abs(before)), 0)
    tl.atomic_max(peak + item, largest, sem="relaxed")


@triton.jit(do_not_specialize=["first", "each", "samples", "frames"])
@no_type_check
def _log_mel_kernel(
    wave,  # [batch, samples]
    prior,  # [batch]: what comes before the first sample
    emphasised,  # [batch, samples]
    peak,  # [batch]: no sample is larger
    tables,  # [4, taps, bins] float16: cosines' high and low parts, sines'; window folded in
    weights,  # [mels, bins], zeros behind
    energies,  # [batch, frames, mels], out
    first,
    each,
    samples,
    frames,
    mels,
    bins,  # a multiple of BINS
    taps,  # half a window, a multiple of TAPS
    emphasis,
    floor,
    unit,  # settings.scale over the tables' scale
    REFILL: tl.constexpr,
    HOP: tl.constexpr,
    WINDOW: tl.constexpr,
    FRAMES: tl.constexpr,
    BINS: tl.constexpr,
    TAPS: tl.constexpr,
    MELS: tl.constexpr,
):
    # energy = log(max(sum over bins of ((sum of even C)^2 + (sum of odd S)^2) weight, floor)).
    # One program per FRAMES frames of a waveform, which has `each` of them from `first` on. Frame t
    # holds y[k] = f[k] - emphasis f[k - 1] with f[k] = x[t HOP + k mod left], left = min(WINDOW,
    # samples - t HOP); f[-1] is the last f of frame t - 1. REFILL: some frames are not whole.
    blocks = tl.cdiv(each, FRAMES)
    item = (tl.program_id(0) // blocks).to(tl.int64)
    base = first + tl.program_id(0) % blocks * FRAMES
    wave += item * samples
    frame = tl.arange(0, FRAMES)
    t = base + frame
    live = t < first + each
    start = t * HOP
    left = tl.minimum(samples - start, WINDOW)
    here = live & (left > 0)
    behind = WINDOW - 1
    if REFILL:
        behind = (WINDOW - 1) % tl.maximum(tl.minimum(left + HOP, WINDOW), 1)
    known = live & (t > 0) & (left + HOP > 0)
    before = tl.load(wave + start - HOP + behind, mask=known, other=0.0)
    before = tl.where(t == 0, tl.load(prior + item), before)
    opening = tl.load(wave + start, mask=here, other=0.0)
    first_y = (opening - emphasis * before)[:, None]
    if REFILL:
        turn = tl.maximum(left, 1)
        again = opening - emphasis * tl.load(wave + start + turn - 1, mask=here, other=0.0)
        inverse = (1.0 / turn.to(tl.float32))[:, None]
        turn, again = turn[:, None], again[:, None]
    # Samples below 2^e times 2^(13 - e): sums of four of them stay below float16's 65504.
    exponent = tl.load(peak + item).to(tl.int32, bitcast=True) >> 23
    factor = ((266 - tl.maximum(exponent, 12)) << 23).to(tl.float32, bitcast=True)
    row = emphasised + item * samples + base * HOP
    # Offsets that the compiler knows to be small and positive cost one register, not one a frame.
    column = tl.arange(0, TAPS)[None, :]
    rising = (frame * HOP)[:, None] + column
    falling = (frame * HOP)[:, None] + (TAPS - 1 - column)
    PRECISE: tl.constexpr = "bf16x3" if cuda_capability_geq(8, 0) else "ieee"
    mel = tl.arange(0, MELS)
    energy = tl.zeros((FRAMES, MELS), tl.float32)
    for f in range(0, bins, BINS):
        bin = f + tl.arange(0, BINS)
        real = tl.zeros((FRAMES, BINS), tl.float32)
        imaginary = tl.zeros((FRAMES, BINS), tl.float32)
        for k in range(0, taps, TAPS):
            back = (WINDOW - 1) // 2 - k - column
            inside = here[:, None] & (back >= 0)
            if REFILL:
                at = _wrapped(WINDOW // 2 + k + column, turn, inverse)
                later = tl.load(row + (frame * HOP)[:, None] + at, mask=inside, other=0.0)
                later = tl.where(at == 0, again, later)
                at = _wrapped(back, turn, inverse)
                sooner = tl.load(row + (frame * HOP)[:, None] + at, mask=inside, other=0.0)
                sooner = tl.where(at == 0, again, sooner)
            else:
                later = tl.load(row + (WINDOW // 2 + k) + rising, mask=inside, other=0.0)
                middle = (WINDOW - 1) // 2 - k - (TAPS - 1)
                sooner = tl.load(row + middle + falling, mask=inside, other=0.0)
            sooner = tl.where(back == 0, first_y, sooner)
            even_high, even_low = _halves((later + sooner) * factor)
            odd_high, odd_low = _halves((later - sooner) * factor)
            place = tables + (k + tl.arange(0, TAPS))[:, None] * bins + bin[None, :]
            cosine = tl.load(place)
            cosine_low = tl.load(place + taps * bins)
            sine = tl.load(place + 2 * taps * bins)
            sine_low = tl.load(place + 3 * taps * bins)
            real = tl.dot(even_low, cosine, real)
            real = tl.dot(even_high, cosine_low, real)
            real = tl.dot(even_high, cosine, real)
            imaginary = tl.dot(odd_low, sine, imaginary)
            imaginary = tl.dot(odd_high, sine_low, imaginary)
            imaginary = tl.dot(odd_high, sine, imaginary)
        power = real * real + imaginary * imaginary
        place = weights + mel[None, :] * bins + bin[:, None]
        weight = tl.load(place, mask=(mel < mels)[None, :], other=0.0)
        energy = tl.dot(power, weight, energy, input_precision=PRECISE)
    scale = unit / factor
    place = (item * frames + t)[:, None] * mels + mel[None, :]
    stored = live[:, None] & (mel < mels)[None, :]
    tl.store(energies + place, tl.log(tl.maximum(energy * scale * scale, floor)), mask=stored)


def log_mel_triton(
    waveform: Float[Tensor, "batch samples"],
    settings: MelSettings,
    prior: Float[Tensor, " batch"],
    blocks: Blocks | None = None,
) -> Float[Tensor, "batch mels frames"]:
    """`log_mel` by a few launches with the accuracy of float32, without its gradient."""
    blocks = blocks or Blocks()
    wave, prior = waveform.detach().float().contiguous(), prior.detach().to(waveform).float()
    batch, samples = wave.shape
    frames = settings.frames(samples)
    whole = min(frames, max(0, (samples - settings.window) // settings.hop + 1))
    tables, weights = _tables(settings, blocks.bins, blocks.taps, wave.device)
    energies = wave.new_empty(batch, frames, settings.mels)
    if not batch:
        return energies.mT.to(waveform.dtype)
    prior, emphasised, peak = prior.contiguous(), torch.empty_like(wave), wave.new_zeros(batch)
    parts = triton.cdiv(samples, SAMPLES)
    constants = [float(v) for v in (settings.emphasis, settings.floor, settings.scale / TABLE)]
    with torch.cuda.device_of(wave):
        if samples:
            _emphasis_kernel[(batch * parts,)](
                wave, prior, emphasised, peak, samples, parts, constants[0], SAMPLES
            )
        for first, each in ((0, whole), (whole, frames - whole)):
            if not each:
                continue
            _log_mel_kernel[(batch * triton.cdiv(each, blocks.frames),)](
                wave,
                prior,
                emphasised,
                peak,
                tables,
                weights,
                energies,
                first,
                each,
                samples,
                frames,
                settings.mels,
                weights.shape[1],
                tables.shape[1],
                *constants,
                first == whole,  # these repeat themselves
                settings.hop,
                settings.window,
                blocks.frames,
                blocks.bins,
                blocks.taps,
                max(16, triton.next_power_of_2(settings.mels)),
                num_warps=blocks.warps,
                num_stages=blocks.stages,
            )
    return energies.mT.to(waveform.dtype)


@lru_cache(maxsize=16)
def _tables(
    settings: MelSettings, bins: int, taps: int, device: torch.device
) -> tuple[Float[Tensor, "4 taps bins"], Float[Tensor, "mels bins"]]:
    """Folded bases and mel weights of the bins that filters use, filled to blocks with zeros."""
    weights = mel_weights(settings)
    rows = weights.any(1).nonzero()[0]
    used = np.arange(rows[0], rows[-1] + 1)
    ahead = np.arange(settings.window // 2, settings.window)
    angles = 2 * np.pi / settings.fft * np.outer(ahead - (settings.window - 1) / 2, used)
    bases = TABLE * hamming(settings)[ahead, None] * np.stack([np.cos(angles), np.sin(angles)])
    if settings.window % 2:
        bases[0, 0] /= 2  # the middle of an odd window is its own mirror image
    high = torch.from_numpy(bases).half()
    low = (torch.from_numpy(bases) - high.double()).half()
    behind = [-len(used) % bins, -len(ahead) % taps]
    both = torch.stack([high, low], 1).flatten(0, 1)
    filled = torch.nn.functional.pad(both, (0, behind[0], 0, behind[1]))
    heights = torch.nn.functional.pad(torch.from_numpy(weights[used].T), (0, behind[0]))
    return filled.contiguous().to(device), heights.float().contiguous().to(device)

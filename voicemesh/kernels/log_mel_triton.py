"""Triton kernels of `log_mel`: emphasis, then a folded Fourier sum by matrix products.

Bytes: 16 a sample (read, written emphasised, read twice) and 4 a mel and frame, 2.8 kB a frame as
published; no frame is stored, tables come from the second-level cache. Operations: the window is
symmetric and only power is wanted, so the sum about its middle needs half the taps, cosines with
the even half and sines with the odd: 2 x 200 x 460 products and 460 x 64 for the mels, 430 kFLOP a
frame. Only tensor cores are fast enough: numbers as two float16, high and low parts times high and
low parts with float32 sums, keep float32's accuracy (TF32 would err by 0.3 in the logarithm) at a
third of their rate, 1.3 MFLOP a frame, 1.3 ns at an H200's 990 TFLOP/s. The roof is the issue of
instructions, 1.9 ns a frame: folding and splitting samples, anew for every block of bins, takes
more of them than a scheduler issues while the tensor cores multiply (benchmarks/machine_code.py;
not measured).
"""

from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .log_mel import MelSettings
from .log_mel_tables import HEIGHT, TABLE, tables

SAMPLES = 2048  # emphasised by a program


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


@triton.jit(do_not_specialize=["first", "each", "batch", "samples", "frames"])
@no_type_check
def _log_mel_kernel(
    wave,  # [batch, samples]
    prior,  # [batch]: what comes before the first sample
    emphasised,  # [batch, samples]
    peak,  # [batch]: no sample is larger
    tables,  # [blocks, steps, 4, TAPS, BINS] float16: cosines' high and low parts, sines'
    weights,  # [blocks, 2, MELS, BINS] float16: high and low parts, zeros behind
    energies,  # [batch, frames, mels], out
    first,
    each,
    batch,
    samples,
    frames,
    mels,
    blocks,  # of BINS bins
    steps,  # of TAPS taps in half a window
    emphasis,
    floor,
    unit,  # settings.scale over the scales of the tables
    REFILL: tl.constexpr,
    SHORT: tl.constexpr,
    HOP: tl.constexpr,
    WINDOW: tl.constexpr,
    FRAMES: tl.constexpr,
    BINS: tl.constexpr,
    TAPS: tl.constexpr,
    MELS: tl.constexpr,
):
    # energy = log(max(sum over bins of ((sum of even C)^2 + (sum of odd S)^2) weight, floor)).
    # One program per FRAMES frames; every waveform has `each` of them from `first` on. Frame t
    # holds y[k] = f[k] - emphasis f[k - 1] with f[k] = x[t HOP + k mod left], left = min(WINDOW,
    # samples - t HOP); f[-1] is the last f of frame t - 1. REFILL: some frames are not whole, and
    # frames are counted over all waveforms. If neither that nor SHORT, a last program that would
    # be partial does frames of the one before it once more.
    frame = tl.arange(0, FRAMES)
    if REFILL:
        g = tl.program_id(0) * FRAMES + frame
        item, t, live = (g // each).to(tl.int64), first + g % each, g < batch * each
    else:
        tiles = tl.cdiv(each, FRAMES)
        item = (tl.program_id(0) // tiles).to(tl.int64)
        base = tl.program_id(0) % tiles * FRAMES
        if not SHORT:
            base = tl.minimum(base, each - FRAMES)
        t = first + base + frame
        live = t < first + each
    every = item + tl.zeros((FRAMES,), tl.int64)
    start = t * HOP
    left = tl.minimum(samples - start, WINDOW)
    here = live & (left > 0)
    behind = WINDOW - 1
    if REFILL:
        behind = (WINDOW - 1) % tl.maximum(tl.minimum(left + HOP, WINDOW), 1)
    known = live & (t > 0) & (left + HOP > 0)
    source = wave + every * samples + start
    before = tl.load(source - HOP + behind, mask=known, other=0.0)
    before = tl.where(t == 0, tl.load(prior + every, mask=live, other=0.0), before)
    opening = tl.load(source, mask=here, other=0.0)
    first_y = (opening - emphasis * before)[:, None]
    if REFILL:
        turn = tl.maximum(left, 1)
        again = opening - emphasis * tl.load(source + turn - 1, mask=here, other=0.0)
        inverse = (1.0 / turn.to(tl.float32))[:, None]
        turn, again = turn[:, None], again[:, None]
    # Samples below 2^e times 2^(13 - e): sums of four of them stay below float16's 65504.
    if REFILL:
        loudest = tl.load(peak + item, mask=live, other=1.0)[:, None]
        row = emphasised + (item * samples + start)[:, None]
    else:
        loudest = tl.load(peak + item)
        row = emphasised + item * samples + (first + base) * HOP
    exponent = loudest.to(tl.int32, bitcast=True) >> 23
    factor = ((266 - tl.maximum(exponent, 12)) << 23).to(tl.float32, bitcast=True)
    # Offsets that the compiler knows to be small and positive take one register, not one a frame.
    column = tl.arange(0, TAPS)[None, :]
    rising = (frame * HOP)[:, None] + column
    falling = (frame * HOP)[:, None] + (TAPS - 1 - column)
    mel, bin = tl.arange(0, MELS), tl.arange(0, BINS)
    table = tl.arange(0, TAPS)[:, None] * BINS + bin[None, :]
    height = mel[None, :] * BINS + bin[:, None]
    energy = tl.zeros((FRAMES, MELS), tl.float32)
    for f in range(blocks):
        real = tl.zeros((FRAMES, BINS), tl.float32)
        imaginary = tl.zeros((FRAMES, BINS), tl.float32)
        for step in range(steps):
            k = step * TAPS
            back = (WINDOW - 1) // 2 - k - column
            inside = (here[:, None] & (back >= 0)) if SHORT else (back >= 0)
            if REFILL:
                at = _wrapped(WINDOW // 2 + k + column, turn, inverse)
                later = tl.load(row + at, mask=inside, other=0.0)
                later = tl.where(at == 0, again, later)
                at = _wrapped(back, turn, inverse)
                sooner = tl.load(row + at, mask=inside, other=0.0)
                sooner = tl.where(at == 0, again, sooner)
            else:
                later = tl.load(row + (WINDOW // 2 + k) + rising, mask=inside, other=0.0)
                middle = (WINDOW - 1) // 2 - k - (TAPS - 1)
                sooner = tl.load(row + middle + falling, mask=inside, other=0.0)
            sooner = tl.where(back == 0, first_y, sooner)
            even_high, even_low = _halves((later + sooner) * factor)
            odd_high, odd_low = _halves((later - sooner) * factor)
            place = tables + (f * steps + step) * (4 * TAPS * BINS) + table
            cosine = tl.load(place)
            cosine_low = tl.load(place + TAPS * BINS)
            sine = tl.load(place + 2 * TAPS * BINS)
            sine_low = tl.load(place + 3 * TAPS * BINS)
            real = tl.dot(even_low, cosine, real)
            real = tl.dot(even_high, cosine_low, real)
            real = tl.dot(even_high, cosine, real)
            imaginary = tl.dot(odd_low, sine, imaginary)
            imaginary = tl.dot(odd_high, sine_low, imaginary)
            imaginary = tl.dot(odd_high, sine, imaginary)
        power = real * real + imaginary * imaginary
        # A row below 2^e times 2^(15 - e), for float16 again: its neighbours in frequency are
        # never 110 dB louder, since the window itself leaks more.
        order = tl.maximum(tl.max(power, 1).to(tl.int32, bitcast=True) >> 23, 14)[:, None]
        up = ((268 - order) << 23).to(tl.float32, bitcast=True)
        down = ((order - 14) << 23).to(tl.float32, bitcast=True)
        high, low = _halves(power * up)
        place = weights + f * (2 * MELS * BINS) + height
        weight = tl.load(place)
        part = tl.dot(low, weight)
        part = tl.dot(high, tl.load(place + MELS * BINS), part)
        part = tl.dot(high, weight, part)
        energy += part * down
    scale = unit / factor
    energy *= scale * scale
    energy = tl.where(energy < floor, floor, energy)  # which hides no NaN
    stored = (mel < mels)[None, :]
    if REFILL:
        place = (item * frames + t)[:, None] * mels + mel[None, :]
    else:
        energies += (item * frames + first + base) * mels
        place = frame[:, None] * mels + mel[None, :]
    if SHORT:
        stored = stored & live[:, None]
    tl.store(energies + place, tl.log(energy), mask=stored)


def log_mel_triton(
    waveform: Float[Tensor, "batch samples"],
    settings: MelSettings,
    prior: Float[Tensor, " batch"],
    blocks: Blocks | None = None,
) -> Float[Tensor, "batch mels frames"]:
    """`log_mel` by a few launches with the accuracy of float32, without its gradient."""
    wave, prior = waveform.detach().float().contiguous(), prior.detach().to(waveform).float()
    batch, samples = wave.shape
    frames, mels = settings.frames(samples), max(16, triton.next_power_of_2(settings.mels))
    whole = min(frames, max(0, (samples - settings.window) // settings.hop + 1))
    energies = wave.new_empty(batch, frames, settings.mels)
    if not batch:
        return energies.mT.to(waveform.dtype)
    blocks = blocks or _fitting(wave)
    prior, emphasised = prior.contiguous(), torch.empty_like(wave)
    peak = wave.new_zeros(batch) if samples else prior.abs()
    emphasis, floor = float(settings.emphasis), float(settings.floor)
    unit, spans = settings.scale / (TABLE * HEIGHT**0.5), ((0, whole), (whole, frames - whole))
    with torch.cuda.device_of(wave):
        if samples:
            parts = triton.cdiv(samples, SAMPLES)
            _emphasis_kernel[(batch * parts,)](
                wave, prior, emphasised, peak, samples, parts, emphasis, SAMPLES
            )
        for first, each in (span for span in spans if span[1]):
            refill = first == whole
            short = refill or each < blocks.frames  # and has more to keep in registers
            own = blocks._replace(bins=blocks.bins // 2) if short else blocks
            own = own._replace(frames=min(32, own.frames)) if refill else own
            bases, weights = tables(settings, own.bins, own.taps, mels, wave.device)
            rows, times = (batch * each, 1) if refill else (each, batch)
            _log_mel_kernel[(triton.cdiv(rows, own.frames) * times,)](
                *(wave, prior, emphasised, peak, bases, weights, energies),
                *(first, each, batch, samples, frames, settings.mels, *bases.shape[:2]),
                *(emphasis, floor, unit),
                refill,
                short,
                settings.hop,
                settings.window,
                own.frames,
                own.bins,
                own.taps,
                mels,
                num_warps=own.warps,
                num_stages=own.stages,
            )
    return energies.mT.to(waveform.dtype)


def _fitting(wave: Float[Tensor, "batch samples"]) -> Blocks:
    """Older tensor cores hold more of their operands in registers."""
    with torch.cuda.device_of(wave):
        architecture = triton.runtime.driver.active.get_current_target().arch
    small = Blocks(32, 64) if architecture >= 80 else Blocks(16, 32)
    return Blocks() if architecture >= 90 else small

"""The CPU form of `upfirdn2d`: compiled rows, columns filtered first, no zero ever multiplied.

A kernel of rank one is filtered along y and then along x; any other is the sum of its rows, each
of rank one. Only taps that meet a sample are touched (polyphase). Maps in channels-last order stay
so. Compiled on first use, then kept in the compiler's cache; threads share nothing.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .compiling import compiled
from .upfirdn2d import Resampling

THREAD_SAMPLES = 200_000  # below so many results a second thread costs more than it saves


def upfirdn2d_cpu(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    axes: tuple[Resampling, Resampling],
    threads: int | None = None,
) -> Float[Tensor, "batch channel out_height out_width"]:
    """`upfirdn2d` on the CPU without its gradient; half precision is filtered in float32."""
    batch, channel, *size = x.shape
    out_size = [axis.size(size[i], kernel.shape[i]) for i, axis in enumerate(axes)]
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    source = x.detach().to(wide).contiguous(memory_format=layout)
    filtered = torch.empty((batch, channel, *out_size), dtype=wide, memory_format=layout)
    if not filtered.numel():
        return filtered.to(x.dtype)
    planes, step = (batch, channel) if last else (batch * channel, 1)
    memory = [
        (maps.permute(0, 2, 3, 1) if last else maps).view(planes, -1).numpy()
        for maps in (source, filtered)
    ]
    weights = [factor.astype(memory[0].dtype) for factor in factors(kernel, wide)]
    settings = [(axis.up, axis.down, axis.before) for axis in axes]

    def work(first: int, behind: int) -> None:
        _filter_rows(
            *memory, tuple(size), tuple(out_size), step, *weights, *settings, first, behind
        )

    if threads is None:
        threads = min(torch.get_num_threads(), 1 + filtered.numel() // THREAD_SAMPLES)
    edges = np.linspace(0, planes * out_size[0], threads + 1).astype(int).tolist()
    if threads == 1:
        work(*edges)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, edges[:-1], edges[1:]))
    return filtered.to(x.dtype)


def factors(
    kernel: Float[Tensor, "taps_y taps_x"], precision: torch.dtype
) -> tuple[Float[np.ndarray, "terms taps_y"], Float[np.ndarray, "terms taps_x"]]:
    """The kernel turned round as a sum of columns times rows: one term if its rank is one."""
    taps = kernel.detach().flip(0, 1).double().numpy()
    i, j = np.unravel_index(np.abs(taps).argmax(), taps.shape)
    peak = taps[i, j] or 1.0
    column, row = taps[:, j], taps[i] / peak
    rounding = 4 * torch.finfo(precision).eps * abs(peak)
    if np.abs(taps - np.outer(column, row)).max() > rounding:
        return np.eye(len(taps)), taps
    return column[None], row[None]


@compiled(nogil=True)
@no_type_check
def _filter_rows(x, y, size, out_size, step, columns, rows, axis_y, axis_x, first, behind):
    # Result rows first <= index < behind, counted over all planes. x and y are [planes, height *
    # width * step]; step is 1, or the channels where they come last. Result i of an axis meets
    # tap t at sample (i down + t - before) / up, where that is whole: from one first tap on,
    # every up-th tap meets the next sample. Along x that repeats after `period` results, by when
    # the first sample has moved on by `stride`.
    (height, width), (out_height, out_width) = size, out_size
    (up_y, down_y, before_y), (up_x, down_x, before_x) = axis_y, axis_x
    divisor, rest = up_x, down_x
    while rest:
        divisor, rest = rest, divisor % rest
    period, stride = up_x // divisor, down_x // divisor
    left = -(before_x // up_x)  # first sample that any result asks for, and the last
    right = ((out_width - 1) * down_x + rows.shape[1] - 1 - before_x) // up_x
    begin, end = max(left, 0), min(right + 1, width)
    row = np.zeros(max(right - left + 1, 1) * step, x.dtype)  # zeros stay outside the samples
    parts = np.zeros((period, (out_width + period - 1) // period), x.dtype)
    for index in range(first, behind):
        plane, i = index // out_height, index % out_height
        out = y[plane, i * out_width * step : (i + 1) * out_width * step]
        out[:] = 0
        for term in range(len(columns)):
            tap = (before_y - i * down_y) % up_y
            at = (i * down_y + tap - before_y) // up_y
            if at < 0:
                tap, at = tap - at * up_y, 0
            column = columns[term, tap::up_y].copy()[: max(height - at, 0)]
            if end <= begin or not column.any():
                continue
            row[:] = 0
            source = x[plane, (at * width + begin) * step :]
            count = (end - begin) * step
            _add_taps(row[(begin - left) * step :], source, width * step, column, count)
            for f in range(period):
                tap = (before_x - f * down_x) % up_x
                at = (f * down_x + tap - before_x) // up_x - left
                taps = rows[term, tap::up_x].copy()
                count = (out_width - f + period - 1) // period
                if period == 1 and stride == 1:
                    _add_taps(out, row[at * step :], step, taps, count * step)
                elif step > 1:
                    for n in range(count):
                        here, there = (f + n * period) * step, (at + n * stride) * step
                        _add_taps(out[here:], row[there:], step, taps, step)
                elif stride == 1:
                    parts[f] = 0
                    _add_taps(parts[f], row[at:], 1, taps, count)
                else:
                    _add_strided(out[f:], period, row[at:], stride, taps, count)
            if step == 1 and stride == 1 and period > 1:
                _add_interleaved(out, parts)


@compiled(nogil=True)
@no_type_check
def _add_taps(out, source, gap, taps, count):
    # out[n] += sum over m of taps[m] source[n + m gap], n < count; four taps in a pass, two, one.
    m, out = 0, out[:count]
    while len(taps) - m >= 4:
        k0, k1, k2, k3 = taps[m], taps[m + 1], taps[m + 2], taps[m + 3]
        a, b = source[m * gap :][:count], source[(m + 1) * gap :][:count]
        c, d = source[(m + 2) * gap :][:count], source[(m + 3) * gap :][:count]
        for n in range(count):
            out[n] += k0 * a[n] + k1 * b[n] + k2 * c[n] + k3 * d[n]
        m += 4
    if len(taps) - m >= 2:
        k0, k1 = taps[m], taps[m + 1]
        a, b = source[m * gap :][:count], source[(m + 1) * gap :][:count]
        for n in range(count):
            out[n] += k0 * a[n] + k1 * b[n]
        m += 2
    if m < len(taps):
        k0, a = taps[m], source[m * gap :][:count]
        for n in range(count):
            out[n] += k0 * a[n]


@compiled(nogil=True)
@no_type_check
def _add_strided(out, out_step, source, source_step, taps, count):
    # out[n out_step] += sum over m of taps[m] source[n source_step + m]
    m = 0
    while len(taps) - m >= 4:
        k0, k1, k2, k3 = taps[m], taps[m + 1], taps[m + 2], taps[m + 3]
        a = source[m:]
        for n in range(count):
            i = n * source_step
            out[n * out_step] += k0 * a[i] + k1 * a[i + 1] + k2 * a[i + 2] + k3 * a[i + 3]
        m += 4
    while m < len(taps):
        k0, a = taps[m], source[m:]
        for n in range(count):
            out[n * out_step] += k0 * a[n * source_step]
        m += 1


@compiled(nogil=True)
@no_type_check
def _add_interleaved(out, parts):
    # out[n period + f] += parts[f, n]; pairs in one pass
    period = len(parts)
    if period == 2:
        even, odd = parts[0], parts[1]
        for n in range(len(out) // 2):
            out[2 * n] += even[n]
            out[2 * n + 1] += odd[n]
        if len(out) % 2:
            out[len(out) - 1] += even[len(out) // 2]
    else:
        for n in range(len(out)):
            out[n] += parts[n % period, n // period]

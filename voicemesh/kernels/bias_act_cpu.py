"""The CPU form of `bias_act`: everything in one compiled pass over memory, gradients too.

Maps keep their order, channels first or last. Compiled on first use, then kept in the compiler's
cache; threads share nothing.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .compiling import compiled

THREAD_SAMPLES = 500_000  # below so many values a second thread costs more than it saves
BLOCK = 256  # values summed in their own precision before they join a sum in float64


def bias_act_cpu(
    x: Float[Tensor, "batch channel *space"],
    bias: Float[Tensor, " channel"] | None,
    slope: float,
    gain: float,
    scale: Float[Tensor, "batch channel"] | None = None,
    noise: Float[Tensor, "noises 1 *space"] | None = None,
    strength: Float[Tensor, "1"] | None = None,
    side: Float[Tensor, "batch channel *space"] | None = None,
    spend: bool = False,
) -> Float[Tensor, "batch channel *space"]:
    """`bias_act` on the CPU without its gradient; a `side` tells the side of the rectifier.

    With `spend` the result may lie where `x` did.
    """
    order = _Order(x)
    inside = spend and side is None and order.fits(x)
    result = x.detach() if inside else order.empty()
    if not x.numel():
        return result.to(x.dtype)
    bias = torch.zeros(x.shape[1]) if bias is None else bias
    factors = order.array(torch.ones(x.shape[:2]) if scale is None else scale)
    added = order.noise(noise, strength)
    above, below = order.number(gain), order.number(gain * slope)
    settings = factors, order.array(bias), added, above, below
    maps = order.rows(result)
    if inside:
        given, loop = (maps, *settings), _spend_last if order.last else _spend_first
    else:
        sides = order.rows(x if side is None else side)
        given = order.rows(x), sides, maps, *settings, side is None
        loop = _scale_last if order.last else _scale_first

    def work(first: int, behind: int) -> None:
        loop(*given, first, behind)

    share(work, len(maps), x.numel())
    return result.to(x.dtype)


def bias_act_gradient_cpu(
    gradient: Float[Tensor, "batch channel *space"],
    side: Float[Tensor, "batch channel *space"] | None,
    slope: float,
    gain: float,
    x: Float[Tensor, "batch channel *space"] | None,
    scale: Float[Tensor, "batch channel"] | None,
    noise: Float[Tensor, "noises 1 *space"] | None,
) -> tuple[Float[Tensor, "batch channel *space"], Float[Tensor, "sums batch channel"]]:
    """The gradient by x, and three sums over space: of h = m gradient, of h x and of h noise."""
    return _gradient(gradient, side, slope, gain, x, scale, noise, False)[:2]


def bias_act_gradients_cpu(
    gradient: Float[Tensor, "batch channel *space"],
    side: Float[Tensor, "batch channel *space"] | None,
    slope: float,
    gain: float,
    x: Float[Tensor, "batch channel *space"] | None,
    scale: Float[Tensor, "batch channel"] | None,
    noise: Float[Tensor, "noises 1 *space"] | None,
) -> tuple[
    Float[Tensor, "batch channel *space"],
    Float[Tensor, "sums batch channel"],
    Float[Tensor, "batch 1 *space"],
]:
    """The same, and the sum of h over channels."""
    back, sums, over = _gradient(gradient, side, slope, gain, x, scale, noise, True)
    return back, sums, over.view(len(over), 1, *gradient.shape[2:])


def _gradient(
    gradient: Float[Tensor, "batch channel *space"],
    side: Float[Tensor, "batch channel *space"] | None,
    slope: float,
    gain: float,
    x: Float[Tensor, "batch channel *space"] | None,
    scale: Float[Tensor, "batch channel"] | None,
    noise: Float[Tensor, "noises 1 *space"] | None,
    of_noise: bool,
) -> tuple[
    Float[Tensor, "batch channel *space"],
    Float[Tensor, "sums batch channel"],
    Float[Tensor, "_ points"],
]:
    order = _Order(side if side is not None else gradient)
    back = order.empty()
    sums = torch.zeros(3, *gradient.shape[:2], dtype=back.dtype)
    points = (len(gradient), gradient.shape[2:].numel()) if of_noise else (0, 0)
    if not gradient.numel():
        return back.to(gradient.dtype), sums, torch.zeros(points, dtype=back.dtype)
    known = [gradient if given is None else given for given in (side, x)]
    given = [order.rows(maps) for maps in (gradient, *known, back)]
    factors = order.array(torch.ones(gradient.shape[:2]) if scale is None else scale)
    added = order.noise(noise, None)
    loop = _gradient_last if order.last else _gradient_first
    settings = factors, added, order.number(gain), order.number(gain * slope)

    def work(first: int, behind: int) -> tuple[np.ndarray, np.ndarray]:
        partial = np.zeros((3, *gradient.shape[:2])), np.zeros(points, given[0].dtype)
        loop(*given, *settings, *partial, first, behind)
        return partial

    sums, over = (
        torch.from_numpy(sum(parts)).to(back.dtype)
        for parts in zip(*share(work, len(given[0]), gradient.numel()), strict=True)
    )
    return back.to(gradient.dtype), sums, over


class _Order:
    """How the maps of one call lie in memory: rows of one channel, or of all channels."""

    def __init__(self, like: Float[Tensor, "batch channel *space"]) -> None:
        nhwc = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
        self.last = like.ndim == 2 or (nhwc and not like.is_contiguous())
        self.shape = like.shape
        self.wide = torch.float64 if like.dtype == torch.float64 else torch.float32

    def fits(self, maps: Float[Tensor, "batch channel *space"]) -> bool:
        """Whether `rows` of a map of this order is its memory."""
        return maps.dtype == self.wide and (maps.is_contiguous() or (self.last and maps.ndim == 4))

    def empty(self) -> Float[Tensor, "batch channel *space"]:
        nhwc = self.last and len(self.shape) == 4
        layout = torch.channels_last if nhwc else torch.contiguous_format
        return torch.empty(self.shape, dtype=self.wide, memory_format=layout)

    def rows(self, maps: Float[Tensor, "batch channel *space"]) -> np.ndarray:
        """The memory of a map as rows, copied only if it lies otherwise."""
        maps = maps.detach().to(self.wide)
        if self.last:
            return maps.movedim(1, -1).contiguous().view(-1, self.shape[1]).numpy()
        return maps.contiguous().view(self.shape[0] * self.shape[1], -1).numpy()

    def array(self, values: Tensor) -> np.ndarray:
        return values.detach().to(self.wide).contiguous().numpy()

    def number(self, value: float) -> np.floating[Any]:
        return np.float64(value) if self.wide == torch.float64 else np.float32(value)

    def noise(self, noise: Tensor | None, strength: Tensor | None) -> np.ndarray:
        """Noise times its strength, one row an item or one for all."""
        if noise is None:
            return np.zeros((1, self.shape[2:].numel()), np.zeros(0, self.number(0).dtype).dtype)
        maps = noise.detach().to(self.wide).reshape(len(noise), -1)
        return self.array(maps if strength is None else maps * strength.detach().to(self.wide))


def share(work: Callable[[int, int], Any], rows: int, values: int) -> list[Any]:
    """Rows in as many threads as pay."""
    threads = min(torch.get_num_threads(), 1 + values // THREAD_SAMPLES)
    if threads == 1:
        return [work(0, rows)]
    edges = np.linspace(0, rows, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, edges[:-1], edges[1:]))


@compiled(nogil=True)
@no_type_check
def _scale_first(x, side, y, scale, bias, noise, above, below, own, first, behind):
    # Rows n * channels + c of y = m (scale x + noise + bias); m is above or below by the side.
    channels = len(bias)
    for r in range(first, behind):
        n, c = r // channels, r % channels
        a, b = scale[n, c], bias[c]
        added, source, sides, out = noise[n % len(noise)], x[r], side[r], y[r]
        if own:
            for i in range(len(out)):
                v = a * source[i] + (added[i] + b)
                out[i] = v * (above if v > 0 else below)
        else:
            for i in range(len(out)):
                v = a * source[i] + (added[i] + b)
                out[i] = v * (above if sides[i] > 0 else below)


@compiled(nogil=True)
@no_type_check
def _scale_last(x, side, y, scale, bias, noise, above, below, own, first, behind):
    # The same for rows n * space + s of all channels.
    space = noise.shape[1]
    for r in range(first, behind):
        n, s = r // space, r % space
        a, added, source, sides, out = scale[n], noise[n % len(noise), s], x[r], side[r], y[r]
        if own:
            for c in range(len(out)):
                v = a[c] * source[c] + (added + bias[c])
                out[c] = v * (above if v > 0 else below)
        else:
            for c in range(len(out)):
                v = a[c] * source[c] + (added + bias[c])
                out[c] = v * (above if sides[c] > 0 else below)


@compiled(nogil=True)
@no_type_check
def _spend_first(y, scale, bias, noise, above, below, first, behind):
    # y = m (scale y + noise + bias) in its own memory; rows n * channels + c.
    channels = len(bias)
    for r in range(first, behind):
        n, c = r // channels, r % channels
        a, b, added, out = scale[n, c], bias[c], noise[n % len(noise)], y[r]
        for i in range(len(out)):
            v = a * out[i] + (added[i] + b)
            out[i] = v * (above if v > 0 else below)


@compiled(nogil=True)
@no_type_check
def _spend_last(y, scale, bias, noise, above, below, first, behind):
    # The same for rows n * space + s of all channels.
    space = noise.shape[1]
    for r in range(first, behind):
        n, s = r // space, r % space
        a, added, out = scale[n], noise[n % len(noise), s], y[r]
        for c in range(len(out)):
            v = a[c] * out[c] + (added + bias[c])
            out[c] = v * (above if v > 0 else below)


@compiled(nogil=True, fastmath={"reassoc"})
@no_type_check
def _gradient_first(gradient, side, x, back, scale, noise, above, below, sums, over, first, behind):
    # back = scale h, h = m gradient, and the sums of h, h x and h noise, rows n * channels + c;
    # over is the sum of h over channels, unless it is empty.
    channels = scale.shape[1]
    for r in range(first, behind):
        n, c = r // channels, r % channels
        a, added = scale[n, c], noise[n % len(noise)]
        for start in range(0, gradient.shape[1], BLOCK):
            given, sides = gradient[r, start : start + BLOCK], side[r, start : start + BLOCK]
            values, out = x[r, start : start + BLOCK], back[r, start : start + BLOCK]
            noises = added[start : start + BLOCK]
            s0 = s1 = s2 = gradient.dtype.type(0)
            for i in range(len(out)):
                h = given[i] * (above if sides[i] > 0 else below)
                out[i] = a * h
                s0 += h
                s1 += h * values[i]
                s2 += h * noises[i]
            if len(over):
                total = over[n, start : start + BLOCK]
                for i in range(len(out)):
                    total[i] += given[i] * (above if sides[i] > 0 else below)
            sums[0, n, c] += s0
            sums[1, n, c] += s1
            sums[2, n, c] += s2


@compiled(nogil=True, fastmath={"reassoc"})
@no_type_check
def _gradient_last(gradient, side, x, back, scale, noise, above, below, sums, over, first, behind):
    # The same for rows n * space + s of all channels.
    space, channels = noise.shape[1], scale.shape[1]
    partial = np.zeros((3, channels), gradient.dtype)
    s0, s1, s2 = partial[0], partial[1], partial[2]
    for r in range(first, behind):
        n, s = r // space, r % space
        a, added, given, sides = scale[n], noise[n % len(noise), s], gradient[r], side[r]
        values, out = x[r], back[r]
        for c in range(channels):
            h = given[c] * (above if sides[c] > 0 else below)
            out[c] = a[c] * h
            s0[c] += h
            s1[c] += h * values[c]
            s2[c] += h * added
        if len(over):
            total = gradient.dtype.type(0)
            for c in range(channels):
                total += given[c] * (above if sides[c] > 0 else below)
            over[n, s] = total
        if r % BLOCK == BLOCK - 1 or r == behind - 1 or s == space - 1:
            sums[:, n] += partial
            partial[:] = 0

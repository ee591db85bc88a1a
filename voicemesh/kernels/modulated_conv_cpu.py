"""A CPU form of modulated convolutions of one tap towards few channels: colours.

y[n, o, s] = sum over c of w[n, o, c] x[n, s, c] with maps in channels-last order, each item with
its own weight, so that no map is multiplied by its style. Compiled on first use, then kept in the
compiler's cache; threads share nothing.
"""

from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .bias_act_cpu import BLOCK, share
from .compiling import compiled


def pointwise(
    x: Float[Tensor, "batch channel height width"], weight: Float[Tensor, "batch out channel"]
) -> Float[Tensor, "batch out height width"]:
    """Sums over channels, by a weight of each item. Differentiable by both any number of times."""
    if x.is_contiguous():
        return (weight @ x.flatten(2)).unflatten(2, x.shape[2:])
    return _Pointwise.apply(x, weight)


class _Pointwise(torch.autograd.Function):
    """Linear in both; gradients that are differentiated again are PyTorch's."""

    @staticmethod
    @no_type_check
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        y = torch.empty(len(x), weight.shape[1], *x.shape[2:], dtype=x.dtype)
        maps, factors, sums = _rows(x), weight.detach().contiguous().numpy(), y.flatten(2).numpy()

        def work(first, behind):
            _sum(maps, factors, sums, first, behind)

        share(work, x.shape[2] * x.shape[3], x.numel())
        return y

    @staticmethod
    @no_type_check
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            back = torch.einsum("nohw,noc->nchw", gradient, weight)
            return back, torch.einsum("nohw,nchw->noc", gradient, x)
        back = torch.empty_like(x, memory_format=torch.channels_last)
        given = gradient.contiguous().flatten(2).numpy()
        maps, factors, result = _rows(x), weight.contiguous().numpy(), _rows(back)

        def work(first, behind):
            partial = np.zeros(factors.shape)
            _spread(given, maps, factors, result, partial, first, behind)
            return partial

        sums = sum(share(work, x.shape[2] * x.shape[3], x.numel()))
        return back, torch.from_numpy(sums).to(weight.dtype)


@no_type_check
def _rows(maps):
    # [batch, space, channels], copied only if the maps lie otherwise
    last = maps.detach().permute(0, 2, 3, 1).contiguous()
    return last.view(len(last), -1, last.shape[3]).numpy()


@compiled(nogil=True, fastmath={"reassoc"})
@no_type_check
def _sum(x, weight, y, first, behind):
    # y[n, o, s] = sum over c of weight[n, o, c] x[n, s, c] for first <= s < behind
    for n in range(len(x)):
        for s in range(first, behind):
            values = x[n, s]
            for o in range(weight.shape[1]):
                factors, total = weight[n, o], x.dtype.type(0)
                for c in range(len(values)):
                    total += factors[c] * values[c]
                y[n, o, s] = total


@compiled(nogil=True)
@no_type_check
def _spread(gradient, x, weight, back, sums, first, behind):
    # back[n, s, c] = sum over o of weight[n, o, c] gradient[n, o, s], and sums[n, o, c] the sum
    # over first <= s < behind of gradient[n, o, s] x[n, s, c].
    partial = np.zeros(weight.shape[1:], x.dtype)
    for n in range(len(x)):
        for s in range(first, behind):
            values, out = x[n, s], back[n, s]
            out[:] = 0
            for o in range(weight.shape[1]):
                g, factors, total = gradient[n, o, s], weight[n, o], partial[o]
                for c in range(len(values)):
                    out[c] += g * factors[c]
                    total[c] += g * values[c]
            if s % BLOCK == BLOCK - 1 or s == behind - 1:
                sums[n] += partial
                partial[:] = 0

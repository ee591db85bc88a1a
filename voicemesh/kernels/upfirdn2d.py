"""Maps resampled by whole factors around one small filter: stuff with zeros, filter, keep some."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import no_type_check

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .launching import launches

Factor = int | tuple[int, int]  # of both axes, or (x, y): the width first
MOST = 144  # taps that the Triton kernel, which lays them out whole, is compiled with
Padding = tuple[int, int] | tuple[int, int, int, int]  # of both axes, or (x0, x1, y0, y1)


@dataclass(frozen=True)
class Resampling:
    """What happens to one axis; `before` and `after` count zeros, or crop where negative."""

    up: int
    down: int
    before: int
    after: int

    def size(self, samples: int, taps: int) -> int:
        """How many samples come out."""
        return (samples * self.up + self.before + self.after - taps + self.down) // self.down

    def adjoint(self, samples: int, taps: int) -> "Resampling":
        """What takes gradients back, with the filter turned round."""
        kept = self.size(samples, taps)
        after = samples * self.up - kept * self.down + self.before - self.up + 1
        return Resampling(self.down, self.up, taps - self.before - 1, after)


def upfirdn2d(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    up: Factor = 1,
    down: Factor = 1,
    padding: Padding = (0, 0),
) -> Float[Tensor, "batch channel out_height out_width"]:
    """Insert `up` - 1 zeros after every sample, pad, convolve with `kernel`, keep every `down`-th.

    A true convolution: the kernel is turned round, and only places where it lies wholly inside
    count. Factors are (x, y) and padding (x0, x1, y0, y1) as published; one number or pair serves
    both axes, and negative padding crops the stuffed map. Differentiable by `x` any number of
    times; the kernel is a constant. Half precision accumulates in float32. CUDA tensors run as one
    Triton kernel, unless the filter is far larger than any of StyleGAN2's, those of the CPU as
    compiled rows.

    Raises:
        ValueError: a factor is below 1, nothing comes out, or the kernel wants a gradient.

    Source: rosinality/stylegan2-pytorch, op/upfirdn2d.py.
    """
    axes = resamplings(x, kernel, up, down, padding)
    if launches(x) and kernel.numel() <= MOST:
        from .upfirdn2d_triton import upfirdn2d_triton as form
    elif x.device.type != "cpu":
        return upfirdn2d_plain(x, kernel, axes)
    else:
        from .upfirdn2d_cpu import upfirdn2d_cpu as form
    return resample(x, kernel, axes, form)


def resample(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    axes: tuple[Resampling, Resampling],
    form: Callable[..., Tensor],
) -> Float[Tensor, "batch channel out_height out_width"]:
    """One form of `upfirdn2d` with its gradients, which are itself with exchanged arguments."""
    return _Resample.apply(x, kernel, axes, form)


class _Resample(torch.autograd.Function):
    """Linear in x: its gradient is its adjoint, and the gradient of that is itself again."""

    @staticmethod
    @no_type_check
    def forward(ctx, x, kernel, axes, form):
        ctx.save_for_backward(kernel)
        ctx.form = form
        ctx.axes = tuple(
            axis.adjoint(samples, taps)
            for axis, samples, taps in zip(axes, x.shape[2:], kernel.shape, strict=True)
        )
        return form(x, kernel, axes)

    @staticmethod
    @no_type_check
    def backward(ctx, gradient):
        (kernel,) = ctx.saved_tensors
        back = _Resample.apply(gradient, kernel.flip(0, 1), ctx.axes, ctx.form)
        return back, None, None, None


def upfirdn2d_reference(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    axes: tuple[Resampling, Resampling],
) -> Float[Tensor, "batch channel out_height out_width"]:
    """`upfirdn2d` as its definition reads, in float64; `axes` are those of y and x."""
    y, x_ = axes
    rows, columns = kernel.shape
    padded = _stuffed(x.double(), axes)
    windows = padded.unfold(2, rows, y.down).unfold(3, columns, x_.down)
    return (windows * kernel.double().flip(0, 1)).sum((4, 5)).to(x.dtype)


def upfirdn2d_plain(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    axes: tuple[Resampling, Resampling],
) -> Float[Tensor, "batch channel out_height out_width"]:
    """`upfirdn2d` by PyTorch's own operators, for devices that have no form of their own."""
    y, x_ = axes
    taps = kernel.flip(0, 1)[None, None].to(x)
    planes = _stuffed(x, axes).flatten(0, 1)[:, None]
    filtered = functional.conv2d(planes, taps, stride=(y.down, x_.down))
    return filtered[:, 0].unflatten(0, x.shape[:2])


def _stuffed(
    x: Float[Tensor, "batch channel height width"], axes: tuple[Resampling, Resampling]
) -> Float[Tensor, "batch channel _ _"]:
    """Zeros after every sample and at the sides, or sides cropped."""
    y, x_ = axes
    batch, channel, height, width = x.shape
    stuffed = functional.pad(x[:, :, :, None, :, None], (0, x_.up - 1, 0, 0, 0, y.up - 1))
    stuffed = stuffed.reshape(batch, channel, height * y.up, width * x_.up)
    sides = x_.before, x_.after, y.before, y.after
    padded = functional.pad(stuffed, [max(side, 0) for side in sides])
    return functional.pad(padded, [min(side, 0) for side in sides])


def resamplings(
    x: Float[Tensor, "batch channel height width"],
    kernel: Float[Tensor, "taps_y taps_x"],
    up: Factor,
    down: Factor,
    padding: Padding,
) -> tuple[Resampling, Resampling]:
    """The arguments of `upfirdn2d` as what happens to y and to x, if anything can."""
    up_x, up_y = (up, up) if isinstance(up, int) else up
    down_x, down_y = (down, down) if isinstance(down, int) else down
    x0, x1, y0, y1 = padding if len(padding) == 4 else (*padding, *padding)
    if min(up_x, up_y, down_x, down_y) < 1:
        raise ValueError(f"Factors must be at least 1, given up {up} and down {down}")
    if kernel.requires_grad:
        raise ValueError("The kernel is a constant: give it detached, no gradient flows to it")
    axes = Resampling(up_y, down_y, y0, y1), Resampling(up_x, down_x, x0, x1)
    for axis, samples, taps in zip(axes, x.shape[2:], kernel.shape, strict=True):
        if not 0 < taps <= samples * axis.up + axis.before + axis.after:
            raise ValueError(
                f"Nothing comes out: {samples} samples with {axis} are fewer than the kernel's "
                f"{taps}; pad more"
            )
    return axes

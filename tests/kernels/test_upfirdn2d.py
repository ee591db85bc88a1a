from functools import partial

import numpy as np
import pytest
import torch
from kernels.launched import launched
from scipy import signal

from voicemesh.kernels.bias_act import bias_act_reference
from voicemesh.kernels.upfirdn2d import (
    resample,
    resamplings,
    upfirdn2d,
    upfirdn2d_reference,
)
from voicemesh.kernels.upfirdn2d_cpu import factors, upfirdn2d_cpu
from voicemesh.kernels.upfirdn2d_triton import upfirdn2d_triton

SETTINGS = [  # up and down (x, y), padding (x0, x1, y0, y1), taps (y, x)
    (1, 1, (1, 1), (4, 4)),
    (2, 1, (2, 1), (4, 4)),
    (1, 2, (1, 1), (4, 4)),
    ((2, 3), (1, 1), (2, 1, 0, 3), (3, 5)),
    ((1, 1), (3, 2), (1, 0, 2, 2), (5, 3)),
    ((3, 2), (2, 3), (4, 3, 2, 5), (4, 6)),
    ((2, 2), (1, 1), (-1, 3, 2, -3), (4, 4)),
    ((1, 1), (2, 2), (-3, 2, 1, -2), (2, 1)),
    ((2, 1), (1, 2), (6, 5, 0, 0), (1, 12)),
    ((4, 1), (1, 4), (0, 0, 9, 0), (7, 1)),
]
SHAPE = (2, 2, 7, 9)
FORMS = [upfirdn2d_cpu, launched(partial(upfirdn2d_triton, lanes=512))]


def maps(shape=SHAPE, dtype=torch.float64, last=False, device="cpu"):
    x = torch.randn(shape, dtype=dtype, device=device)
    return x.contiguous(memory_format=torch.channels_last) if last else x


def kernel_of(taps, separable, dtype=torch.float64):
    if separable:
        return torch.outer(torch.randn(taps[0], dtype=dtype), torch.randn(taps[1], dtype=dtype))
    return torch.randn(taps, dtype=dtype)


def by_scipy(x, taps, up, down, before, after, axis):
    """One axis by SciPy, which starts with the whole filter outside and ends when it is out."""
    spread = signal.upfirdn(taps, x, up, 1, axis)  # zeros after the last sample are left out
    short = x.shape[axis] * up + len(taps) - 1 - spread.shape[axis]
    margin = len(taps) + abs(before) + abs(after)
    widths = [(margin, margin + short) if i == axis else (0, 0) for i in range(x.ndim)]
    first = margin + len(taps) - 1 - before
    behind = first + x.shape[axis] * up + before + after - len(taps) + 1
    places = np.arange(first, behind, down)
    return np.pad(spread, widths).take(places, axis)


@pytest.mark.parametrize(("up", "down", "padding", "taps"), SETTINGS)
def test_reference_is_scipy_along_each_axis(up, down, padding, taps):
    x, column, row = maps(), torch.randn(taps[0]).double(), torch.randn(taps[1]).double()
    axes = resamplings(x, torch.outer(column, row), up, down, padding)
    expected = x.numpy()
    for axis, filter_, number in ((axes[0], column, 2), (axes[1], row, 3)):
        told = axis.up, axis.down, axis.before, axis.after
        expected = by_scipy(expected, filter_.numpy(), *told, number)
    ours = upfirdn2d_reference(x, torch.outer(column, row), axes)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("form", "separable", "last"),
    [(0, True, False), (0, False, False), (0, True, True), (0, False, True), (1, False, True)],
)
@pytest.mark.parametrize(("up", "down", "padding", "taps"), SETTINGS)
def test_forms_and_gradients_are_the_reference(up, down, padding, taps, separable, last, form):
    x, kernel = maps(last=last).requires_grad_(), kernel_of(taps, separable)
    axes = resamplings(x, kernel, up, down, padding)
    ours, expected = resample(x, kernel, axes, FORMS[form]), upfirdn2d_reference(x, kernel, axes)
    torch.testing.assert_close(ours, expected)
    cotangent = torch.randn_like(ours).requires_grad_()
    (back,) = torch.autograd.grad(ours, x, cotangent, create_graph=True)
    torch.testing.assert_close(back, torch.autograd.grad(expected, x, cotangent)[0])
    tangent = torch.randn_like(x)
    (again,) = torch.autograd.grad(back, cotangent, tangent)
    torch.testing.assert_close(again, upfirdn2d_reference(tangent, kernel, axes))


@pytest.mark.parametrize(("last", "slope"), [(False, 0.1), (True, 1.0)])
def test_triton_filters_and_activates_in_one(last, slope):
    x, kernel = maps((2, 3, 7, 9), last=last), kernel_of((4, 4), False)
    bias, scale, noise = torch.randn(3), torch.randn(2, 3), torch.randn(2, 1, 6, 8)
    axes, strength = resamplings(x, kernel, 1, 1, (1, 1)), torch.randn(1)
    form = launched(partial(upfirdn2d_triton, lanes=256))
    ours = form(x, kernel, axes, bias, slope, 3.0, scale, noise, strength)
    filtered = upfirdn2d_reference(x, kernel, axes)
    expected = bias_act_reference(filtered, bias, slope, 3.0, scale, noise, strength)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("form", FORMS, ids=["cpu", "triton"])
def test_second_gradients(form):
    up, down, padding, taps = SETTINGS[5]
    x, kernel = maps((1, 2, 4, 3)).requires_grad_(), kernel_of(taps, False)
    axes = resamplings(x, kernel, up, down, padding)
    run = partial(resample, kernel=kernel, axes=axes, form=form)
    assert torch.autograd.gradcheck(run, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, x, fast_mode=True)


@pytest.mark.parametrize("form", FORMS, ids=["cpu", "triton"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype, form):
    x, kernel = maps((1, 1, 5, 40), dtype), torch.ones(1, 32) / 32
    axes = resamplings(x, kernel, 1, 1, (31, 31, 0, 0))
    ours, expected = form(x, kernel, axes), upfirdn2d_reference(x, kernel, axes)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-7)


@pytest.mark.parametrize("form", FORMS, ids=["cpu", "triton"])
def test_views_and_nothing_at_all(form):
    kernel = kernel_of((4, 4), True)
    view = maps((3, 2, 9, 7)).transpose(0, 1)[:, :, ::2]
    axes = resamplings(view, kernel, 2, 1, (2, 1))
    torch.testing.assert_close(form(view, kernel, axes), upfirdn2d_reference(view, kernel, axes))
    assert form(view[:0], kernel, axes).shape == (0, 3, 10, 14)
    torch.testing.assert_close(form(view, 0 * kernel, axes), torch.zeros(2, 3, 10, 14).double())


def test_order_of_channels_stays(device):
    x = maps((2, 3, 8, 8), last=True, device=device)
    kernel = kernel_of((4, 4), True).to(device)
    assert upfirdn2d(x, kernel, 2, 1, (2, 1)).is_contiguous(memory_format=torch.channels_last)


def test_threads_agree():
    x, kernel = maps((2, 3, 9, 11)), kernel_of((4, 4), True)
    axes = resamplings(x, kernel, 1, 2, (2, 2))
    assert torch.equal(upfirdn2d_cpu(x, kernel, axes, 3), upfirdn2d_cpu(x, kernel, axes, 1))


def test_rank_is_seen():
    taps = torch.tensor([1.0, 3, 3, 1])
    columns, rows = factors(torch.outer(taps, taps) / 64, torch.float64)
    assert columns.shape == rows.shape == (1, 4)
    for kernel in (torch.randn(3, 5).double(), torch.zeros(2, 3).double()):
        columns, rows = factors(kernel, torch.float64)
        np.testing.assert_allclose(columns.T @ rows, kernel.flip(0, 1))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"up": 0}, "at least 1, given up 0"),
        ({"down": (1, -1)}, "at least 1"),
        ({"padding": (-2, -2)}, "fewer than the kernel's 4; pad more"),
        ({"kernel": torch.ones(4, 4, requires_grad=True)}, "no gradient flows"),
    ],
)
def test_mistakes_are_told(arguments, told):
    with pytest.raises(ValueError, match=told):
        upfirdn2d(torch.zeros(1, 1, 5, 5), **({"kernel": torch.ones(4, 4)} | arguments))

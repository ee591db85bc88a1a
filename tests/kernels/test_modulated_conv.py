from functools import partial

import numpy as np
import pytest
import torch
from kernels.launched import DEVICE, launched, moved
from scipy import signal

from voicemesh.kernels import modulated_conv
from voicemesh.kernels.modulated_conv import (
    fir_padding,
    modulated_conv2d,
    modulated_conv2d_reference,
    scales,
    weight_power,
)
from voicemesh.kernels.modulated_conv_triton import Blocks, styled_conv, styled_conv_triton

TAPS = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
FIR = torch.outer(TAPS, TAPS) / 16
GAIN, SLOPE = 3.0, 0.1
BLOCKS = Blocks(16, 16, 16)  # several of each, the last ones partial
SETTINGS = [  # taps, up, demodulate
    (3, 1, True),
    (1, 1, False),
    (3, 2, True),
    (1, 2, False),
    (5, 1, False),
]


def tensors(batch=2, size=(5, 7), taps=3, up=1, ins=3, outs=4, dtype=torch.float64):
    """x, weight, style, bias, noise, strength."""
    shapes = [
        (batch, ins, *size),
        (outs, ins, taps, taps),
        (batch, ins),
        (outs,),
        (1, 1, *(up * n for n in size)),
        (1,),
    ]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def run(form, x, weight, style, bias, noise, strength, **settings):
    settings = {"weight_gain": 0.3, "slope": SLOPE, "gain": GAIN} | settings
    return form(x, weight, style, bias=bias, noise=noise, strength=strength, **settings)


def settings_of(taps, up, demodulate):
    return {"up": up, "demodulate": demodulate, "fir": FIR if up == 2 else None}


def by_scipy(x, weight, style, bias, noise, strength, up, demodulate, fir):
    """Item by item and channel by channel, by SciPy's two-dimensional correlation."""
    x, weight, style, bias, noise = (t.detach().numpy() for t in (x, weight, style, bias, noise))
    batch, _, height, width = x.shape
    y = np.zeros((batch, len(weight), up * height, up * width))
    for n, o in np.ndindex(*y.shape[:2]):
        filters = 0.3 * weight[o] * style[n, :, None, None]
        if demodulate:
            filters = filters / np.sqrt((filters**2).sum() + 1e-8)
        for plane, taps in zip(x[n], filters, strict=True):
            if up == 1:
                y[n, o] += signal.correlate2d(plane, taps, "same")
                continue
            stuffed = np.zeros((2 * height - 1, 2 * width - 1))
            stuffed[::2, ::2] = plane
            wide = signal.convolve2d(stuffed, taps)
            before, after = fir_padding(len(taps), len(fir))
            wide = np.pad(wide, ((before, after), (before, after)))
            y[n, o] += signal.convolve2d(wide, fir.numpy(), "valid")
    v = y + float(strength.detach()) * noise + bias[:, None, None]
    return GAIN * np.where(v > 0, v, SLOPE * v)


@pytest.mark.parametrize("setting", SETTINGS)
def test_reference_is_scipy(setting):
    given, settings = tensors(taps=setting[0], up=setting[1]), settings_of(*setting)
    ours = run(modulated_conv2d_reference, *given, **settings)
    np.testing.assert_allclose(ours.detach(), by_scipy(*given, **settings), atol=1e-12)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 2])
@pytest.mark.parametrize("setting", SETTINGS)
def test_cpu_and_its_gradients_are_the_reference(setting, batch, last, monkeypatch):
    if last:
        monkeypatch.setattr(modulated_conv, "LAST_PIXELS", {1: 0, 2: 0})
    given, settings = tensors(batch, taps=setting[0], up=setting[1]), settings_of(*setting)
    ours = run(modulated_conv2d, *given, **settings)
    expected = run(modulated_conv2d_reference, *given, **settings)
    torch.testing.assert_close(ours, expected)
    if batch:
        cotangent = torch.randn_like(ours)
        torch.testing.assert_close(
            torch.autograd.grad(ours, given, cotangent),
            torch.autograd.grad(expected, given, cotangent),
        )
    with torch.no_grad():  # a single map folds its style into the weight where that is smaller
        torch.testing.assert_close(run(modulated_conv2d, *given, **settings), expected)


@pytest.mark.parametrize("setting", SETTINGS[1:3])
def test_second_gradients(setting):
    given = tensors(size=(3, 2), taps=setting[0], up=setting[1], ins=2, outs=2)
    check = partial(run, modulated_conv2d, **settings_of(*setting))
    assert torch.autograd.gradgradcheck(check, given, fast_mode=True)


def test_kept_power_changes_nothing():
    given = tensors()
    kept = run(modulated_conv2d, *given, power=weight_power(given[1]))
    torch.testing.assert_close(kept, run(modulated_conv2d, *given))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("demodulate", [False, True])
def test_half_precision(dtype, demodulate):
    x, weight, style, *rest = tensors(dtype=torch.float32)
    style = style.detach() * (1e5 if demodulate else 1)  # more than float16 holds
    ours = run(modulated_conv2d, x.to(dtype), weight, style, *rest, demodulate=demodulate)
    expected = run(modulated_conv2d_reference, x, weight, style, *rest, demodulate=demodulate)
    assert ours.dtype == dtype
    close = {
        "rtol": 0.02,
        "atol": 8 * torch.finfo(dtype).eps * float(expected.detach().abs().max()),
    }
    torch.testing.assert_close(ours.float(), expected, **close)


def by_triton(x, weight, style, bias, noise, strength, demodulate=True):
    x, weight, style, *rest = (moved(t, DEVICE) for t in (x, weight, style, bias, noise, strength))
    style, scale = scales(x, weight, style, demodulate, 0.3, None)
    return styled_conv(x, weight, style, scale, *rest, SLOPE, GAIN, BLOCKS).cpu()


@pytest.mark.parametrize(("batch", "size"), [(2, (1, 1)), (1, (3, 6))])
@pytest.mark.parametrize("demodulate", [False, True])
def test_triton_and_its_gradients_are_the_reference(batch, size, demodulate):
    given = tensors(batch, size, ins=19, outs=18)
    given[4] = torch.randn(batch, 1, *size, dtype=torch.float64, requires_grad=True)
    ours = by_triton(*given, demodulate=demodulate)
    expected = run(modulated_conv2d_reference, *given, demodulate=demodulate)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    cotangent = torch.randn_like(ours)
    close = {"rtol": 1e-6, "atol": 1e-5}
    theirs = torch.autograd.grad(expected, given, cotangent)
    for graph in (False, True):
        mine = torch.autograd.grad(ours, given, cotangent, retain_graph=True, create_graph=graph)
        torch.testing.assert_close(mine, theirs, **close)


def test_second_gradients_of_triton():
    given = tensors(1, (2, 2), ins=2, outs=2)
    ours, expected = by_triton(*given), run(modulated_conv2d_reference, *given)
    cotangent = torch.randn_like(ours).requires_grad_()
    found = []
    for y in (ours, expected):
        back = torch.autograd.grad(y, given, cotangent, create_graph=True)
        length = sum((b.double() ** 2).sum() for b in back)
        found.append(torch.autograd.grad(length, [*given[:3], cotangent]))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-4)


def test_triton_in_half_precision_and_on_views():
    x, weight, style, bias, *_ = tensors(ins=5, outs=3, dtype=torch.float32)
    half = x.detach().half().transpose(2, 3)
    assert not half.is_contiguous()
    style, scale = scales(half, weight, style, True, 0.3, None)
    form = launched(styled_conv_triton)
    ours = form(half, weight, style, scale, bias, None, None, SLOPE, GAIN, BLOCKS)
    assert ours.dtype == torch.float16
    assert ours.is_contiguous(memory_format=torch.channels_last)
    plain = half.float() * style[:, :, None, None]
    v = torch.nn.functional.conv2d(plain, weight, padding=1) * scale[:, :, None, None]
    v = v + bias[:, None, None]
    expected = GAIN * torch.where(v > 0, v, SLOPE * v)
    torch.testing.assert_close(ours.float(), expected.detach(), rtol=0.01, atol=0.02)
    empty = form(half[:0], weight, style[:0], None, None, None, None, 1.0, 1.0)
    assert empty.shape == (0, 3, 7, 5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"weight": torch.ones(4, 3, 2, 2)}, "odd number of taps"),
        ({"up": 3}, "up is 1 or 2, given 3"),
        ({"up": 2}, "give both or neither"),
        ({"fir": FIR}, "give both or neither"),
        ({"up": 2, "fir": torch.ones(1, 4)}, "fir is square"),
    ],
)
def test_mistakes_are_told(arguments, told):
    given = {"weight": torch.ones(4, 3, 3, 3), "style": torch.ones(2, 3)} | arguments
    with pytest.raises(ValueError, match=told):
        modulated_conv2d(torch.zeros(2, 3, 5, 5), **given)


def test_autocast_does_not_round_the_demodulation():
    x, weight, style, *_ = tensors(ins=64, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = scales(x, weight, style, True, 0.3, None)
    torch.testing.assert_close(found, scales(x, weight, style, True, 0.3, None), atol=0, rtol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_colours_multiply_no_map(layout, monkeypatch):
    monkeypatch.setattr("voicemesh.kernels.bias_act_cpu.THREAD_SAMPLES", 10)
    x, weight, style, bias, *_ = tensors(size=(18, 17), taps=1, ins=5, outs=3)
    x = x.detach().contiguous(memory_format=layout).requires_grad_()
    wanted = x, weight, style, bias

    def colours(*given):
        return modulated_conv2d(*given[:3], demodulate=False, weight_gain=0.3, bias=given[3])

    expected = modulated_conv2d_reference(x, weight, style, False, 0.3, bias=bias)
    cotangent = torch.randn_like(expected)
    theirs = torch.autograd.grad(expected, wanted, cotangent)
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        ours = colours(*wanted)
        torch.testing.assert_close(ours, expected)
        for graph in (False, True):
            back = torch.autograd.grad(
                ours, wanted, cotangent, retain_graph=True, create_graph=graph
            )
            torch.testing.assert_close(back, theirs)
    assert torch.autograd.gradgradcheck(colours, wanted, fast_mode=True)

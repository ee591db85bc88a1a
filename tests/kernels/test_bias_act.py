from functools import partial

import numpy as np
import pytest
import torch
from kernels.launched import launched

from voicemesh.kernels.bias_act import (
    Form,
    activate,
    bias_act,
    bias_act_reference,
)
from voicemesh.kernels.bias_act_cpu import (
    bias_act_cpu,
    bias_act_gradient_cpu,
    bias_act_gradients_cpu,
)
from voicemesh.kernels.bias_act_triton import bias_act_gradient_triton, bias_act_triton

CPU = Form(bias_act_cpu, bias_act_gradient_cpu, bias_act_gradients_cpu)
TRITON = Form(
    launched(partial(bias_act_triton, tile=128)),
    launched(partial(bias_act_gradient_triton, tile=64, programs=2)),
)
FORMS = pytest.mark.parametrize("form", [CPU, TRITON], ids=["cpu", "triton"])
SHAPES = [(3, 5), (2, 3, 5), (1, 2, 17, 13), (1, 70, 1, 1)]  # partial tiles, several chunks
SLOPE, GAIN = 0.1, 3.0
PARTS = ["bias", "scale", "bias scale noises"]


def tensors(shape, parts, dtype=torch.float64, device="cpu"):
    """x, bias, scale, noise, strength; None for what is not among the parts."""

    def random(*size, when=True):
        return torch.randn(size, dtype=dtype, device=device, requires_grad=True) if when else None

    maps = shape[0] if "noises" in parts else 1
    return [
        random(*shape),
        random(shape[1], when="bias" in parts),
        random(*shape[:2], when="scale" in parts),
        random(maps, 1, *shape[2:], when="noise" in parts),
        random(1, when="noise" in parts),
    ]


def run(form, x, bias, scale, noise, strength, slope=SLOPE, gain=GAIN):
    return activate(x, bias, slope, gain, scale, noise, strength, form)


def expected_of(x, bias, scale, noise, strength, slope=SLOPE, gain=GAIN):
    return bias_act_reference(x, bias, slope, gain, scale, noise, strength)


def by_definition(x, bias, scale, noise, strength):
    """Value by value in Python floats."""
    x, bias, scale, noise, strength = (
        t.detach().numpy() for t in (x, bias, scale, noise, strength)
    )
    y = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        n, c, *space = place
        v = scale[n, c] * x[place] + strength[0] * noise[(n % len(noise), 0, *space)] + bias[c]
        y[place] = GAIN * (v if v > 0 else SLOPE * v)
    return y


@pytest.mark.parametrize("shape", SHAPES)
def test_reference_is_the_definition(shape):
    given = tensors(shape, "bias scale noises")
    np.testing.assert_allclose(expected_of(*given).detach(), by_definition(*given))


@FORMS
@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_forms_and_gradients_are_the_reference(shape, parts, form):
    given = tensors(shape, parts)
    ours, expected = run(form, *given), expected_of(*given)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    wanted, cotangent = [t for t in given if t is not None], torch.randn_like(ours)
    theirs = torch.autograd.grad(expected, wanted, cotangent)
    for graph in (False, True):
        back = torch.autograd.grad(ours, wanted, cotangent, retain_graph=True, create_graph=graph)
        torch.testing.assert_close(back, theirs, rtol=1e-6, atol=1e-6)


@FORMS
def test_gradients_without_noise_gradient_and_in_any_order_of_channels(form):
    given = tensors((2, 5, 9, 31), "bias scale noises")
    x, bias, scale, noise, strength = given
    noise = noise.detach()
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    cotangent = torch.randn_like(x)
    for map in (x, last):
        ours = run(form, map, bias, scale, noise, strength)
        assert ours.stride() == map.stride()
        expected = expected_of(map, bias, scale, noise, strength)
        wanted = [map, bias, scale, strength]
        for mine, theirs in zip(
            torch.autograd.grad(ours, wanted, cotangent),
            torch.autograd.grad(expected, wanted, cotangent),
            strict=True,
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


@FORMS
@pytest.mark.parametrize("slope", [SLOPE, 1.0])
def test_second_gradients(slope, form):
    wanted = tensors((2, 3, 2, 2), "bias scale noises")
    check = partial(run, form, slope=slope)
    assert torch.autograd.gradcheck(check, wanted, fast_mode=True)
    assert torch.autograd.gradgradcheck(check, wanted, fast_mode=True)


@FORMS
def test_second_gradient_of_the_bias_alone(form):
    x, bias, cotangent = (torch.randn(s, requires_grad=True) for s in [(4, 6), (6,), (4, 6)])
    y = run(form, x, bias, None, None, None)
    back = torch.autograd.grad(y, [x, bias], cotangent, create_graph=True)
    v_x, v_bias = torch.randn(4, 6), torch.randn(6)
    (ours,) = torch.autograd.grad(back, cotangent, [v_x, v_bias])
    expected = GAIN * torch.where(y > 0, 1, SLOPE) * (v_x + v_bias)
    torch.testing.assert_close(ours, expected)


@FORMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_rounds_once(dtype, form):
    x, bias, scale, noise, strength = tensors((2, 3, 5, 7), "bias scale noises", dtype)
    given = [x, *(t.detach().float() for t in (bias, scale, noise, strength))]
    ours, expected = run(form, *given), expected_of(*given)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, expected, rtol=torch.finfo(dtype).eps, atol=1e-6)
    (back,) = torch.autograd.grad(ours, x, torch.ones_like(ours))
    assert back.dtype == dtype


@FORMS
def test_zero_counts_as_negative(form):
    x = torch.zeros(1, 1, 3, requires_grad=True)
    (back,) = torch.autograd.grad(run(form, x, None, None, None, None).sum(), x)
    torch.testing.assert_close(back, torch.full((1, 1, 3), GAIN * SLOPE))


@FORMS
def test_views_and_nothing_at_all(form):
    x, bias, *rest = tensors((4, 6, 5), "bias scale noises")
    view = x.detach().transpose(0, 1)[::2, :, 1:]
    bias, rest = torch.randn(4).double(), (torch.randn(3, 4).double(), None, None)
    torch.testing.assert_close(
        run(form, view, bias, *rest), expected_of(view, bias, *rest), rtol=1e-6, atol=1e-6
    )
    for empty in (x.detach()[:0], x.detach()[..., :0]):
        empty.requires_grad_()
        bias = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        y = run(form, empty, bias, None, None, None)
        assert y.shape == empty.shape
        assert not torch.autograd.grad(y.sum(), bias)[0].any()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_threads_agree(layout, monkeypatch):
    monkeypatch.setattr("voicemesh.kernels.bias_act_cpu.THREAD_SAMPLES", 10)
    wanted, found = tensors((2, 3, 4, 5), "bias scale noises"), []
    given = [wanted[0].contiguous(memory_format=layout), *wanted[1:]]
    expected = expected_of(*given)
    theirs = [expected, *torch.autograd.grad(expected.sum(), wanted)]
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        y = run(CPU, *given)
        found.append([y, *torch.autograd.grad(y.sum(), wanted)])
    torch.testing.assert_close(found, [theirs, theirs], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_is_spent_where_nobody_asks_for_a_gradient(layout):
    given = [t.detach() for t in tensors((2, 5, 4, 3), "bias scale noises", torch.float32)]
    x, *rest = given[0].contiguous(memory_format=layout), *given[1:]
    names = ("bias", "scale", "noise", "strength")
    named = dict(zip(names, rest, strict=True)) | {"slope": SLOPE, "gain": GAIN, "spend": True}
    expected, kept = expected_of(x, *rest), x.clone()
    asked = x.clone().requires_grad_()
    torch.testing.assert_close(bias_act(asked, **named), expected)
    crossed = x.movedim(2, 3).contiguous().movedim(2, 3)  # rows of neither order
    torch.testing.assert_close(bias_act(crossed, **named), expected)
    assert torch.equal(asked, kept) and torch.equal(crossed, kept)
    spent = bias_act(x, **named)
    torch.testing.assert_close(spent, expected)
    assert spent.data_ptr() == x.data_ptr() and spent.stride() == x.stride()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"gain": 0.0}, "positive gain"),
        ({"slope": -0.1}, "slope of at least 0"),
        ({"strength": torch.ones(1)}, "come together"),
        ({"noise": torch.ones(3, 1, 4), "strength": torch.ones(1)}, "3 noise maps for 2 items"),
    ],
)
def test_mistakes_are_told(arguments, told):
    with pytest.raises(ValueError, match=told):
        bias_act(torch.zeros(2, 5, 4), **arguments)

"""Every kernel as a GPU launches it: odd sizes, every precision, views, far offsets, no waiting."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from kernels.test_bias_act import expected_of, tensors
from kernels.test_log_mel import OTHER, PUBLISHED
from kernels.test_modulated_conv import FIR, run, settings_of
from kernels.test_modulated_conv import tensors as conv_tensors
from kernels.test_rasterize import assert_same, scene
from kernels.test_upfirdn2d import SETTINGS, kernel_of

from voicemesh.kernels.bias_act import bias_act, bias_act_reference
from voicemesh.kernels.log_mel import log_mel, log_mel_fft, log_mel_reference
from voicemesh.kernels.modulated_conv import modulated_conv2d, modulated_conv2d_reference
from voicemesh.kernels.rasterize import interpolate, interpolate_reference, rasterize
from voicemesh.kernels.rasterize_cpu import rasterize_cpu
from voicemesh.kernels.upfirdn2d import resamplings, upfirdn2d, upfirdn2d_reference

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
SINGLE, HALVES = [torch.float32], [torch.float16, torch.bfloat16]
DTYPES = pytest.mark.parametrize("dtype", SINGLE + HALVES)
ORDERS = pytest.mark.parametrize("last", [False, True])
FAR = 1 << 31  # elements that 32-bit offsets cannot reach


@pytest.fixture(autouse=True)
def exact():
    """Convolutions of the library in full float32, as the references are."""
    library = torch.backends.cudnn.conv  # whose attributes pytest cannot put back
    known, library.fp32_precision = library.fp32_precision, "ieee"
    yield
    library.fp32_precision = known


def maps(*shape, dtype=torch.float32, last=False):
    x = torch.randn(shape, device="cuda").to(dtype)
    return x.contiguous(memory_format=torch.channels_last) if last else x


def close_to(dtype, times=2):
    eps = torch.finfo(dtype).eps
    return {"rtol": times * eps, "atol": max(times * eps, 1e-5)}


def near(expected, dtype):
    """For sums of many products, of which some cancel."""
    most = float(expected.abs().max())
    return {"rtol": 0.02, "atol": most * (1e-4 if dtype in SINGLE else 16 * torch.finfo(dtype).eps)}


@ORDERS
@DTYPES
@pytest.mark.parametrize("shape", [(2, 65, 33, 63), (3, 512, 4, 4), (1, 3, 257, 1), (5, 7, 1, 1)])
def test_bias_act_and_its_gradients(shape, dtype, last):
    x, *rest = tensors(shape, "bias scale noise", torch.float32, "cuda")
    x = x.detach().to(dtype)
    x = (x.contiguous(memory_format=torch.channels_last) if last else x).requires_grad_()
    bias, scale, noise, strength = rest
    ours = bias_act(x, bias, 0.1, 3.0, scale=scale, noise=noise, strength=strength)
    expected = expected_of(x, bias, scale, noise, strength)
    torch.testing.assert_close(ours, expected, **close_to(dtype))
    wanted, cotangent = [x, bias, scale, strength], torch.randn_like(ours)
    theirs = torch.autograd.grad(expected, wanted, cotangent)
    sums = 64 * torch.finfo(dtype).eps * shape[2:].numel() ** 0.5 if dtype in HALVES else 1e-3
    for graph in (False, True):
        back = torch.autograd.grad(ours, wanted, cotangent, retain_graph=True, create_graph=graph)
        torch.testing.assert_close(back[0], theirs[0], **close_to(dtype, 4))
        torch.testing.assert_close(back[1:], theirs[1:], rtol=0.02, atol=sums)


def test_double_precision_is_differentiable_twice():
    given = [*tensors((2, 3, 4, 5), "bias scale noises", device="cuda")]

    def activated(x, bias, scale, noise, strength):
        return bias_act(x, bias, 0.1, 3.0, scale=scale, noise=noise, strength=strength)

    torch.testing.assert_close(activated(*given), expected_of(*given))
    assert torch.autograd.gradcheck(activated, given, fast_mode=True, nondet_tol=1e-6)
    assert torch.autograd.gradgradcheck(activated, given, fast_mode=True, nondet_tol=1e-6)
    for taps, up in ((3, 1), (3, 2)):
        given = [t.detach().cuda() for t in conv_tensors(size=(3, 2), up=up, ins=2, outs=2)]
        given = [t.requires_grad_() for t in given]
        fir = FIR.cuda() if up == 2 else None
        check = partial(run, modulated_conv2d, **settings_of(taps, up, True) | {"fir": fir})
        assert torch.autograd.gradcheck(check, given, fast_mode=True, nondet_tol=1e-6)
        assert torch.autograd.gradgradcheck(check, given, fast_mode=True, nondet_tol=1e-6)


@ORDERS
@DTYPES
@pytest.mark.parametrize("setting", SETTINGS)
def test_upfirdn2d_and_its_gradients(setting, dtype, last):
    up, down, padding, taps = setting
    x, kernel = maps(2, 24, 65, 47, dtype=dtype, last=last).requires_grad_(), kernel_of(taps, False)
    axes = resamplings(x, kernel, up, down, padding)
    kernel = kernel.cuda()
    ours = upfirdn2d(x, kernel, up, down, padding)
    expected = upfirdn2d_reference(x, kernel, axes)
    close = close_to(dtype, 4)
    torch.testing.assert_close(ours, expected, **close)
    cotangent = torch.randn_like(ours).requires_grad_()
    (back,) = torch.autograd.grad(ours, x, cotangent, create_graph=True)
    torch.testing.assert_close(back, torch.autograd.grad(expected, x, cotangent)[0], **close)
    (again,) = torch.autograd.grad(back, cotangent, torch.ones_like(back))
    twice = upfirdn2d_reference(torch.ones_like(x), kernel, axes)
    torch.testing.assert_close(again, twice, **close)


def test_views_are_read_as_they_lie():
    view = maps(6, 9, 22, 31).transpose(0, 1)[::2, :, 1:, ::2]
    kernel, bias = torch.rand(4, 4, device="cuda"), torch.randn(6, device="cuda")
    axes = resamplings(view, kernel, 1, 2, (1, 1))
    ours = upfirdn2d(view, kernel, 1, 2, (1, 1))
    torch.testing.assert_close(ours, upfirdn2d_reference(view, kernel, axes))
    spread = torch.randn(1, 6, 1, 1, device="cuda").expand(3, 6, 5, 4)
    for given in (view, spread):
        torch.testing.assert_close(
            bias_act(given, bias, 0.1, 3.0), bias_act_reference(given, bias, 0.1, 3.0)
        )
    wave = torch.randn(3, 9000, device="cuda")[:, ::2]
    expected = log_mel_reference(wave.double(), PUBLISHED, wave.new_zeros(3).double()).float()
    torch.testing.assert_close(log_mel(wave, PUBLISHED), expected, atol=1e-3, rtol=0)


@ORDERS
@pytest.mark.parametrize("batch", [1, 3])
def test_far_offsets(last, batch):
    if torch.cuda.mem_get_info()[0] < 16 * FAR:
        pytest.skip("needs 32 GiB of free memory")
    side = int((FAR / (64 * batch)) ** 0.5) + 9
    x = torch.zeros(batch, 64, side, side, dtype=torch.float16, device="cuda")
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    x[-1, :, -8:, -8:] = torch.randn(64, 8, 8, device="cuda")
    bias = torch.randn(64, device="cuda")
    corner = bias_act_reference(x[-1:, :, -8:, -8:], bias, 0.1, 3.0)
    torch.testing.assert_close(bias_act(x, bias, 0.1, 3.0)[-1:, :, -8:, -8:], corner)
    kernel = torch.rand(4, 4, device="cuda")
    axes = resamplings(x, kernel, 1, 1, (1, 1))
    expected = upfirdn2d_reference(x[-1:, :, -8:, -8:].float(), kernel, axes)
    ours = upfirdn2d(x, kernel, 1, 1, (1, 1))[-1:, :, -6:, -6:].float()
    torch.testing.assert_close(ours, expected[:, :, -6:, -6:], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("settings", [PUBLISHED, OTHER, replace(PUBLISHED, window=401, fft=512)])
@pytest.mark.parametrize("loudness", [1e-4, 0.1, 3e4])
def test_log_mel(settings, loudness):
    settings = replace(settings, scale=settings.scale / loudness)
    for items, samples in ((1, 700), (70, 16_037), (3, 160_000)):
        wave = loudness * torch.randn(items, samples, device="cuda").cumsum(1).sin()
        prior = wave[:, 0].flip(0)
        expected = log_mel_reference(wave.double(), settings, prior.double()).float()
        ours = log_mel(wave, settings, prior)
        torch.testing.assert_close(ours, expected, atol=1e-3, rtol=0)
        same = log_mel_fft(wave, settings, prior)
        assert (ours - expected).abs().max() < 4 * (same - expected).abs().max() + 1e-5


def test_a_quiet_voice_beside_a_loud_one_and_autocast():
    wave = torch.randn(2, 8000, device="cuda")
    wave[1] *= 1e-5
    expected = log_mel_reference(wave.double(), PUBLISHED, wave.new_zeros(2).double()).float()
    with torch.autocast("cuda", torch.float16):
        torch.testing.assert_close(log_mel(wave, PUBLISHED), expected, atol=1e-3, rtol=0)
        wave.requires_grad_()
        torch.testing.assert_close(log_mel(wave, PUBLISHED), expected, atol=2e-3, rtol=0)
    assert (log_mel(torch.zeros(2, 500, device="cuda"), PUBLISHED) < -11.5).all()


@pytest.mark.parametrize("case", [(1, 1, 1), (60, 33, 40), (300, 517, 701), (40_000, 1024, 1023)])
def test_rasterize_and_interpolate_to_the_bit(case):
    vertices, triangles = scene(*case)
    if case[0] > 1000:  # mesh-like: small triangles, and a few that span the image
        centre = vertices[triangles[:, :1]]
        small = centre + (vertices[triangles] - centre) * 0.01
        small[::4000] = vertices[triangles[::4000]]
        vertices, triangles = small.reshape(-1, 3), torch.arange(3 * case[0]).reshape(-1, 3)
    on_gpu = vertices.cuda(), triangles.cuda()
    expected = rasterize_cpu(vertices, triangles, case[1:])
    for _ in range(2):  # whoever comes first
        found = rasterize(*on_gpu, case[1:])
        assert_same(found, expected)
    attributes = torch.randn(len(vertices), 5, device="cuda")
    ours = interpolate(found, on_gpu[1], attributes)
    assert torch.equal(ours, interpolate_reference(found, on_gpu[1], attributes))
    (back,) = torch.autograd.grad(
        interpolate(found, on_gpu[1], attributes.requires_grad_()).sum(), attributes
    )
    torch.testing.assert_close(back.sum(), 5 * found.weights.sum(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@DTYPES
def test_modulated_conv2d(dtype, up, gradients, batch):
    given = [t.detach().cuda() for t in conv_tensors(batch, (33, 31), up=up, ins=70, outs=90)]
    settings = settings_of(3, up, True) | {"fir": FIR.cuda() if up == 2 else None}
    expected = run(modulated_conv2d_reference, *given, **settings)
    x, *rest = (t.to(dtype if i == 0 else torch.float32) for i, t in enumerate(given))
    x.requires_grad_(gradients)
    ours = run(modulated_conv2d, x, *rest, **settings)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), expected, **near(expected, dtype))
    with torch.autocast("cuda", torch.bfloat16):
        cast = run(modulated_conv2d, x.float(), *rest, **settings)
    assert cast.dtype == torch.bfloat16
    assert (cast.double() - expected).abs().max() < 0.03 * expected.abs().max()


@DTYPES
def test_implicit_convolution_by_all_blocks(dtype):
    from voicemesh.kernels.modulated_conv import scales
    from voicemesh.kernels.modulated_conv_triton import CHOICES, styled_conv

    given = [t.detach().cuda() for t in conv_tensors(2, (33, 31), ins=70, outs=90)]
    expected = run(modulated_conv2d_reference, *given)
    x, weight, style, *rest = (
        t.to(dtype if i == 0 else torch.float32) for i, t in enumerate(given)
    )
    style, scale = scales(x, weight, style, True, 0.3, None)
    shared = torch.cuda.get_device_properties(0).shared_memory_per_block_optin
    fitting = [b for b in CHOICES if b.shared(x.element_size()) <= shared]
    for blocks in (*fitting, None):  # None: whichever is fastest
        ours = styled_conv(x, weight, style, scale, *rest, 0.1, 3.0, blocks)
        torch.testing.assert_close(ours.double(), expected, **near(expected, dtype))


@pytest.fixture
def every_operation():
    """A run of all of them on inputs that stay, and the inputs."""
    x, kernel = maps(2, 16, 40, 40, dtype=torch.float16, last=True), torch.rand(4, 4, device="cuda")
    wave, bias = torch.randn(2, 4000, device="cuda"), torch.randn(16, device="cuda")
    weight, style = torch.randn(24, 16, 3, 3, device="cuda"), torch.randn(2, 16, device="cuda")
    vertices, triangles = (t.cuda() for t in scene(60, 33, 40))

    def run():
        with torch.no_grad():
            seen = rasterize(vertices, triangles, (33, 40))
            return (
                bias_act(x, bias, 0.1, 3.0),
                upfirdn2d(x, kernel),
                log_mel(wave, PUBLISHED),
                modulated_conv2d(x, weight, style, up=2, fir=kernel),
                *seen,
                interpolate(seen, triangles, vertices),
            )

    wanted = run()  # compiles, makes the tables and asks for the triangles' vertices
    torch.cuda.synchronize()
    return run, wanted, (x, wave, vertices)


def test_nothing_waits_for_the_gpu_and_every_stream_is_its_own(every_operation):
    run, wanted, _ = every_operation
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.stream(torch.cuda.Stream()):
            found = run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_a_graph_of_every_operation_is_replayed(every_operation):
    run, wanted, inputs = every_operation
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = run()
    for given in inputs:
        given.mul_(0.5)
    graph.replay()
    torch.testing.assert_close(found, run(), rtol=0, atol=0)
    assert not torch.equal(found[0], wanted[0]) and not torch.equal(found[-1], wanted[-1])


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_tensors_of_another_gpu():
    x = torch.randn(2, 3, 9, 9, device="cuda:1")
    torch.testing.assert_close(bias_act(x), bias_act_reference(x))
    with pytest.raises(ValueError, match="bias on cuda:0 for maps on cuda:1"):
        bias_act(x, torch.zeros(3, device="cuda:0"))

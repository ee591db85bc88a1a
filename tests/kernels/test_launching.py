"""Where Triton cannot run: one word on why, and PyTorch's own operators in its place."""

import contextlib
import logging
import sys

import pytest
import torch
from kernels.launched import DEVICE
from kernels.test_upfirdn2d import SETTINGS, kernel_of

from voicemesh.kernels import launching
from voicemesh.kernels import upfirdn2d as filtering
from voicemesh.kernels.bias_act import bias_act, bias_act_plain
from voicemesh.kernels.rasterize import interpolate, rasterize
from voicemesh.kernels.upfirdn2d import resamplings, upfirdn2d, upfirdn2d_plain

GPU = torch.device("cuda", 0)


@pytest.fixture
def asked():
    launching._runs.cache_clear()
    yield launching._runs
    launching._runs.cache_clear()


def test_tensors_of_the_cpu_are_never_launched():
    assert not launching.launches(torch.zeros(2))


def test_no_triton_is_said_once(asked, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    with caplog.at_level(logging.WARNING):
        assert not asked(GPU) and not asked(GPU)
    (message,) = caplog.messages
    assert message.startswith("No Triton on cuda:0, so plain PyTorch does its work, slower: ")


def test_what_is_in_the_way_is_told(asked, monkeypatch, caplog):
    def refuses(device):
        raise RuntimeError("Failed to find C compiler.\nPlease specify")

    monkeypatch.setattr(launching, "_tried", refuses)
    assert not asked(GPU)
    assert caplog.messages[0].endswith("slower: Failed to find C compiler.")


def test_a_kernel_that_leaves_a_wrong_number_is_not_trusted(asked, monkeypatch, caplog):
    probing = pytest.importorskip("voicemesh.kernels.probe_triton")
    launching._tried(torch.device(DEVICE))
    monkeypatch.setattr(probing, "probe_triton", lambda x: x.fill_(2))
    assert not asked(torch.device(DEVICE))
    assert caplog.messages[0].endswith("slower: a kernel left a wrong number")


def test_a_full_gpu_says_nothing_of_triton(asked, monkeypatch):
    def full(device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(launching, "_tried", full)
    with pytest.raises(torch.OutOfMemoryError):
        asked(GPU)
    monkeypatch.setattr(launching, "_tried", lambda device: True)
    assert asked(GPU)


def test_nothing_is_concluded_from_a_graph_that_is_being_captured(asked, monkeypatch):
    monkeypatch.setattr(launching, "_tried", lambda device: True)
    with monkeypatch.context() as capturing:
        capturing.setattr(launching, "_capturing", lambda: True)
        with pytest.raises(RuntimeError, match="run the operation once before"):
            asked(GPU)
    assert asked(GPU)


def test_a_home_that_nobody_may_write_to_is_left(asked, monkeypatch, tmp_path):
    knobs = pytest.importorskip("triton.knobs")
    found = []

    def tried(device):
        found.append(knobs.cache.dir)
        if len(found) == 1:
            raise PermissionError(13, "Permission denied")
        return True

    monkeypatch.setattr(launching, "_tried", tried)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(launching.tempfile, "tempdir", None)
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, knobs.cache, "dir", knobs.cache.dir)
        assert asked(GPU)
    assert found[0] != found[1] and found[1].startswith(str(tmp_path))


@pytest.mark.parametrize("setting", SETTINGS)
def test_filtering_by_plain_operators(setting):
    up, down, padding, taps = setting
    x, kernel = torch.randn(2, 3, 13, 11, requires_grad=True), kernel_of(taps, False)
    axes = resamplings(x, kernel, up, down, padding)
    ours, expected = upfirdn2d_plain(x, kernel, axes), upfirdn2d(x, kernel, up, down, padding)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    towards = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y * towards).sum(), x)[0] for y in (ours, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_a_filter_too_large_to_be_laid_out_whole_is_plain(monkeypatch):
    x = torch.empty(1, 2, 20, 21, device="meta")  # of no CPU, as little as a GPU's
    plain, fused = torch.zeros(2, 1, 2, 3, 3)
    monkeypatch.setattr(filtering, "launches", lambda x: True)
    monkeypatch.setattr(filtering, "resample", lambda *given: fused)
    monkeypatch.setattr(filtering, "upfirdn2d_plain", lambda *given: plain)
    assert upfirdn2d(x, torch.ones(12, 12)) is fused
    assert upfirdn2d(x, torch.ones(5, 29), padding=(9, 9)) is plain


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activation_by_plain_operators(dtype):
    x, scale = torch.randn(2, 3, 5, 4).to(dtype), torch.rand(2, 3)
    noise, strength, bias = torch.randn(2, 1, 5, 4), torch.rand(1), torch.randn(3)
    ours = bias_act_plain(x, bias, 0.1, 3.0, scale, noise, strength)
    theirs = bias_act(x, bias, 0.1, 3.0, scale=scale, noise=noise, strength=strength)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA GPU")
@pytest.mark.cuda
def test_a_gpu_without_triton_does_all_the_same(monkeypatch):
    corners, triangles = torch.rand(9, 3, device=GPU) * 20, torch.arange(9, device=GPU).view(3, 3)
    x, kernel = torch.randn(2, 3, 9, 9, device=GPU), torch.rand(4, 4, device=GPU)

    def everything():
        seen = rasterize(corners, triangles, (20, 20))
        shown = interpolate(seen, triangles, corners)
        return bias_act(x), upfirdn2d(x, kernel, 2, 1, (2, 1)), *seen, shown

    expected = everything()
    monkeypatch.setattr(launching, "_runs", lambda device: False)
    torch.testing.assert_close(everything(), expected)

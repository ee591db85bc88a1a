"""Every kernel beside its PyTorch form: equality first, then time, rate and share of the roof.

On a GPU the roofs are measured in the same run (a copy, a matrix product) and caches are emptied
between runs, so shares are of what this machine can do; there the PyTorch form is also timed as
`torch.compile` makes it, where it can. Without a GPU the CPU forms are timed.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rasterize import scattered, sphere
from stylegan2_ops import FIR, depthwise, plain_bias_act, plain_styled_conv, plain_upfirdn2d
from timing import fastest

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.kernels.bias_act import GAIN, SLOPE, bias_act
from voicemesh.kernels.log_mel import MelSettings, log_mel, log_mel_fft
from voicemesh.kernels.modulated_conv import modulated_conv2d
from voicemesh.kernels.rasterize import interpolate, interpolate_reference, rasterize
from voicemesh.kernels.upfirdn2d import upfirdn2d


@dataclass(frozen=True)
class Case:
    """One operation on one shape, and what it cannot do without."""

    name: str
    ours: Callable[[], torch.Tensor]
    plain: Callable[[], torch.Tensor]
    bytes: float  # read and written once
    operations: float
    error: float  # that both may differ by, of the largest value
    apart: float = 1e-3  # share of the values that may differ by more
    compiles: bool = True  # the PyTorch form, and in less than minutes


def activations(device: str, dtype: torch.dtype, size: int, batch: int) -> Iterator[Case]:
    x = maps(batch, 64, size, size, device=device, dtype=dtype)
    bias, noise = torch.randn(64, device=device), torch.randn(1, 1, size, size, device=device)
    strength, cotangent = torch.ones(1, device=device), torch.randn_like(x)
    leaf = x.clone().requires_grad_()
    rest = [t.to(dtype) for t in (bias, noise, strength)]
    volume = x.numel() * x.element_size()

    def gradients(form: Callable[..., torch.Tensor], *vectors: torch.Tensor) -> torch.Tensor:
        bias = vectors[0].clone().requires_grad_()
        y = form(leaf, bias, *vectors[1:])
        return torch.autograd.grad(y, [leaf, bias], cotangent)[0]

    def fused(x, bias, noise, strength):
        return bias_act(x, bias, noise=noise, strength=strength)

    yield Case(
        "bias_act",
        lambda: fused(x, bias, noise, strength),
        lambda: plain_bias_act(x, *rest),
        2 * volume,
        6 * x.numel(),
        error_of(dtype),
    )
    yield Case(
        "bias_act and its gradients",
        lambda: gradients(fused, bias, noise, strength),
        lambda: gradients(plain_bias_act, *rest),
        5 * volume,
        12 * x.numel(),
        error_of(dtype),
        compiles=False,
    )


def filters(device: str, dtype: torch.dtype, size: int, batch: int) -> Iterator[Case]:
    fir = FIR.to(device)
    for name, side, up, down, padding in (
        ("same size", size + 1, 1, 1, (1, 1)),
        ("up 2", size // 2, 2, 1, (2, 1)),
        ("down 2", size, 1, 2, (1, 1)),
    ):
        x = maps(batch, 64, side, side, device=device, dtype=dtype)
        results = batch * 64 * (size // down) ** 2
        if up == 1:
            plain = lambda x=x, d=down: depthwise(x, fir.to(dtype), d, 1)  # noqa: E731
        else:
            plain = lambda x=x, p=padding: plain_upfirdn2d(x, fir.to(dtype), 2, 1, p)  # noqa: E731
        yield Case(
            f"upfirdn2d, {name}",
            lambda a=(x, fir, up, down, padding): upfirdn2d(*a),
            plain,
            (x.numel() + results) * x.element_size(),
            32 * results / up**2,
            error_of(dtype),
        )


def convolutions(device: str, dtype: torch.dtype, size: int, batch: int) -> Iterator[Case]:
    for channels, shrunk in ((64, 1), (256, 4)):
        side = max(8, size // shrunk)
        for up, implicit in ((1, False), (1, True), (2, False)):
            if implicit and device == "cpu":
                continue
            x = maps(batch, channels, side // up, side // up, device=device, dtype=dtype)
            weight = torch.randn(channels, channels, 3, 3, device=device)
            style, bias = (torch.randn(s, device=device) for s in ((batch, channels), channels))
            noise, strength = torch.randn(1, 1, side, side, device=device), torch.ones(1).to(device)
            then = {"bias": bias, "noise": noise, "strength": strength, "implicit": implicit}
            then |= {"up": up, "fir": 4 * FIR.to(device) if up == 2 else None}
            same = [t.to(dtype) for t in (weight, style)]
            after = [t.to(dtype) for t in (bias, noise, strength)]

            def ours(x=x, weight=weight, style=style, then=then, gain=(9 * channels) ** -0.5):
                with torch.no_grad():
                    return modulated_conv2d(
                        x, weight, style, weight_gain=gain, slope=SLOPE, gain=GAIN, **then
                    )

            yield Case(
                f"modulated_conv2d, {channels} channels{', up 2' * (up == 2)}"
                f"{', implicit' * implicit}",
                ours,
                lambda a=(x, *same, up, *after): plain_styled_conv(*a),
                (1 + up**2) * x.numel() * x.element_size(),
                18 * channels * x.numel(),
                4 * error_of(dtype) if dtype != torch.float32 else 1e-4,
            )


def spectra(device: str, voices: int) -> Iterator[Case]:
    wave, settings = 0.1 * torch.randn(voices, 64_000, device=device), MelSettings()
    prior, frames = wave.new_zeros(voices), voices * MelSettings().frames(64_000)
    yield Case(
        f"log_mel, {voices} voices of 4 s",
        lambda: log_mel(wave, settings),
        lambda: log_mel_fft(wave, settings, prior),
        4 * (wave.numel() + frames * settings.mels),
        frames * 3 * (2 * 2 * 200 * 460 + 2 * 460 * settings.mels),
        1e-4,
    )


def pictures(device: str, size: int) -> Iterator[Case]:
    points, corners = (torch.from_numpy(a).to(device) for a in sphere(169, 227, size))
    attributes = torch.rand(len(points), 3, device=device)
    fragments = rasterize(points, corners, (size, size))
    yield Case(
        f"rasterize, {len(corners)} triangles, {size} px",
        lambda: rasterize(points, corners, (size, size)).depth,
        lambda: scattered(points, corners, size),
        48 * len(corners) + 36 * size**2,
        40 * 4 * len(corners),
        1e-5,
        2e-2,  # triangles seen edge on, which either form rounds as it likes
        compiles=False,
    )
    yield Case(
        "interpolate 3 attributes",
        lambda: interpolate(fragments, corners, attributes),
        lambda: interpolate_reference(fragments, corners, attributes),
        28 * size**2,
        15 * size**2,
        1e-6,
    )


def maps(*shape: int, device: str, dtype: torch.dtype) -> torch.Tensor:
    """Random maps in the order of channels that convolutions of this precision like best."""
    x = torch.randn(shape, device=device).to(dtype)
    last = device == "cuda" and dtype != torch.float32
    return x.contiguous(memory_format=torch.channels_last) if last else x


def error_of(dtype: torch.dtype) -> float:
    """Rounding of a few steps in this precision, of the largest value."""
    return 4 * torch.finfo(dtype).eps


def differing(case: Case) -> float:
    """The share of values in which both forms differ, without TF32, by more than they may."""
    with rounding(torch.backends.cudnn.conv, "ieee"), rounding(torch.backends.cuda.matmul, "ieee"):
        ours, plain = case.ours().double(), case.plain().double()
    far = (ours - plain).abs() > case.error * plain.abs().amax()
    return float(far.double().mean())


@contextmanager
def rounding(backend: Any, precision: str) -> Iterator[None]:
    """Products of float32 in this precision inside the block."""
    known, backend.fp32_precision = backend.fp32_precision, precision
    try:
        yield
    finally:
        backend.fp32_precision = known


def compiled(case: Case, repeats: int) -> float:
    """Milliseconds of the PyTorch form as `torch.compile` makes it; not a number where it cannot.

    Forms are closures of one code: what is known of the one before is forgotten.
    """
    torch._dynamo.reset()
    try:
        return milliseconds(torch.compile(case.plain, dynamic=False), "cuda", repeats)
    except RuntimeError as error:
        print(f"{case.name}: not compiled, {type(error).__name__}", file=sys.stderr)
        return math.nan


def milliseconds(run: Callable[[], object], device: str, repeats: int) -> float:
    """Median on a GPU, with empty caches; on a CPU processor time of the fastest run."""
    if device == "cuda":
        from triton.testing import do_bench

        return do_bench(run, rep=20 * repeats, return_mode="median")
    return 1e3 * fastest(run, repeats, time.process_time)


def roofs(device: str, dtype: torch.dtype, repeats: int) -> tuple[float, float]:
    """Bytes and operations a second that a copy and a matrix product reach here."""
    side, count = (8192, 1 << 28) if device == "cuda" else (512, 1 << 24)
    source = torch.zeros(count, device=device)
    target, a = torch.empty_like(source), torch.randn(side, side, device=device).to(dtype)
    copied = 8 * count / milliseconds(lambda: target.copy_(source), device, repeats)
    with rounding(torch.backends.cuda.matmul, "tf32"):
        return 1e3 * copied, 2e3 * side**3 / milliseconds(lambda: a @ a, device, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, help="side of the maps; 256, on a CPU 64")
    parser.add_argument("--batch", type=int, help="maps at once; 8, on a CPU 1")
    parser.add_argument("--only", default="", help="operations whose name holds this")
    parser.add_argument("--eager", action="store_true", help="leave torch.compile out")
    parser.add_argument("--compile", action="store_true", help="machine_code.py, without a GPU")
    given = parser.parse_args()
    if given.compile:
        import machine_code

        return machine_code.main(["--only", given.only])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        print("No CUDA GPU on this machine: the CPU forms, on one core.")
        torch.set_num_threads(1)
    else:
        print(torch.cuda.get_device_name())
    size, batch = given.size or (256 if device == "cuda" else 64), given.batch
    batch = batch or (8 if device == "cuda" else 1)
    torch.manual_seed(0)
    for dtype in [torch.float32] + [torch.float16, torch.bfloat16] * (device == "cuda"):
        bandwidth, rate = roofs(device, dtype, given.repeats)
        print(f"\n{dtype}: copy {bandwidth / 1e9:.0f} GB/s, product {rate / 1e12:.2f} TFLOP/s")
        head = f"{'':>44} {'ms':>8} {'PyTorch':>8} {'ratio':>6} {'compiled':>8} {'ratio':>6}"
        print(head + f" {'GB/s':>7} {'TFLOP/s':>8}  of roof")
        settings = device, dtype, size, batch
        cases = [*activations(*settings), *filters(*settings), *convolutions(*settings)]
        if dtype == torch.float32:
            cases += pictures(device, 4 * size)
        if dtype == torch.float16 or device == "cpu":  # the precision of its products
            cases += spectra(device, 32 * batch)
        for case in (case for case in cases if given.only in case.name):
            apart = differing(case)
            ours, plain = (milliseconds(f, device, given.repeats) for f in (case.ours, case.plain))
            made = math.nan
            if device == "cuda" and case.compiles and not given.eager:
                made = compiled(case, given.repeats)
            share = max(case.bytes / bandwidth, case.operations / rate) * 1e3 / ours
            beside = f"{'-':>8} {'-':>6}"
            if made == made:
                beside = f"{made:8.3f} {made / ours:6.2f}"
            rates = f"{case.bytes / ours / 1e6:7.0f} {case.operations / ours / 1e9:8.2f}"
            print(
                f"{case.name:>44} {ours:8.3f} {plain:8.3f} {plain / ours:6.2f} {beside} {rates} "
                f"{share:8.0%}" + f"  DIFFERS in {apart:.1e} of all values" * (apart > case.apart),
                flush=True,
            )


if __name__ == "__main__":
    main()

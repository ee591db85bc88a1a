"""The launches that pages and training make, on tensors without memory, to compile offline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from offline import allowed, architecture

from voicemesh.kernels.bias_act_triton import bias_act_gradient_triton, bias_act_triton
from voicemesh.kernels.interpolate_triton import interpolate_triton
from voicemesh.kernels.log_mel import MelSettings
from voicemesh.kernels.log_mel_triton import log_mel_triton
from voicemesh.kernels.modulated_conv_triton import CHOICES, styled_conv_triton
from voicemesh.kernels.probe_triton import probe_triton
from voicemesh.kernels.rasterize import Fragments
from voicemesh.kernels.rasterize_triton import rasterize_triton
from voicemesh.kernels.upfirdn2d import resamplings
from voicemesh.kernels.upfirdn2d_triton import upfirdn2d_triton

BATCH, CHANNELS, SIDE = 8, 64, 256
SLOPE, GAIN = 0.2, 2**0.5
SINGLE, HALF = torch.float32, torch.bfloat16
FIRST, LAST = torch.contiguous_format, torch.channels_last


@dataclass(frozen=True)
class Case:
    """One call of a launcher, and what it cannot do without."""

    module: str
    name: str
    launch: Callable[[], object]
    bytes: float  # read and written once
    operations: float
    products: str = "float32"
    trips: tuple[tuple[int, ...], ...] | None = None  # of every kernel's loops, if they are known


def cases() -> Iterator[Case]:
    """All of them for the architecture that is compiled for."""
    for samples, voices in ((64_000, 256), (16_000, 1), (6000, 2)):
        yield spectra(samples, voices)
    for dtype, layout in ((SINGLE, FIRST), (HALF, LAST)):
        yield from activations(dtype, layout)
        yield from filters(dtype, layout)
    yield from convolutions()
    yield from pictures()
    yield Case("probe", "probe", lambda: probe_triton(empty(1)), 4, 0, trips=((),))


def spectra(samples: int, voices: int) -> Case:
    settings = MelSettings()
    frames = settings.frames(samples)
    products = 2 * 2 * 200 * 460 + 2 * 460 * settings.mels
    return Case(
        "log_mel",
        f"log_mel, {voices} voices of {samples / 16_000:.1f} s",
        lambda: log_mel_triton(empty(voices, samples), settings, empty(voices)),
        4 * voices * (4 * samples + settings.mels * frames),
        3 * voices * frames * products,
        "float16",
        ((), (4 if frames > 64 else 8, 13), (8, 13)),  # blocks of bins, steps over half a window
    )


def activations(dtype: torch.dtype, layout: torch.memory_format) -> Iterator[Case]:
    x = maps(SIDE, dtype, layout)
    bias, scale = empty(CHANNELS), empty(BATCH, CHANNELS)
    noise, strength = empty(1, 1, SIDE, SIDE), empty(1)
    for name, arrays, operations, launch in (
        ("bias", 2, 4, lambda: bias_act_triton(x, bias, SLOPE, GAIN)),
        ("all", 2, 7, lambda: bias_act_triton(x, bias, SLOPE, GAIN, scale, noise, strength)),
        ("a side", 3, 4, lambda: bias_act_triton(x, None, SLOPE, GAIN, scale, side=x)),
        (
            "gradient",
            3,
            4,
            lambda: bias_act_gradient_triton(x, x, SLOPE, GAIN, None, None, None),
        ),
        (
            "all gradients",
            4,
            9,
            lambda: bias_act_gradient_triton(x, x, SLOPE, GAIN, x, scale, noise),
        ),
    ):
        yield Case(
            "bias_act",
            f"bias_act with {name}, {dtype}",
            launch,
            arrays * x.numel() * x.element_size(),
            operations * x.numel(),
            trips=((4,) if "gradient" in name else (),),
        )


def filters(dtype: torch.dtype, layout: torch.memory_format) -> Iterator[Case]:
    kernel, then = empty(4, 4), (empty(CHANNELS), SLOPE, GAIN, empty(BATCH, CHANNELS))
    noise = empty(1, 1, SIDE, SIDE), empty(1)
    for name, side, up, down, padding, after in (
        ("same size", SIDE + 1, 1, 1, (1, 1), ()),
        ("same size and bias_act", SIDE + 1, 1, 1, (1, 1), (*then, *noise)),
        ("up 2", SIDE // 2, 2, 1, (2, 1), ()),
        ("down 2", SIDE, 1, 2, (1, 1), ()),
    ):
        x = maps(side, dtype, layout)
        results = BATCH * CHANNELS * (SIDE // down) ** 2
        axes = resamplings(x, kernel, up, down, padding)
        yield Case(
            "upfirdn2d",
            f"upfirdn2d, {name}, {dtype}",
            lambda x=x, axes=axes, after=after: upfirdn2d_triton(x, kernel, axes, *after),
            (x.numel() + results) * x.element_size(),
            (32 / up**2 + 7 * bool(after)) * results,
            trips=((),),
        )


def convolutions() -> Iterator[Case]:
    weight, style, scale = empty(CHANNELS, CHANNELS, 3, 3), *(empty(BATCH, CHANNELS),) * 2
    then = scale, empty(CHANNELS), empty(1, 1, SIDE, SIDE), empty(1), SLOPE, GAIN
    for dtype in (SINGLE, torch.float16):
        if dtype != SINGLE and architecture() < 80:  # it spills there, so nobody takes it
            continue
        x = maps(SIDE, dtype, LAST)
        fitting = [b for b in CHOICES if b.shared(x.element_size()) <= allowed()]
        for blocks in fitting if architecture() >= 90 else (fitting[0], fitting[-1]):
            tile = f"{blocks.pixels} x {blocks.outs} x {blocks.ins}"
            yield Case(
                "modulated_conv",
                f"styled convolution by {tile}, {dtype}",
                lambda x=x, blocks=blocks: styled_conv_triton(x, weight, style, *then, blocks),
                2 * x.numel() * x.element_size(),
                18 * CHANNELS * x.numel(),
                "tf32" if dtype == SINGLE else "float16",
                ((), (9 * -(-CHANNELS // blocks.ins),)),
            )


def pictures() -> Iterator[Case]:
    count, side = 76_050, 1024
    mesh = empty(38_416, 3), empty(count, 3, dtype=torch.int32)
    fragments = Fragments(empty(side, side, dtype=torch.int32), empty(side, side, 3), empty(1, 1))
    yield Case(
        "rasterize",
        f"rasterize, {count} triangles, {side} px",
        lambda: rasterize_triton(*mesh, (side, side)),
        48 * count + 36 * side**2,
        40 * 4 * count,
    )
    for channels in (3, 4):
        yield Case(
            "interpolate",
            f"interpolate {channels} attributes, {side} px",
            lambda c=channels: interpolate_triton(fragments, mesh[1], empty(38_416, c)),
            (16 + 4 * channels) * side**2,
            5 * channels * side**2,
            trips=((),),
        )


def maps(side: int, dtype: torch.dtype, layout: torch.memory_format) -> torch.Tensor:
    return empty(BATCH, CHANNELS, side, side, dtype=dtype).contiguous(memory_format=layout)


def empty(*shape: int, dtype: torch.dtype = SINGLE) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")

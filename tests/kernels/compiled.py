"""Compiles what every Triton launcher launches, for GPUs that this machine need not have.

Run as `python compiled.py 75 80 90` without TRITON_INTERPRET: one JSON object per kernel and GPU.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget

sys.path.insert(0, str(Path(__file__).parents[2]))

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


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def resample(up: int, down: int, dtype: torch.dtype, layout: torch.memory_format) -> None:
    x, kernel = empty(2, 32, 32, 32, dtype=dtype).contiguous(memory_format=layout), empty(4, 4)
    upfirdn2d_triton(x, kernel, resamplings(x, kernel, up, down, (2, 1)))


def resample_and_activate(dtype: torch.dtype, layout: torch.memory_format) -> None:
    x, kernel = empty(2, 32, 33, 33, dtype=dtype).contiguous(memory_format=layout), empty(4, 4)
    then = empty(32), 0.2, 2**0.5, empty(2, 32), empty(1, 1, 32, 32), empty(1)
    upfirdn2d_triton(x, kernel, resamplings(x, kernel, 1, 1, (1, 1)), *then)


def activate(dtype: torch.dtype, layout: torch.memory_format) -> None:
    x = empty(2, 64, 32, 32, dtype=dtype).contiguous(memory_format=layout)
    bias, scale, noise, strength = empty(64), empty(2, 64), empty(1, 1, 32, 32), empty(1)
    bias_act_triton(x, bias, 0.2, 2**0.5)
    bias_act_triton(x, bias, 0.2, 2**0.5, scale, noise, strength)
    bias_act_triton(x, None, 0.2, 2**0.5, scale, side=x)
    bias_act_gradient_triton(x, x, 0.2, 2**0.5, None, None, None)
    bias_act_gradient_triton(x, x, 0.2, 2**0.5, x, scale, noise)


def convolve(dtype: torch.dtype) -> None:
    x, weight = empty(2, 64, 32, 32, dtype=dtype), empty(96, 64, 3, 3)
    style, scale, bias = empty(2, 64), empty(2, 96), empty(96)
    noise, strength = empty(1, 1, 32, 32), empty(1)
    fitting = [blocks for blocks in CHOICES if blocks.shared(x.element_size()) <= shared()]
    for blocks in (fitting[0], fitting[-1]):  # the largest and the smallest
        then = scale, bias, noise, strength, 0.2, 2**0.5
        styled_conv_triton(x, weight, style, *then, blocks)


def draw() -> None:
    triangles, size = empty(5, 3, dtype=torch.int64), (64, 48)
    rasterize_triton(empty(9, 3), triangles, size)


def interpolate() -> None:
    triangle = empty(64, 48, dtype=torch.int32)
    fragments = Fragments(triangle, empty(64, 48, 3), empty(64, 48))
    interpolate_triton(fragments, empty(5, 3, dtype=torch.int64), empty(9, 4))


def shared() -> int:
    """Bytes of shared memory that a block of the present architecture may have."""
    kibibytes = {75: 64, 80: 163, 86: 99, 89: 99, 90: 227, 120: 99}
    return kibibytes[triton.runtime.driver.active.get_current_device()] * 1024


FLOAT, HALF = torch.float32, torch.bfloat16
FIRST, LAST = torch.contiguous_format, torch.channels_last
LAUNCHES = {  # module -> the launches that pages and training make
    "log_mel": lambda: [
        log_mel_triton(empty(2, samples), MelSettings(), empty(2)) for samples in (6000, 16_000)
    ],
    "upfirdn2d": lambda: [
        resample(1, 1, HALF, LAST),
        resample(2, 1, FLOAT, FIRST),
        resample(1, 2, HALF, LAST),
        resample_and_activate(FLOAT, FIRST),
        resample_and_activate(HALF, LAST),
    ],
    "bias_act": lambda: [activate(FLOAT, FIRST), activate(HALF, LAST)],
    "modulated_conv": lambda: [
        convolve(dtype)
        for dtype in (FLOAT, torch.float16)
        if dtype == FLOAT or shared() > 64 * 1024  # no halves on sm_75: it spills there
    ],
    "rasterize": draw,
    "interpolate": interpolate,
    "probe": lambda: probe_triton(empty(1)),
}


class OfflineDriver:
    """As much of a GPU driver as compiling needs."""

    def __init__(self, architecture: int) -> None:
        self.target = GPUTarget("cuda", architecture, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return self.target.arch  # kernels are kept by device: one for each architecture

    def get_current_stream(self, device: int | None = None) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


def usage(compiled) -> dict:
    """Registers and stack bytes a thread, shared memory a block."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    return {
        "registers": int(found[1]),
        "stack": int(found[2]),
        "shared": compiled.metadata.shared,
        "warps": compiled.metadata.num_warps,
    }


def main(architectures: list[int]) -> None:
    run, compiled = triton.JITFunction.run, []

    def record(self, *args, grid, warmup, **options):
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        compiled.append((self.fn.__name__, kernel))
        return kernel

    triton.JITFunction.run = record
    for architecture in architectures:
        triton.runtime.driver.set_active(OfflineDriver(architecture))
        for module, launch in LAUNCHES.items():
            compiled.clear()
            launch()
            for name, kernel in compiled:
                about = {"module": module, "kernel": name, "architecture": architecture}
                about |= {"allowed": shared()}
                sys.stdout.write(json.dumps(about | usage(kernel)) + "\n")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])

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
from voicemesh.kernels.log_mel import MelSettings
from voicemesh.kernels.log_mel_triton import log_mel_triton
from voicemesh.kernels.modulated_conv_triton import styled_conv_triton
from voicemesh.kernels.rasterize_triton import rasterize_triton
from voicemesh.kernels.upfirdn2d import resamplings
from voicemesh.kernels.upfirdn2d_triton import upfirdn2d_triton


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def resample(up: int, down: int, dtype: torch.dtype) -> None:
    x, kernel = empty(2, 8, 32, 32, dtype=dtype), empty(4, 4)
    upfirdn2d_triton(x, kernel, resamplings(x, kernel, up, down, (2, 1)))


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
    styled_conv_triton(x, weight, style, scale, bias, noise, strength, 0.2, 2**0.5)
    styled_conv_triton(x, weight, style, None, None, None, None, 1.0, 1.0)


FLOAT, HALF = torch.float32, torch.bfloat16
LAUNCHES = {  # module -> the launches that pages and training make
    "log_mel": lambda: log_mel_triton(empty(2, 16_000), MelSettings(), empty(2)),
    "upfirdn2d": lambda: [resample(*s) for s in ((1, 1, HALF), (2, 1, FLOAT), (1, 2, HALF))],
    "bias_act": lambda: [
        activate(FLOAT, torch.contiguous_format),
        activate(HALF, torch.channels_last),
    ],
    "modulated_conv": lambda: [convolve(dtype) for dtype in (FLOAT, torch.float16)],
    "rasterize": lambda: rasterize_triton(empty(9, 3), empty(5, 3, dtype=torch.int64), (64, 48)),
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
                sys.stdout.write(json.dumps(about | usage(kernel)) + "\n")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])

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

from voicemesh.kernels.log_mel import MelSettings
from voicemesh.kernels.log_mel_triton import log_mel_triton
from voicemesh.kernels.rasterize_triton import rasterize_triton


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


LAUNCHES = {  # module -> the launch that a page makes
    "log_mel": lambda: log_mel_triton(empty(2, 16_000), MelSettings(), empty(2)),
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

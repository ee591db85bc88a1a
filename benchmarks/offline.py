"""Kernels compiled for GPUs that need not be there, from what their launchers launch."""

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

SHARED = {75: 64, 80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}  # KiB, a program at most


@dataclass(frozen=True)
class Kernel:
    """One compiled kernel and its grid."""

    name: str
    programs: int
    warps: int
    registers: int  # a lane
    stack: int  # bytes a lane, mostly spilt registers
    shared: int  # bytes a program
    code: tuple[str, ...]  # instructions and labels, where asked for

    @property
    def opcodes(self) -> Counter[str]:
        """How often every instruction occurs, with its width."""
        return Counter(op for op in map(_opcode, self.code) if op and op != "NOP")

    def executed(self, trips: tuple[int, ...]) -> float | None:
        """Instructions of a warp if every loop turns so often, outer ones told first.

        Branches count as taken never, so it is too much where some are; None if loops are others
        than told.
        """
        labels = {line[:-1]: i for i, line in enumerate(self.code) if line.endswith(":")}
        loops = []
        for i, line in enumerate(self.code):
            jump = re.search(r"\bBRA\S*\s.*?(\.?L\w+)", line)
            if jump and labels.get(jump[1], i) < i - 1:  # the last one only jumps to itself
                loops.append((labels[jump[1]], i))
        if len(loops) != len(trips):
            return None
        turns = list(zip(sorted(loops), trips, strict=True))
        total = 0.0
        for i, line in enumerate(self.code):
            if _opcode(line) not in (None, "NOP"):
                times = 1
                for (first, last), count in turns:
                    times *= count if first <= i <= last else 1
                total += times
        return total


def _opcode(line: str) -> str | None:
    found = re.match(r"(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", line)
    return None if found is None or line.endswith(":") else found[1]


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


def architecture() -> int:
    """What is compiled for at present."""
    return triton.runtime.driver.active.get_current_device()


def allowed() -> int:
    """Bytes of shared memory that a program of the present architecture may have."""
    return SHARED[architecture()] * 1024


def kernels_of(launch: Callable[[], object], code: bool) -> list[Kernel]:
    """What a call launches, compiled; with its machine code if that is wanted."""
    run, found = triton.JITFunction.run, []

    def record(self: Any, *given: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        kernel = run(self, *given, grid=grid, warmup=True, **options)
        programs = grid(options) if callable(grid) else grid
        found.append(_kernel(self.fn.__name__, programs[0], kernel, code))
        return kernel

    triton.JITFunction.run = record
    try:
        launch()
    finally:
        triton.JITFunction.run = run
    return found


def _kernel(name: str, programs: int, kernel: Any, code: bool) -> Kernel:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    lines = kernel.asm["sass"].splitlines() if code else []
    return Kernel(
        name,
        programs,
        kernel.metadata.num_warps,
        int(found[1]),
        int(found[2]),
        kernel.metadata.shared,
        tuple(line.split("\t")[-1].strip() for line in lines[1:]),
    )

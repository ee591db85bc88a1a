"""Every kernel as machine code of a GPU that need not be there: what it takes, and what bounds it.

The launchers launch on tensors without memory; what they would run is compiled instead. The report
is for an H200: registers and shared memory of a program and the warps that then fit on a
multiprocessor, spilt bytes, loads and stores by width, matrix instructions and atomics; and what
rates of the data sheet leave possible: the time of bytes read and written once, of operations,
and of issuing all instructions (of branches that few take as well). Nothing here is measured.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import triton

sys.path.insert(0, str(Path(__file__).parents[1]))

from launches import Case, cases
from offline import Kernel, OfflineDriver, allowed, kernels_of

TENSOR = ("HGMMA", "HMMA", "DMMA", "IMMA")


class Gpu(NamedTuple):
    """Rates of a data sheet."""

    name: str = "NVIDIA H200 SXM"
    bandwidth: float = 4.8e12  # bytes a second
    processors: int = 132
    clock: float = 1.98e9
    registers: int = 65_536  # of a multiprocessor, handed out by 256 a warp
    shared: int = 228 * 1024  # of a multiprocessor; every program takes 1 KiB more than it asks for
    warps: int = 64

    def products(self, kind: str) -> float:
        """Operations a second: plain float32, or dense ones of the tensor cores."""
        return {"float32": 67e12, "tf32": 494e12, "float16": 989e12}[kind]

    def issue(self, kernel: Kernel, executed: float) -> float:
        """Seconds in which a multiprocessor issues, four a clock, what its warps execute each."""
        programs = math.ceil(kernel.programs / self.processors)
        return programs * kernel.warps * executed / (4 * self.clock)

    def resident(self, kernel: Kernel) -> int:
        """Warps of a kernel that a multiprocessor holds at once."""
        of_registers = -(-kernel.registers * 32 // 256) * 256 * kernel.warps
        fitting = (
            self.registers // of_registers,
            self.shared // (kernel.shared + 1024),
            self.warps // kernel.warps,
            32,
        )
        return min(fitting) * kernel.warps


def instructions(kernel: Kernel) -> str:
    """Loads and stores of global memory by bytes a lane, matrix instructions, atomics."""
    counts: Counter[str] = Counter()
    for op, count in kernel.opcodes.items():
        kind, *rest = op.split(".")
        width = next((int(r) // 8 for r in rest if r in ("64", "128")), 4)
        if kind in ("LDG", "LDGSTS", "STG"):
            word = {"LDG": "load", "LDGSTS": "copy", "STG": "store"}[kind]
            width = 2 if "U16" in rest or "S16" in rest else width
            counts[f"{word} {width} B"] += count
        elif kind in TENSOR or kind in ("ATOMG", "REDG", "LDL", "STL"):
            counts[kind] += count
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def report(only: str) -> Iterator[str]:
    """The table for an H200."""
    gpu = Gpu()
    yield f"{gpu.name} by its data sheet; no time here is measured."
    for case in (case for case in cases() if only in case.name):
        yield from ("", *paragraph(case, kernels_of(case.launch, True), gpu))


def paragraph(case: Case, kernels: list[Kernel], gpu: Gpu) -> Iterator[str]:
    """What a call needs at least, and the kernels that it launches."""
    times = {
        "bytes": case.bytes / gpu.bandwidth,
        f"{case.products} operations": case.operations / gpu.products(case.products),
    }
    if case.trips is not None:
        counts = [k.executed(trips) for k, trips in zip(kernels, case.trips, strict=True)]
        if None not in counts:
            issued = (gpu.issue(k, count) for k, count in zip(kernels, counts, strict=True))
            times["instructions"] = sum(issued)
    told = ", ".join(f"{name} {1e6 * time:.1f} us" for name, time in times.items())
    yield (
        f"{case.name}: {case.bytes / 1e6:.1f} MB, {case.operations / 1e9:.2f} GFLOP, "
        f"{case.operations / case.bytes:.1f} a byte; {told}"
    )
    for kernel in kernels:
        yield (
            f"    {kernel.name}: {kernel.programs} programs of {kernel.warps} warps, "
            f"{kernel.registers} registers, {kernel.stack} B spilt, {kernel.shared} B shared, "
            f"{gpu.resident(kernel)} of {gpu.warps} warps; {kernel.opcodes.total()} instructions: "
            f"{instructions(kernel)}"
        )


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="operations whose name holds this")
    parser.add_argument("--json", type=int, nargs="+", metavar="ARCHITECTURE", help="lines of JSON")
    told = parser.parse_args(given)
    for number in told.json or []:
        triton.runtime.driver.set_active(OfflineDriver(number))
        for case in cases():
            for kernel in kernels_of(case.launch, number >= 90):
                row = {"case": case.name, "module": case.module, "architecture": number}
                row |= {"kernel": kernel.name, "programs": kernel.programs, "warps": kernel.warps}
                row |= {"registers": kernel.registers, "stack": kernel.stack}
                row |= {"shared": kernel.shared, "allowed": allowed(), "opcodes": kernel.opcodes}
                print(json.dumps(row), flush=True)
    if not told.json:
        triton.runtime.driver.set_active(OfflineDriver(90))
        for line in report(told.only):
            print(line, flush=True)


if __name__ == "__main__":
    main()

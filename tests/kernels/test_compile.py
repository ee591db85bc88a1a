"""Every kernel becomes machine code for real GPUs; the interpreter lets too much through."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "voicemesh" / "kernels"
ARCHITECTURES = (75, 80, 90)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> list[dict]:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    script = ROOT / "benchmarks" / "machine_code.py"
    command = [sys.executable, str(script), "--json", *map(str, ARCHITECTURES)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def newest(compiled) -> list[dict]:
    """Kernels whose machine code was read, too."""
    return [row for row in compiled if row["architecture"] == 90]


def some(row: dict, *beginnings: str) -> bool:
    return any(opcode.startswith(beginnings) for opcode in row["opcodes"])


def test_every_kernel_is_compiled(compiled):
    modules = {path.stem.removesuffix("_triton") for path in KERNELS.glob("*_triton.py")}
    assert {(row["module"], row["architecture"]) for row in compiled} == {
        (module, architecture) for module in modules for architecture in ARCHITECTURES
    }


def test_nothing_spills_and_everything_fits(compiled):
    for row in compiled:
        assert row["stack"] == 0, row
        assert row["shared"] <= row["allowed"], row
        assert row["registers"] * 32 * row["warps"] <= 65_536, row


def test_memory_is_moved_by_sixteen_bytes_a_lane(newest):
    wide = [
        row
        for row in newest
        if row["module"] == "bias_act"
        or (row["module"] == "upfirdn2d" and "bfloat16" in row["case"])
        or "4 attributes" in row["case"]
        or row["kernel"] == "_styled_conv_kernel"
    ]
    assert {row["module"] for row in wide} == {
        "bias_act",
        "upfirdn2d",
        "interpolate",
        "modulated_conv",
    }
    for row in wide:
        assert some(row, "LDG.E.128", "LDGSTS.E.BYPASS.128") and some(row, "STG.E.128"), row


def test_filters_take_few_instructions_a_result(newest):
    """Most would be addresses, if pointers were worked out anew for every row."""
    rows = {row["case"]: row for row in newest if row["module"] == "upfirdn2d"}
    for dtype, results, most in (("float32", 16, 56), ("bfloat16", 64, 34)):  # results a lane
        row = rows[f"upfirdn2d, same size, torch.{dtype}"]
        assert sum(row["opcodes"].values()) <= most * results, row


def test_tensor_cores_multiply_and_atomics_answer_nobody(newest):
    found = {row["kernel"]: row for row in newest}
    spectra = [row for row in newest if row["kernel"] == "_log_mel_kernel"]
    assert some(spectra[0], "HGMMA")
    for row in spectra:
        assert some(row, "HGMMA", "HMMA"), row  # partial frames by smaller products
    for row in newest:
        if row["kernel"] == "_styled_conv_kernel":
            assert some(row, "HGMMA"), row
    for kernel in ("_draw_kernel", "_draw_wide_kernel"):
        assert some(found[kernel], "REDG.E.MAX.S64") and not some(found[kernel], "ATOMG.E.MAX")


def test_nothing_is_divided_by_64_bits_nor_calculated_in_double_precision(newest):
    for row in newest:
        assert not some(row, "I2F.U64", "I2F.S64", "DADD", "DMUL", "DFMA", "LDL", "STL"), row

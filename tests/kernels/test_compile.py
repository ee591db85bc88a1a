"""Every kernel becomes machine code for real GPUs; the interpreter lets too much through."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "voicemesh" / "kernels"
ARCHITECTURES = (75, 80, 90)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> list[dict]:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    command = [sys.executable, str(HERE / "compiled.py"), *map(str, ARCHITECTURES)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


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

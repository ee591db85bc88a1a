"""Compiled loops where there is a place to keep them, and where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import njit

from voicemesh.kernels import compiling
from voicemesh.kernels.compiling import compiled

WITHOUT_A_FILE = "def twice(x):\n    return 2 * x\n"


def function_without_a_file():
    place = {}
    exec(compile(WITHOUT_A_FILE, "nowhere.py", "exec"), place)
    return place["twice"]


def test_what_cannot_be_kept_is_compiled_anew():
    with pytest.raises(RuntimeError, match="cannot cache"):
        njit(cache=True)(function_without_a_file())
    assert compiled(nogil=True)(function_without_a_file())(21) == 42


def test_what_can_be_kept_is_kept(tmp_path):
    (tmp_path / "loops.py").write_text(
        "from voicemesh.kernels.compiling import compiled\n\n\n"
        "@compiled()\ndef twice(x):\n    return 2 * x\n\n\nassert twice(21) == 42\n"
    )
    path = os.pathsep.join(map(str, [Path(__file__).parents[2], tmp_path]))
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", "import loops"], check=True, env=environment)
    assert list(tmp_path.rglob("loops.twice*.nbi"))


def test_a_loop_is_compiled_anew_when_one_that_it_calls_has_changed(tmp_path):
    (tmp_path / "outer.py").write_text(
        "import inner\nfrom voicemesh.kernels.compiling import compiled\n\n\n"
        "called = inner.inner\n\n\n"
        "@compiled(inner)\ndef outer(x):\n    return called(x) + 1\n\n\nprint(outer(20))\n"
    )
    path = os.pathsep.join(map(str, [Path(__file__).parents[2], tmp_path]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    printed = []
    for factor in (2, 3):
        (tmp_path / "inner.py").write_text(
            "from voicemesh.kernels.compiling import compiled\n\n\n"
            f"@compiled()\ndef inner(x):\n    return {factor} * x\n"
        )
        run = [sys.executable, "-c", "import outer"]
        done = subprocess.run(run, check=True, env=environment, capture_output=True, text=True)
        printed.append(int(done.stdout))
    assert printed == [41, 61]


def test_other_errors_of_numba_are_not_taken_for_a_missing_place(monkeypatch):
    def broken(**options):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(compiling, "njit", broken)
    with pytest.raises(RuntimeError, match="no compiler"):
        compiled()(function_without_a_file())

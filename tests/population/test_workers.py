"""Workers: all jobs are done, in any number of processes; Ctrl-C ends them quietly."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import voicemesh
from voicemesh.population.workers import each

JOBS = 400  # of half a second each, on two workers
BUSY = """
import signal, sys, time
from pathlib import Path
from voicemesh.population.workers import each

def work(folder, number):
    time.sleep(0.5)
    (folder / str(number)).write_text("done")

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what runs behind a shell
    print("begun", flush=True)
    try:
        for _ in each(work, [(Path(sys.argv[1]), n) for n in range(int(sys.argv[2]))], 2):
            print("one", flush=True)
    except KeyboardInterrupt:
        raise SystemExit(130)
"""


def area(width: int, height: int) -> tuple[int, int]:
    return os.getpid(), width * height


@pytest.mark.parametrize("workers", [1, 2])
def test_all_jobs_are_done(workers):
    told = list(each(area, [(1, 2), (3, 4), (5, 6)], workers))
    assert sorted(value for _, value in told) == [2, 12, 30]
    assert (os.getpid() in {process for process, _ in told}) == (workers == 1)


def test_a_mistake_in_a_job_comes_out():
    with pytest.raises(TypeError):
        list(each(area, [(1, 2), (3, "x", 5)], 2))


def test_an_interruption_ends_after_the_jobs_at_work(tmp_path):
    script, out = tmp_path / "busy.py", tmp_path / "out"
    script.write_text(BUSY)
    out.mkdir()
    command = [sys.executable, str(script), str(out), str(JOBS)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(voicemesh.__file__).parents[1])},
    ) as process:
        assert process.stdout.readline() == "begun\n"
        assert process.stdout.readline() == "one\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers hear it too
        told = process.communicate(timeout=300)[1]  # on a busy machine all takes its time
    assert process.returncode in (130, -signal.SIGINT), told
    assert "Traceback" not in told and len(list(out.iterdir())) < JOBS

"""Several processes train one StyleGAN2, as on several GPUs."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from voicemesh.training.loop import read_metrics

SIZES = "size=8, base=64, cap=6, style=8, depth=2, steps=4, batch_size=4, r1_every=2, path_every=3"
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import torch
from voicemesh.training.loop import LoopSettings
from voicemesh.training.pictures import Pictures
from voicemesh.training.stylegan2 import play
from voicemesh.training.stylegan2_players import StyleGan2Recipe
torch.set_num_threads(1)
recipe = StyleGan2Recipe({sizes}, {more})
rng = np.random.default_rng(0)
pixels = rng.integers(0, 255, (40, 8, 8, 3)).astype(np.uint8)
z = rng.standard_normal((1, 40, 3)).astype(np.float32) if recipe.anchor else None
settings = LoopSettings(4, 0, log_every=2, validate_every=4)
play(Pictures(8, pixels, z=z), Path(sys.argv[1]), recipe, settings)
"""


@pytest.mark.parametrize(
    "more",
    ["adaptive=True, adaptive_images=20", "anchor=9.0, told=True, loose=0.25, critic_scales=2"],
)
def test_two_processes_train_together(more, tmp_path):
    script, out = tmp_path / "script.py", tmp_path / "run"
    script.write_text(SCRIPT.format(sizes=SIZES, more=more))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    told = subprocess.run(
        [*command, "--master-port", str(port), str(script), str(out)],
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr[-3000:]
    assert [line["step"] for line in read_metrics(out / "metrics.jsonl")] == [2, 4]
    assert "r1" in read_metrics(out / "metrics.jsonl")[-1]
    assert (out / "state-4" / "random_states_1.pkl").exists()  # of the second process

"""What would be read outside its memory is refused, where nobody checks the types of arguments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLS = {
    "bias_act(x, ones(2))": "bias of shape [2] for maps of shape [2, 3, 5, 4]; give one of [3]",
    "bias_act(x, scale=ones(1, 3))": "scale of shape [1, 3]",
    "bias_act(x, noise=ones(1, 1, 1, 1), strength=ones(1))": "give one of [1, 1, 5, 4]",
    "bias_act(x, noise=ones(1, 1, 5, 4), strength=ones(3))": "strength of shape [3]",
    "bias_act(x, ones(3, device='meta'))": "bias on meta for maps on cpu; move it there",
    "modulated_conv2d(x, ones(6, 2, 3, 3), ones(2, 3))": "give a weight of 3 channels",
    "modulated_conv2d(x, ones(6, 3, 3, 3), ones(1, 3))": "and a style of [2, 3]",
    "modulated_conv2d(x, ones(6, 3, 3, 3), ones(2, 3), bias=ones(3))": "give one of [6]",
    "modulated_conv2d(x, ones(6, 3, 3, 3), ones(2, 3), up=2, fir=ones(4, 4), strength=ones(1), "
    "noise=ones(1, 1, 5, 4))": "give one of [1, 1, 10, 8]",
    "log_mel(ones(2, 900), MelSettings(), ones(1))": "A prior of shape [1] on cpu for 2 waveforms",
    "log_mel(ones(2, 900), MelSettings(), ones(2, device='meta'))": "on meta for 2 waveforms",
    "rasterize(ones(3, 3), corners.to('meta'), (4, 4))": "Triangles on meta and vertices on cpu",
    "interpolate(seen, corners, ones(2, 5))": "there are vertices 0 to 1",
    "interpolate(seen, corners.to('meta'), ones(3, 5))": "Triangles on meta",
    "interpolate(elsewhere, corners, ones(3, 5))": "Fragments on meta and attributes on cpu",
}
SCRIPT = """
import json, sys
from torch import ones, tensor
from voicemesh.kernels.bias_act import bias_act
from voicemesh.kernels.log_mel import MelSettings, log_mel
from voicemesh.kernels.modulated_conv import modulated_conv2d
from voicemesh.kernels.rasterize import Fragments, interpolate, rasterize
x, corners = ones(2, 3, 5, 4), tensor([[0, 1, 2]])
seen = rasterize(tensor([[0.0, 0, 1], [0, 4, 1], [4, 0, 1]]), corners, (4, 4))
elsewhere = Fragments(*(part.to("meta") for part in seen))
for call in json.load(sys.stdin):
    try:
        print(json.dumps(f"gave {eval(call)}"))
    except ValueError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    given = {"input": json.dumps(list(CALLS)), "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, **given)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(zip(CALLS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("call", CALLS)
def test_refused(call, told):
    assert CALLS[call] in told[call]

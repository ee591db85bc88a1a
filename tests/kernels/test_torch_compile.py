"""Operations inside `torch.compile`: the graph is broken there, and nothing else changes."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import torch
from voicemesh.kernels.bias_act import bias_act
from voicemesh.kernels.modulated_conv import modulated_conv2d
from voicemesh.kernels.upfirdn2d import upfirdn2d

def block(x, weight, style, bias):
    y = modulated_conv2d(x.tanh(), weight, style, bias=bias, slope=0.1, gain=3.0)
    return upfirdn2d(bias_act(y, bias).exp(), torch.ones(2, 2)).sum(1)

shapes = (2, 3, 8, 8), (4, 3, 3, 3), (2, 3), (4,)
given = [torch.randn(shape).mul(0.1).requires_grad_() for shape in shapes]
found = []
for form in (block, torch.compile(block, backend="eager")):
    y = form(*given)
    found.append([y, *torch.autograd.grad(y.sum(), given)])
torch.testing.assert_close(*found, rtol=0, atol=0)
"""


def test_a_compiled_block_is_the_block():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-4000:]

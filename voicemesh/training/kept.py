"""What is computed once and kept on the disk, under a name that tells what it depends on."""

import hashlib
import json
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import nn

from voicemesh.whole_files import aside


def hash_of(*values: object) -> str:
    """A short hash of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:10]


def hash_of_net(net: nn.Module) -> str:
    """A short hash of a net's tensors."""
    digest = hashlib.sha256()
    for key, value in sorted(net.state_dict().items()):
        digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def write_array(path: Path, values: Float[np.ndarray, "..."]) -> None:
    """Write an array, whole or not at all."""
    with aside(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, values)

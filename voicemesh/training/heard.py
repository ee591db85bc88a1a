"""What a finished voice net's trunk hears of a population, computed once and kept beside it.

Training only what comes after the trunk then costs next to nothing.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float16
from torch import Tensor, nn
from tqdm import tqdm

from .data import FeatureSet

AT_ONCE = 50


def heard(folder: Path, utterances: FeatureSet, trunk: nn.Module) -> FeatureSet:
    """The trunk's maps of whole utterances in place of features; clean ones are left at zero.

    `trunk` maps [batch, channels, frames] to [batch, width, fewer]. Shards that are on disk are
    not computed again.
    """
    cache = folder / f"heard-{fingerprint(trunk)}"
    cache.mkdir(exist_ok=True)
    trunk = trunk.eval()
    shards, first = [], 0
    for number, shard in enumerate(tqdm(utterances.shards, desc=cache.name, disable=None)):
        target, rows = cache / f"shard-{number:05d}.npy", slice(first, first + len(shard))
        first += len(shard)
        if not target.exists():
            made = maps_of(shard, ~utterances.clean[rows], trunk)
            unfinished = target.with_suffix(".partial")
            with unfinished.open("wb") as file:
                np.save(file, made)
            unfinished.replace(target)
        shards.append(np.load(target, mmap_mode="r"))
    return FeatureSet(tuple(shards), utterances.identity, utterances.session, utterances.clean)


@torch.inference_mode()
def maps_of(
    shard: Float16[np.ndarray, "rows frames channels"],
    wanted: Bool[np.ndarray, " rows"],
    trunk: nn.Module,
) -> Float16[np.ndarray, "rows fewer width"]:
    """Maps of the rows that are wanted, zeros for the others."""
    some, parts = np.flatnonzero(wanted), []
    for rows in np.split(some, range(AT_ONCE, len(some), AT_ONCE)):
        features = torch.from_numpy(shard[rows]).float().transpose(1, 2)
        parts.append(trunk(features).transpose(1, 2).half())
    found = torch.cat(parts)
    maps = np.zeros((len(shard), *found.shape[1:]), np.float16)
    maps[some] = found.numpy()
    return maps


def fingerprint(trunk: nn.Module) -> str:
    """A short hash of all numbers of a net."""
    digest = hashlib.sha256()
    for name, value in sorted(trunk.state_dict().items()):
        part: Tensor = value.cpu().contiguous()
        digest.update(name.encode() + part.numpy().tobytes())
    return digest.hexdigest()[:10]

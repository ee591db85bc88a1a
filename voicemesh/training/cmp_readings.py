"""Portraits as the unsupervised framework sees them: small, with what a teacher reads off them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from voicemesh.images import MIDDLE
from voicemesh.nets.synergynet import SynergyNet, crop_of
from voicemesh.population.portrait_set import PortraitSet

from .kept import hash_of_net, write_array

SIDE = 64  # pixels of the generated images
AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Faces:
    """The portraits of a split, halved to SIDE pixels, and what the teacher reads off them."""

    pixels: UInt8[Tensor, "rows 3 side side"]
    people: Int64[np.ndarray, " people"]
    pictures: list[Int64[np.ndarray, " _"]]  # rows of `pixels` of each of the people
    readings: Float[Tensor, "people s"]  # the mean over all portraits of a person

    @classmethod
    def of(cls, portraits: PortraitSet, split: str, teacher: SynergyNet, frontal: bool) -> "Faces":
        """Read shard after shard; what the teacher says is kept beside the portraits."""
        told = readings(portraits, split, teacher)
        pixels, identity, number = [], [], []
        for shard in portraits.shards(split):
            pixels.append(halved(torch.from_numpy(shard.pixels)))
            identity.append(shard.identity)
            number.append(shard.picture)
        whose, which = np.concatenate(identity), np.concatenate(number)
        people, member = np.unique(whose, return_inverse=True)
        sums = torch.zeros(len(people), told.shape[1]).index_add(0, torch.from_numpy(member), told)
        means = sums / torch.from_numpy(np.bincount(member))[:, None]
        kept = np.flatnonzero((which == 0) | (not frontal))
        order = kept[np.argsort(whose[kept], kind="stable")]
        starts = np.searchsorted(whose[order], people)
        return cls(torch.cat(pixels), people, np.split(order, starts[1:]), means)


def halved(pixels: UInt8[Tensor, "rows size size 3"]) -> UInt8[Tensor, "rows 3 side side"]:
    """Pictures at SIDE pixels, as bytes."""
    image = pixels.permute(0, 3, 1, 2).float()
    return functional.adaptive_avg_pool2d(image, SIDE).round().byte()


def scaled(pixels: UInt8[Tensor, "rows 3 side side"]) -> Float[Tensor, "rows 3 side side"]:
    """Bytes as nets read them: in [-1, 1]."""
    return (pixels.float() - MIDDLE) / MIDDLE


@torch.inference_mode()
def readings(portraits: PortraitSet, split: str, teacher: SynergyNet) -> Float[Tensor, "rows s"]:
    """The shapes that a teacher reads off portraits; shard after shard, kept beside them."""
    found: list[Float32[np.ndarray, "rows s"]] = []
    cache = portraits.folder / f"read-{hash_of_net(teacher)}"
    cache.mkdir(exist_ok=True)
    for path in tqdm(portraits.files[split], unit="shard", desc="reading", disable=None):
        kept = cache / f"{path.stem}.npy"
        if not kept.exists():
            pixels = torch.from_numpy(load_file(path)["pixels"].numpy()).permute(0, 3, 1, 2)
            shapes = [
                teacher.face_params(teacher(crop_of(scaled(some))).params)[0]
                for some in pixels.split(AT_ONCE)
            ]
            write_array(kept, torch.cat(shapes).numpy())
        found.append(np.load(kept))
    return torch.from_numpy(np.concatenate(found))

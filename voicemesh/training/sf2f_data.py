"""Voices and portraits of the same people, as both stages of SF2F draw them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.audio.sf2f import SEGMENT
from voicemesh.population.portrait_set import PortraitSet

from .data import FeatureSet

SHAPES = 10  # parameters of a head that are looked at, the largest first


@dataclass(frozen=True, eq=False)
class Faces:
    """Pictures of some people at one size; `pictures` are the rows of each of `people`."""

    pixels: UInt8[Tensor, "rows 3 side side"]
    made_of: Float[Tensor, "rows numbers"]  # the first shape parameters, and the look
    people: Int64[np.ndarray, " people"]
    pictures: list[Int64[np.ndarray, " _"]]

    @classmethod
    def of(cls, portraits: PortraitSet, split: str, side: int, frontal: bool) -> "Faces":
        """The portraits of a split, or only those at rest that look straight ahead.

        Raises:
            ValueError: there are none, or smaller ones.
        """
        pixels, identity, numbers = [], [], []
        for shard in portraits.shards(split):
            rows = np.flatnonzero((shard.picture == 0) | (not frontal))
            pixels.append(reduced(torch.from_numpy(shard.pixels[rows]), side))
            identity.append(shard.identity[rows])
            numbers.append(np.concatenate([shard.shape_params[:, :SHAPES], shard.look], 1)[rows])
        if not pixels:
            raise ValueError(f"{portraits.folder} has no portraits of the split {split!r}")
        whose = np.concatenate(identity)
        order, people = np.argsort(whose, kind="stable"), np.unique(whose)
        starts = np.searchsorted(whose[order], people)
        made_of = torch.from_numpy(np.concatenate(numbers)).float()
        return cls(torch.cat(pixels), made_of, people, np.split(order, starts[1:]))


def reduced(
    pixels: UInt8[Tensor, "rows size size 3"], side: int
) -> UInt8[Tensor, "rows 3 side side"]:
    """Pictures at another size: means over what falls into a pixel.

    Raises:
        ValueError: they are smaller than that.
    """
    if pixels.shape[1] < side:
        raise ValueError(f"Portraits of {pixels.shape[1]} pixels cannot be shown at {side}")
    image = pixels.permute(0, 3, 1, 2).float()
    return functional.adaptive_avg_pool2d(image, side).round().byte()


def resolutions(
    image: Float[Tensor, "batch 3 height width"], count: int
) -> list[Float[Tensor, "batch 3 _ _"]]:
    """An image at `count` sizes, small to large, each half the next; nearest, as published."""
    images = [image]
    for _ in range(count - 1):
        images.append(functional.interpolate(images[-1], scale_factor=0.5))
    return images[::-1]


def segments(
    utterances: FeatureSet,
    rows: Int64[np.ndarray, " recordings"],
    count: int,
    rng: np.random.Generator | None,
) -> Float[Tensor, "count channels 125"]:
    """Windows of one person, recording after recording, side by side within each.

    With `rng` the recordings are shuffled and each begins at a random frame. They are gone through
    again until there are enough windows, as all voices of a batch need the same number.

    Raises:
        ValueError: no window fits into a recording.
    """
    if utterances.frames < SEGMENT:
        raise ValueError(f"Recordings of {utterances.frames} frames hold no window of {SEGMENT}")
    found: list[Float[Tensor, "windows channels 125"]] = []
    have = 0
    while have < count:
        for row in rng.permutation(rows) if rng else rows:
            (whole,) = utterances.crops(np.array([row]), utterances.frames, None)
            start = int(rng.integers(utterances.frames - SEGMENT + 1)) if rng else 0
            found.append(whole[:, start:].unfold(1, SEGMENT, SEGMENT).transpose(0, 1))
            have += len(found[-1])
            if have >= count:
                break
    return torch.cat(found)[:count]

"""Typical faces of voices: sharp portraits to learn, where the mean of all portraits is a blur.

What a voice lets expect is a mean over everyone who could have it, and means of portraits are
blurred. So voices are clustered by what they let expect, and everyone in a cluster is shown the
portrait of its most typical person.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional

SMALL = 16  # pixels of a side at which portraits are compared
AXES = 8  # directions of what voices let expect
RIDGE = 1e-2  # against the mean variance of an embedding's numbers


class Typical(NamedTuple):
    """Which portrait stands for each recording."""

    pictures: Int64[np.ndarray, " kinds"]  # rows of the portraits
    kind: Int64[np.ndarray, " recordings"]


def typical(
    pixels: UInt8[Tensor, "people 3 side side"],
    made_of: Float[Tensor, "people numbers"],
    units: Float[Tensor, "recordings features"],
    recordings: list[Int64[np.ndarray, " _"]],
    kinds: int,
    seed: int = 0,
) -> Typical:
    """Typical portraits among people, one picture and some recordings each.

    Args:
        made_of: the numbers behind each picture.
        units: what is heard in each recording; those of the people are rows of `recordings`.

    Raises:
        ValueError: more kinds than people.
    """
    if kinds > len(pixels):
        raise ValueError(f"{kinds} typical faces of {len(pixels)} people; choose fewer")
    small = functional.adaptive_avg_pool2d(pixels.float() / 255, SMALL).flatten(1)
    voices = torch.stack([units[torch.from_numpy(rows)].mean(0) for rows in recordings])
    middle, mean = voices.mean(0), small.mean(0)
    centred = voices - middle
    gram = centred.T @ centred
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    expected = torch.linalg.solve(gram, centred.T @ (small - mean))
    _, strength, axes = torch.linalg.svd(centred @ expected, full_matrices=False)
    used = min(AXES, len(strength))
    # Half whitened: the sex alone would draw all the borders otherwise.
    scale = strength[:used].clamp(min=1e-6).rsqrt()
    told = expected @ axes[:used].T * scale
    own = (centred @ told).numpy()
    centres, member = kmeans2(own, kinds, minit="++", seed=seed)
    numbers = (made_of - made_of.mean(0)) / made_of.std(0).clamp(min=1e-6)
    chosen = []
    for number in range(kinds):
        inside = np.flatnonzero(member == number)
        if not len(inside):  # a cluster that lost its people stands where it stood
            inside = np.array([np.square(own - centres[number]).sum(1).argmin()])
        chosen.append(inside[nearest_to_usual(numbers[torch.from_numpy(inside)])])
    heard = (units - middle) @ told
    kind = torch.cdist(heard, torch.from_numpy(centres).to(heard)).argmin(1)
    return Typical(np.array(chosen), kind.numpy())


def nearest_to_usual(numbers: Float[Tensor, "people numbers"]) -> int:
    """Who is nearest to the median in everything that portraits are made of.

    Looks cluster, so the nearest to the mean of pictures would be whoever looks like a mixture.
    """
    apart = numbers - numbers.median(0).values
    return int(apart.square().sum(1).argmin())

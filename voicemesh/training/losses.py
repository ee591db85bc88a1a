"""Losses that more than one recipe uses."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def weighted_error(
    predicted: Float[Tensor, "batch k"],
    target: Float[Tensor, "batch k"],
    weights: Float[Tensor, " k"],
) -> Float[Tensor, ""]:
    """Mean over the batch of the weighted sum of squared differences."""
    return ((predicted - target).square() @ weights).mean()


def session_triplet(
    unit: Float[Tensor, "batch embedding"], identities: Int64[Tensor, " batch"], margin: float
) -> Float[Tensor, ""]:
    """Two recordings of one person nearer than of two, by `margin`; all pairs of the batch.

    For each recording: the farthest of its own person against the mean over others within the
    margin. Zero where the batch has no pair of one person.
    """
    distances = torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")
    same = identities[:, None] == identities[None]
    own = distances.masked_fill(~same, 0).amax(1, keepdim=True)
    violations = functional.relu(own - distances + margin).masked_fill(same, 0)
    paired = same.sum(1, keepdim=True) > 1
    return (violations * paired).sum() / (~same & paired).sum().clamp(min=1)

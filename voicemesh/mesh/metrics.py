"""How far a predicted face is from its target: the published errors, and corrected ones.

Published: vertex pairs and definitions of choyingw/Cross-Modal-Perceptionist, cal_size_ARE.py and
cal_size_kpts.py, oddities included. Corrected: the same ratios of a head's own named lengths,
and the distance of landmarks in millimetres.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .landmarks import BASEL_PAIRS, RATIO_LENGTHS


def pair_lengths(
    vertices: Float[Tensor, "*batch v 3"], pairs: Mapping[str, tuple[int, int]] = BASEL_PAIRS
) -> Float[Tensor, "*batch 5"]:
    """The five published distances between vertices, in the order of `RATIO_LENGTHS`."""
    ends = torch.tensor([pairs[name] for name in RATIO_LENGTHS], device=vertices.device)
    return (vertices[..., ends[:, 0], :] - vertices[..., ends[:, 1], :]).norm(dim=-1)


def named_lengths(
    lengths: Float[Tensor, "*batch m"],
    measures: Iterable[str],
    names: Iterable[str] = RATIO_LENGTHS,
) -> Float[Tensor, "*batch n"]:
    """The named ones among the lengths of `MorphableModel.measure`.

    Raises:
        ValueError: the model has no measure of that name.
    """
    columns = {name: column for column, name in enumerate(measures)}
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(f"The model measures no {', '.join(missing)}; it has {', '.join(columns)}")
    return lengths[..., [columns[name] for name in names]]


def ratios(lengths: Float[Tensor, "*batch 5"]) -> Float[Tensor, "*batch 4"]:
    """Forehead, cheeks, ears and mid-face over the outer eye corners."""
    return lengths[..., 1:] / lengths[..., :1]


def ratio_error(
    predicted: Float[Tensor, "*batch 5"], target: Float[Tensor, "*batch 5"]
) -> Float[Tensor, "*batch 4"]:
    """ARE: absolute differences of the four ratios, in units of the outer eye corners' distance.

    Lengths of `pair_lengths` give the published figure, of `named_lengths` the corrected one.
    """
    return (ratios(predicted) - ratios(target)).abs()


def keypoint_error(
    predicted: Float[Tensor, "*batch v 3"],
    target: Float[Tensor, "*batch v 3"],
    landmarks: Int64[Tensor, " n"],
    eye_corners: tuple[int, int] = BASEL_PAIRS["oicd"],
) -> Float[Tensor, "*batch"]:
    """Published keypoint error: one norm over all coordinates, over the size of the target.

    The prediction is scaled about the origin to the target's distance of eye corners, but neither
    moved nor turned; the norm is not divided by the number of points.
    """
    right, left = eye_corners

    def between(vertices: Float[Tensor, "*batch v 3"]) -> Float[Tensor, "*batch"]:
        return (vertices[..., left, :] - vertices[..., right, :]).norm(dim=-1)

    scale = (between(target) / between(predicted))[..., None, None]
    gap = predicted[..., landmarks, :] * scale - target[..., landmarks, :]
    extent = target.amax(-2) - target.amin(-2)
    return gap.flatten(-2).norm(dim=-1) / (extent[..., 0] * extent[..., 1]).sqrt()


def landmark_distance(
    predicted: Float[Tensor, "*batch v 3"],
    target: Float[Tensor, "*batch v 3"],
    landmarks: Int64[Tensor, " n"],
) -> Float[Tensor, "*batch"]:
    """Corrected keypoint error: mean distance of the landmarks in millimetres, centres together.

    Size counts, position does not.
    """
    a, b = predicted[..., landmarks, :], target[..., landmarks, :]
    a, b = a - a.mean(-2, keepdim=True), b - b.mean(-2, keepdim=True)
    return (a - b).norm(dim=-1).mean(-1)


def identity_means(
    errors: Float[Tensor, "n k"], identities: Int64[Tensor, " n"]
) -> Float[Tensor, "i k"]:
    """Means over the predictions of each identity, identities ascending.

    The published summary is the plain mean over these rows: every identity counts once.
    """
    groups, member = identities.unique(return_inverse=True)
    sums = errors.new_zeros(len(groups), errors.shape[1]).index_add(0, member, errors)
    return sums / member.bincount(minlength=len(groups))[:, None]

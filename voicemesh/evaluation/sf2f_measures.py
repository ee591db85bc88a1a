"""The measures of SF2F: how near imagined faces are to the true ones, and how good they look.

Source: BAI-Yeqi/SF2F_PyTorch, utils/s2f_evaluator.py, utils/evaluate.py and scripts/.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

AT = (1, 2, 5, 10, 20, 50)  # of recall by cosine
AT_L1 = (1, 5, 10, 50)
GALLERY = 100  # people of one gallery
APART = 1e-6  # added to every difference of a published distance


def distances(
    gallery: Float[Tensor, "people features"], prediction: Float[Tensor, "people features"]
) -> dict[str, float]:
    """Means over people of what lies between the embeddings of true and of imagined faces."""
    apart = prediction - gallery + APART
    return {
        "l2": float(apart.square().sum(1).sqrt().mean()),
        "l1": float(apart.abs().sum(1).mean()),
        "cosine": float(functional.cosine_similarity(prediction, gallery).mean()),
        "inter_human": inter_human(gallery, prediction),
    }


def inter_human(
    gallery: Float[Tensor, "people features"], prediction: Float[Tensor, "people features"]
) -> float:
    """Mean cosine of imagined faces with the true faces of others."""
    faces, imagined = (functional.normalize(x.double()) for x in (gallery, prediction))
    people = len(faces)
    every = (faces.sum(0) * imagined.sum(0)).sum()
    return float((every - (faces * imagined).sum()) / (people * (people - 1)))


def ranks(
    gallery: Float[Tensor, "people features"],
    prediction: Float[Tensor, "people features"],
    by: str = "cosine",
) -> Int64[Tensor, " people"]:
    """How many others are nearer to each imagined face than its own person: 0 is a find.

    Raises:
        ValueError: `by` neither cosine nor l1.
    """
    if by == "cosine":
        nearness = functional.normalize(prediction) @ functional.normalize(gallery).T
    elif by == "l1":
        nearness = -torch.cdist(prediction, gallery, p=1)
    else:
        raise ValueError(f"Faces are ranked by cosine or by l1, not by {by!r}")
    return (nearness > nearness.diagonal()[:, None]).sum(1)


def recall(
    gallery: Float[Tensor, "people features"],
    prediction: Float[Tensor, "people features"],
    by: str = "cosine",
    at: Sequence[int] | None = None,
    size: int = GALLERY,
    galleries: int | None = None,
) -> dict[int, float]:
    """Share of people found among the first k of their gallery; the mean over galleries.

    Galleries are successive runs of `size` people, as many as there are unless `galleries` says;
    published, three. People that fill no gallery are left out; a smaller set is one gallery.
    """
    at = at or (AT if by == "cosine" else AT_L1)
    size = min(size, len(gallery))
    count = min(len(gallery) // size, galleries or len(gallery))
    found = torch.cat(
        [
            ranks(gallery[start : start + size], prediction[start : start + size], by)
            for start in range(0, count * size, size)
        ]
    )
    return {k: float((found < k).double().mean()) for k in at}


def certainty(
    logits: Float[Tensor, "images classes"], splits: int = 5, equal: bool = False
) -> tuple[float, float]:
    """How sure a network is of single images and how much they differ: mean and deviation.

    The VGGFace Score of five splits, the Inception Score of three, both of successive images: to
    be repeatable, shuffle with a seed before. In logarithms, so nothing underflows.

    Args:
        equal: all splits of one size, the remainder left out, as while training upstream.

    Raises:
        ValueError: fewer images than splits.
    """
    images = len(logits)
    if images < splits:
        raise ValueError(f"{splits} splits need as many images, {images} are given")
    bounds = [images * i // splits for i in range(splits + 1)]
    if equal:
        bounds = [images // splits * i for i in range(splits + 1)]
    logs = functional.log_softmax(logits.double(), 1)
    scores = []
    for start, stop in pairwise(bounds):
        part = logs[start:stop]
        mean = torch.logsumexp(part, 0) - np.log(stop - start)
        scores.append((part.exp() * (part - mean)).sum(1).mean().exp())
    told = torch.stack(scores)
    return float(told.mean()), float(told.std(correction=0))


def frechet(
    real: Float[Tensor, "images features"], made: Float[Tensor, "others features"]
) -> float:
    """Fréchet distance of two sets of activations, as if each were Gaussian.

    With fewer images than features the covariances are singular: say how many there were.
    """
    means = [side.double().mean(0) for side in (real, made)]
    covariances = [torch.cov(side.double().T) for side in (real, made)]
    root = square_root(covariances[0])
    middle = torch.linalg.eigvalsh(root @ covariances[1] @ root)
    traces = sum(covariance.trace() for covariance in covariances)
    apart = (means[0] - means[1]).square().sum()
    return float(apart + traces - 2 * middle.clamp(min=0).sqrt().sum())


def square_root(covariance: Float64[Tensor, "n n"]) -> Float64[Tensor, "n n"]:
    """The symmetric root of a symmetric positive matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T

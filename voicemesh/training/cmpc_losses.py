"""CMPC: contrast of instances and of cluster prototypes across modalities, without labels.

Everything exists twice: as published, faults included, and as meant (`published=False`).
Source: Zhu et al., IJCAI 2022; Cocoxili/CMPC, criterions/cmpc.py, keops_kmeans.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.03
RESULT_FIELDS = 4  # what the published code divides its running sum by after every level


@dataclass(frozen=True)
class Recalibration:
    """Where the normal density lies that weighs pairs; the defaults are the published run."""

    shift: float = -1.0  # delta: standard deviations off the mean
    sharpness: float = 0.1  # ka: its variance over that of the pairs


@dataclass(frozen=True, eq=False)
class Clusters:
    """One clustering of a bank."""

    centroids: Float[Tensor, "clusters embedding"]
    density: Float[Tensor, " clusters"]  # concentration phi, the temperature of each prototype
    assignment: Int64[Tensor, " videos"]


@dataclass(frozen=True, eq=False)
class CmpcLosses:
    """The loss and what it is made of, one value per sample."""

    total: Float[Tensor, ""]
    voice_to_face: Float[Tensor, " batch"]  # instance and prototype term
    face_to_voice: Float[Tensor, " batch"]
    weights: Float[Tensor, " batch"]


def losses(
    voices: Float[Tensor, "batch embedding"],
    faces: Float[Tensor, "batch embedding"],
    videos: Int64[Tensor, " batch"],
    voice_clusters: Sequence[Clusters] = (),
    face_clusters: Sequence[Clusters] = (),
    temperature: float = TEMPERATURE,
    recalibration: Recalibration = Recalibration(),
    published: bool = True,
) -> CmpcLosses:
    """The whole loss of a batch; without clusters it is plain instance contrast.

    Args:
        videos: numbers of the batch's videos, the rows of the memory that was clustered.
        published: False takes repeats of a video out of the negatives and corrects the prototype
            term, see `prototype_contrast`.
    """
    repeats = None if published else videos
    forward = instance_contrast(voices, faces, temperature, repeats)
    backward = instance_contrast(faces, voices, temperature, repeats)
    weights = torch.ones_like(forward)
    if voice_clusters and face_clusters:
        forward = forward + prototype_contrast(voices, face_clusters, videos, published)
        backward = backward + prototype_contrast(faces, voice_clusters, videos, published)
        pairs = disagreement(voices, faces, voice_clusters, face_clusters, videos)
        weights = ranked_weights(pairs, recalibration)
    total = (weights * (forward + backward)).sum() / weights.sum()
    return CmpcLosses(total, forward, backward, weights)


def instance_contrast(
    anchors: Float[Tensor, "batch embedding"],
    others: Float[Tensor, "batch embedding"],
    temperature: float = TEMPERATURE,
    videos: Int64[Tensor, " batch"] | None = None,
) -> Float[Tensor, " batch"]:
    """Cross-entropy of telling an anchor's own partner from the batch's others by cosine.

    `videos`, if given, take repeats of a video out of its negatives.
    """
    logits = cosines(anchors, others) / temperature
    if videos is not None:
        logits = logits.masked_fill(others_alike(videos), -torch.inf)
    return logits.logsumexp(1) - logits.diagonal()


def prototype_contrast(
    anchors: Float[Tensor, "batch embedding"],
    clusters: Sequence[Clusters],
    videos: Int64[Tensor, " batch"],
    published: bool = True,
) -> Float[Tensor, " batch"]:
    """Contrast with the prototypes of the other modality that the batch's videos belong to.

    As published, the levels weigh 1/4^n, ..., 1/16, 1/4; a logit is divided by the density of the
    batch row whose number its column has once the positive is moved to the front; and rows of
    one cluster are each other's negatives. As meant, the levels are averaged, every prototype has
    its own density, and equal prototypes are no negatives.
    """
    total = anchors.new_zeros(len(anchors))
    for level in clusters:
        own = level.assignment[videos]
        similarity = cosines(anchors, level.centroids[own])
        density = level.density[own]
        if published:
            logits = positive_first(similarity) / density
            total = (total + logits.logsumexp(1) - logits[:, 0]) / RESULT_FIELDS
        else:
            logits = (similarity / density).masked_fill(others_alike(own), -torch.inf)
            total = total + (logits.logsumexp(1) - logits.diagonal()) / len(clusters)
    return total


@torch.no_grad()
def disagreement(
    voices: Float[Tensor, "batch embedding"],
    faces: Float[Tensor, "batch embedding"],
    voice_clusters: Sequence[Clusters],
    face_clusters: Sequence[Clusters],
    videos: Int64[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """How much more a pair agrees than the clusters of its voice and of its face, over levels."""
    difference = functional.cosine_similarity(voices, faces)
    for voice, face in zip(voice_clusters, face_clusters, strict=True):
        pair = voice.centroids[voice.assignment[videos]], face.centroids[face.assignment[videos]]
        difference = difference - (pair[0] * pair[1]).sum(1)
    return difference


def ranked_weights(
    difference: Float[Tensor, " batch"], rule: Recalibration
) -> Float[Tensor, " batch"]:
    """Weights in (0, 1], low for the pairs of the lowest difference, which are likely mismatches.

    By rank: the normal density of the differences, cumulated from the lowest to the highest.
    """
    deviation, mean = torch.std_mean(difference, correction=0)
    centre, width = mean + rule.shift * deviation, deviation * math.sqrt(rule.sharpness)
    ascending, order = difference.sort()
    cumulated = torch.exp(-0.5 * ((ascending - centre) / width) ** 2).cumsum(0)
    return torch.zeros_like(difference).scatter(0, order, cumulated / cumulated[-1])


class Memory:
    """The two banks: one unit vector per video and modality, which follows the embeddings.

    Args:
        voices, faces: the start; rows are normalised.
        voice_momentum, face_momentum: share of the old vector that stays.
    """

    def __init__(
        self,
        voices: Float[Tensor, "videos embedding"],
        faces: Float[Tensor, "videos embedding"],
        voice_momentum: float = 0.5,
        face_momentum: float = 0.5,
    ) -> None:
        self.voices, self.faces = functional.normalize(voices), functional.normalize(faces)
        self.voice_momentum, self.face_momentum = voice_momentum, face_momentum

    @classmethod
    def random(cls, videos: int, embedding: int, generator: torch.Generator) -> "Memory":
        """Banks of random directions: the published start."""
        start = torch.randn(2, videos, embedding, generator=generator, device=generator.device)
        return cls(*start)

    @torch.no_grad()
    def update(
        self,
        videos: Int64[Tensor, " batch"],
        voices: Float[Tensor, "batch embedding"],
        faces: Float[Tensor, "batch embedding"],
    ) -> None:
        """Move the batch's rows; of repeats of a video the mean counts."""
        moved(self.voices, videos, voices, self.voice_momentum)
        moved(self.faces, videos, faces, self.face_momentum)


def moved(
    bank: Float[Tensor, "videos embedding"],
    videos: Int64[Tensor, " batch"],
    embeddings: Float[Tensor, "batch embedding"],
    momentum: float,
) -> None:
    """Move rows of a bank, in place."""
    rows, place = videos.unique(return_inverse=True)
    sums = torch.zeros_like(bank[rows]).index_add(0, place, functional.normalize(embeddings))
    means = sums / place.bincount(minlength=len(rows))[:, None]
    bank[rows] = functional.normalize(momentum * bank[rows] + (1 - momentum) * means)


def cosines(
    a: Float[Tensor, "rows embedding"], b: Float[Tensor, "columns embedding"]
) -> Float[Tensor, "rows columns"]:
    """Cosine of every pair."""
    return functional.normalize(a) @ functional.normalize(b).T


def others_alike(labels: Int64[Tensor, " batch"]) -> Bool[Tensor, "batch batch"]:
    """Where two different rows have one label."""
    alike = labels[:, None] == labels
    return alike.fill_diagonal_(False)


def positive_first(similarity: Float[Tensor, "batch batch"]) -> Float[Tensor, "batch batch"]:
    """Each row with its diagonal element moved to the front."""
    size = len(similarity)
    columns = torch.arange(size, device=similarity.device).expand(size, size)
    rows = columns.T
    # Column 0 is the positive; columns 1..i shift right by one, those beyond i stay.
    source = torch.where(columns == 0, rows, columns - (columns <= rows).long())
    return similarity.gather(1, source)

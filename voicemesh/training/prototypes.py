"""Prototypes of CMPC: K-means of an embedding bank and the concentration of every cluster."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .cmpc_losses import Clusters

ROUNDS = 20
MEAN_DENSITY = 0.2
CHUNK = 1 << 24  # distances held at once


def clusters_of(
    bank: Float[Tensor, "videos embedding"],
    count: int,
    rounds: int = ROUNDS,
    published: bool = True,
    mean_density: float = MEAN_DENSITY,
    seed: int = 0,
) -> tuple[Clusters, Float[Tensor, " videos"]]:
    """K-means of a bank of unit vectors: the clusters, and each row's squared distance to its own.

    Args:
        published: Lloyd from the first rows of the bank, whoever they are; a cluster that runs
            empty becomes nan. False is FAISS: random rows as start, empty clusters split.

    Raises:
        ValueError: more clusters than rows.
    """
    if not 0 < count <= len(bank):
        raise ValueError(f"{len(bank)} rows cannot make {count} clusters; ask for fewer")
    if published:
        centroids, assignment, squared = lloyd(bank, bank[:count], rounds)
    else:
        centroids, assignment, squared = faiss_kmeans(bank, count, rounds, seed)
    density = concentration(squared.sqrt(), assignment, count, mean_density)
    return Clusters(centroids, density, assignment), squared


def lloyd(
    points: Float[Tensor, "points embedding"],
    start: Float[Tensor, "clusters embedding"],
    rounds: int,
) -> tuple[Float[Tensor, "clusters embedding"], Int64[Tensor, " points"], Float[Tensor, " points"]]:
    """Plain K-means: centroids after the last mean, assignments and squared distances before it."""
    centroids = start.clone()
    assignment, squared = nearest(points, centroids)
    for number in range(rounds):
        if number:
            assignment, squared = nearest(points, centroids)
        sums = torch.zeros_like(centroids).index_add(0, assignment, points)
        centroids = sums / assignment.bincount(minlength=len(start))[:, None]
    return centroids, assignment, squared


def nearest(
    points: Float[Tensor, "points embedding"], centroids: Float[Tensor, "clusters embedding"]
) -> tuple[Int64[Tensor, " points"], Float[Tensor, " points"]]:
    """The nearest centroid of each point and the squared distance; an empty (nan) one is far."""
    sizes = centroids.square().sum(1).nan_to_num(nan=torch.inf)
    assignments = []
    for part in points.split(max(1, CHUNK // len(centroids))):
        distances = sizes - 2 * (part @ centroids.nan_to_num().T)
        assignments.append(distances.argmin(1))
    assignment = torch.cat(assignments)
    # From the difference itself: the expanded square loses the digits of near points.
    return assignment, (points - centroids[assignment]).square().sum(1)


def faiss_kmeans(
    points: Float[Tensor, "points embedding"], count: int, rounds: int, seed: int
) -> tuple[Float[Tensor, "clusters embedding"], Int64[Tensor, " points"], Float[Tensor, " points"]]:
    """K-means of FAISS over all points; the result comes back to their device."""
    import faiss

    kmeans = faiss.Kmeans(
        points.shape[1],
        count,
        niter=rounds,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    kmeans.train(points.detach().float().cpu().numpy())
    centroids = torch.from_numpy(kmeans.centroids).to(points)
    assignment, squared = nearest(points, centroids)
    return centroids, assignment, squared


def concentration(
    distance: Float[Tensor, " points"],
    assignment: Int64[Tensor, " points"],
    count: int,
    mean_density: float = MEAN_DENSITY,
) -> Float[Tensor, " clusters"]:
    """Mean distance over ln(size + 10), clamped to the 10th to 90th percentile.

    Clusters of a single point have the largest value of the others; all are scaled to
    `mean_density`. Small is concentrated: a prototype's density is its temperature.
    """
    sizes = assignment.bincount(minlength=count)
    sums = torch.zeros(count, dtype=distance.dtype, device=distance.device)
    means = sums.index_add(0, assignment, distance) / sizes.clamp(min=1)
    several = sizes > 1
    if not several.any():
        return torch.full_like(means, mean_density)
    density = means / torch.log(sizes + 10.0)
    density = torch.where(several, density, density[several].max())
    low, high = torch.quantile(density, density.new_tensor([0.1, 0.9]))
    clamped = density.clamp(low, high)
    return mean_density * clamped / clamped.mean()

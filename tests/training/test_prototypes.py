"""K-means and the concentration of clusters, against loops and on clusters that are there."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from voicemesh.training import prototypes


def blobs(each: int = 30, spread: float = 0.05) -> torch.Tensor:
    """Points of 4 well-separated directions, one after the other in turn."""
    return F.normalize(torch.eye(4).repeat(each, 1) + spread * torch.randn(4 * each, 4))


def test_lloyd_is_assign_then_mean_as_often_as_told():
    points = torch.randn(40, 3, dtype=torch.float64)
    centroids = points[:5].clone()
    for _ in range(3):
        assignment = torch.cdist(points, centroids).argmin(1)
        before = centroids
        centroids = torch.stack([points[assignment == k].mean(0) for k in range(5)])
    found, given, squared = prototypes.lloyd(points, points[:5], 3)
    torch.testing.assert_close(found, centroids)
    assert torch.equal(given, assignment)
    torch.testing.assert_close(squared, (points - before[assignment]).square().sum(1))


@pytest.mark.parametrize("published", [True, False])
def test_clusters_that_are_there_are_found(published):
    points = blobs()
    clusters, squared = prototypes.clusters_of(points, 4, published=published, seed=5)
    groups = clusters.assignment.reshape(-1, 4)
    assert (groups == groups[0]).all() and len(set(groups[0].tolist())) == 4
    assert squared.max() < 0.2
    torch.testing.assert_close(clusters.density.mean(), torch.tensor(0.2))


def test_empty_clusters_stay_empty_as_published_and_are_filled_as_meant():
    points = blobs(10, 0.01)
    points[1] = points[0]  # two equal starts: the second one gets nothing
    start = torch.cat([points[:4], points[5:]])
    clusters, _ = prototypes.clusters_of(start, 3)
    assert clusters.centroids[1].isnan().all()
    assert (clusters.assignment != 1).all()
    assert clusters.density.isfinite().all()
    clusters, squared = prototypes.clusters_of(start, 3, published=False)
    assert clusters.centroids.isfinite().all() and squared.isfinite().all()
    assert len(clusters.assignment.unique()) == 3


def test_distances_are_counted_in_parts(monkeypatch):
    points, centroids = torch.randn(50, 6), torch.randn(7, 6)
    whole = prototypes.nearest(points, centroids)
    monkeypatch.setattr(prototypes, "CHUNK", 7 * 8)  # eight points at a time
    parts = prototypes.nearest(points, centroids)
    assert torch.equal(whole[0], parts[0]) and torch.equal(whole[1], parts[1])
    torch.testing.assert_close(whole[1].sqrt(), torch.cdist(points, centroids).amin(1))


def test_near_points_keep_their_distance():
    point = torch.randn(1, 64) * 100
    near = point + 1e-3
    _, squared = prototypes.nearest(near, point)
    torch.testing.assert_close(squared, (near - point).square().sum(1))


def test_concentration_is_its_formula():
    distance = torch.tensor([0.5, 0.7, 0.1, 0.4, 0.2, 0.9])
    assignment = torch.tensor([0, 0, 1, 3, 3, 3])  # cluster 1 has one point, cluster 2 none
    raw = {0: 0.6 / math.log(12), 3: 0.5 / math.log(13)}
    density = np.array([raw[0], max(raw.values()), max(raw.values()), raw[3]])
    density = density.clip(*np.percentile(density, [10, 90]))
    ours = prototypes.concentration(distance, assignment, 4, mean_density=0.3)
    np.testing.assert_allclose(ours, 0.3 * density / density.mean(), rtol=1e-6)


def test_single_points_only_have_even_density():
    ours = prototypes.concentration(torch.zeros(3), torch.arange(3), 3)
    assert ours.tolist() == pytest.approx([0.2] * 3)


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(ValueError, match="3 rows cannot make 4 clusters"):
        prototypes.clusters_of(torch.eye(3), 4)

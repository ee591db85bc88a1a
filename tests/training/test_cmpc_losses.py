"""CMPC's contrasts against loops, as published and as meant; the weights and the memory."""

import math

import pytest
import torch
import torch.nn.functional as F

from voicemesh.training import cmpc_losses
from voicemesh.training.cmpc_losses import Clusters, Memory, Recalibration


def clusters(videos: int, count: int, embedding: int = 4) -> Clusters:
    return Clusters(
        torch.randn(count, embedding, dtype=torch.float64),
        torch.rand(count, dtype=torch.float64) + 0.1,
        torch.randint(count, (videos,)),
    )


@pytest.fixture
def pair():
    return torch.randn(2, 5, 4, dtype=torch.float64)


def test_instance_contrast_is_cross_entropy_of_cosines(pair):
    voices, faces = pair
    cosine = F.cosine_similarity(voices[:, None], faces[None], dim=2)
    target = F.cross_entropy(cosine / 0.2, torch.arange(5), reduction="none")
    torch.testing.assert_close(cmpc_losses.instance_contrast(voices, faces, 0.2), target)


def test_repeats_of_a_video_are_no_negatives(pair):
    voices, faces = pair
    videos = torch.tensor([3, 1, 3, 2, 0])
    ours = cmpc_losses.instance_contrast(voices, faces, 0.2, videos)
    kept = [0, 1, 3, 4]  # row 0 without its repeat in row 2
    alone = cmpc_losses.instance_contrast(voices[kept], faces[kept], 0.2)
    torch.testing.assert_close(ours[0], alone[0])
    torch.testing.assert_close(ours[1], cmpc_losses.instance_contrast(voices, faces, 0.2)[1])


def test_published_prototypes_keep_their_faults(pair):
    anchors, videos = pair[0], torch.tensor([6, 0, 3, 3, 1])
    levels = [clusters(7, 3), clusters(7, 5)]
    target = []
    for i in range(5):
        total = 0.0
        for level in levels:
            own = level.assignment[videos]
            order = [i] + [j for j in range(5) if j != i]
            logits = [
                float(F.cosine_similarity(anchors[i], level.centroids[own[j]], dim=0))
                / float(level.density[own[place]])
                for place, j in enumerate(order)
            ]
            total = (total - logits[0] + math.log(sum(map(math.exp, logits)))) / 4
        target.append(total)
    ours = cmpc_losses.prototype_contrast(anchors, levels, videos)
    torch.testing.assert_close(ours, torch.tensor(target, dtype=torch.float64))


def test_meant_prototypes_have_their_own_density_and_no_equals(pair):
    anchors, videos = pair[0], torch.tensor([6, 0, 3, 5, 1])
    level = Clusters(
        torch.randn(3, 4, dtype=torch.float64),
        torch.tensor([0.1, 0.3, 0.7], dtype=torch.float64),
        torch.tensor([0, 1, 1, 2, 2, 0, 1]),
    )
    own = level.assignment[videos].tolist()
    target = []
    for i in range(5):
        logits = {
            j: float(F.cosine_similarity(anchors[i], level.centroids[own[j]], dim=0))
            / float(level.density[own[j]])
            for j in range(5)
            if j == i or own[j] != own[i]
        }
        target.append(math.log(sum(map(math.exp, logits.values()))) - logits[i])
    ours = cmpc_losses.prototype_contrast(anchors, [level, level], videos, published=False)
    torch.testing.assert_close(ours, torch.tensor(target, dtype=torch.float64))


def test_the_loss_is_the_weighted_mean_of_both_directions(pair):
    voices, faces = pair
    videos = torch.tensor([6, 0, 3, 4, 1])
    sides = [clusters(7, 2), clusters(7, 3)], [clusters(7, 2), clusters(7, 3)]
    terms = cmpc_losses.losses(voices, faces, videos, *sides, temperature=0.1)
    each = terms.voice_to_face + terms.face_to_voice
    torch.testing.assert_close(terms.total, (terms.weights * each).sum() / terms.weights.sum())
    instance = cmpc_losses.instance_contrast(voices, faces, 0.1)
    prototype = cmpc_losses.prototype_contrast(voices, sides[1], videos)
    torch.testing.assert_close(terms.voice_to_face, instance + prototype)
    plain = cmpc_losses.losses(voices, faces, videos, temperature=0.1)
    assert plain.weights.tolist() == [1] * 5


@pytest.mark.parametrize("published", [True, False])
def test_gradients_of_the_terms(pair, published):
    videos, level = torch.tensor([6, 0, 3, 3, 1]), clusters(7, 3)
    repeats = None if published else videos
    assert torch.autograd.gradcheck(
        lambda a, b: (
            cmpc_losses.instance_contrast(a, b, 0.2, repeats).sum()
            + cmpc_losses.prototype_contrast(a, [level], videos, published).sum()
        ),
        [side.clone().requires_grad_() for side in pair],
    )


def test_disagreement_is_the_pair_against_its_clusters(pair):
    voices, faces = pair
    videos = torch.tensor([2, 0, 1, 1, 0])
    sides = [clusters(3, 2)], [clusters(3, 2)]
    ours = cmpc_losses.disagreement(voices, faces, *sides, videos)
    for i, m in enumerate(videos):
        own = [side[0].centroids[side[0].assignment[m]] for side in sides]
        target = F.cosine_similarity(voices[i], faces[i], dim=0) - own[0] @ own[1]
        torch.testing.assert_close(ours[i], target)


def test_weights_go_by_rank_and_end_at_one():
    difference = torch.tensor([0.3, -1.2, 0.8, 0.1])
    weights = cmpc_losses.ranked_weights(difference, Recalibration(shift=0.5, sharpness=2.0))
    assert weights.argsort().tolist() == difference.argsort().tolist()
    assert weights[2] == 1
    mean, deviation = difference.mean(), difference.std(correction=0)
    normal = torch.distributions.Normal(mean + 0.5 * deviation, deviation * 2**0.5)
    density = normal.log_prob(difference).exp()
    torch.testing.assert_close(weights[3], density[[1, 3]].sum() / density.sum())


def test_memory_moves_the_rows_of_a_batch():
    memory = Memory(torch.eye(3), torch.eye(3), voice_momentum=0.25, face_momentum=1.0)
    memory.update(torch.tensor([2]), torch.tensor([[0.0, 5, 0]]), torch.tensor([[0.0, 5, 0]]))
    torch.testing.assert_close(memory.voices[2], F.normalize(torch.tensor([0, 0.75, 0.25]), dim=0))
    assert torch.equal(memory.voices[:2], torch.eye(3)[:2])
    assert torch.equal(memory.faces, torch.eye(3))


def test_repeats_count_by_their_mean_in_any_order():
    rows, new = torch.tensor([1, 0, 1]), torch.randn(3, 4)
    banks = []
    for order in ([0, 1, 2], [2, 1, 0]):
        memory = Memory(torch.ones(2, 4), torch.ones(2, 4))
        memory.update(rows[order], new[order], new[order])
        banks.append(memory.faces)
    torch.testing.assert_close(*banks)
    torch.testing.assert_close(banks[0].norm(dim=1), torch.ones(2))


def test_random_banks_are_unit_vectors_of_the_generator():
    first, second = (Memory.random(5, 3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.voices, second.voices)
    assert not torch.allclose(first.voices, first.faces)
    torch.testing.assert_close(first.voices.norm(dim=1), torch.ones(5))


@pytest.mark.parametrize("published", [True, False])
def test_steps_lower_the_loss(published):
    voices, faces = torch.randn(2, 8, 6)
    sides = [[Clusters(torch.randn(3, 6), torch.full((3,), 0.2), torch.arange(9) % 3)]] * 2
    free = [value.clone().requires_grad_() for value in (voices, faces)]
    optimiser = torch.optim.Adam(free, lr=0.05)
    values = []
    for _ in range(30):
        terms = cmpc_losses.losses(
            *free, torch.arange(8), *sides, temperature=0.2, published=published
        )
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        values.append(terms.total.item())
    assert values[-1] < 0.7 * values[0]

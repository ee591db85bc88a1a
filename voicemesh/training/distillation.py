"""Losses of the unsupervised framework: what a student learns of a teacher, and critics of faces.

Formulas: choyingw/Cross-Modal-Perceptionist, distiller_zoo.py and gan_train_cascade.py. Features
are one row per image; whatever a teacher gives should come without gradient.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

SMALLEST = 1e-7  # keeps logarithms and quotients of `pkt` finite, as published

Features = Float[Tensor, "batch _"]
Meshes = Float[Tensor, "batch 3 v"]  # x, y and z rows, scaled to pixels of the crop


class Distillation(NamedTuple):
    """The published sum and its terms."""

    total: Float[Tensor, ""]
    mesh: Float[Tensor, ""]
    pooled: Float[Tensor, ""]
    middle: Float[Tensor, ""]


def distillation(
    teacher_mesh: Meshes,
    student_mesh: Meshes,
    teacher_features: tuple[Float[Tensor, "batch pooled"], Float[Tensor, "batch middle"]],
    student_features: tuple[Float[Tensor, "batch pooled"], Float[Tensor, "batch middle"]],
    mesh_weight: float = 0.5,
    pkt_weight: float = 10_000.0,
) -> Distillation:
    """Mesh error and probabilistic knowledge transfer of the pooled and the middle features.

    As published the student's similarities are what the teacher's are measured against; swap the
    arguments of `pkt` for the method's own direction.
    """
    mesh = functional.mse_loss(student_mesh, teacher_mesh)
    pooled, middle = (
        pkt(teacher, student)
        for teacher, student in zip(teacher_features, student_features, strict=True)
    )
    return Distillation(mesh_weight * mesh + pkt_weight * (pooled + middle), mesh, pooled, middle)


def pkt(output: Features, target: Features) -> Float[Tensor, ""]:
    """Probabilistic knowledge transfer (Passalis, Tefas 2018): divergence of similarities.

    Both rows of similarities are made distributions; the mean over all pairs is taken.
    """
    model, reference = neighbourhoods(output), neighbourhoods(target)
    return (reference * ((reference + SMALLEST) / (model + SMALLEST)).log()).mean()


def neighbourhoods(features: Features) -> Float[Tensor, "batch batch"]:
    """How near each row is to all, as shares: cosine similarities moved into [0, 1]."""
    unit = features / (features.norm(dim=1, keepdim=True) + SMALLEST)
    shares = (unit @ unit.T + 1) / 2
    return shares / shares.sum(1, keepdim=True)


def mesh_triplet(
    anchor: Meshes, positive: Meshes, negative: Meshes, margin: float = 1.0
) -> Float[Tensor, ""]:
    """Meshes of one voice nearer to each other than to those of another voice.

    Distances are those of the x, y and z rows apart, as published.
    """
    return functional.triplet_margin_loss(anchor, positive, negative, margin=margin)


def attention(student: Features, teacher: Features) -> Float[Tensor, ""]:
    """Attention transfer (Zagoruyko, Komodakis 2017): where the energy of a row lies."""
    ours, theirs = (functional.normalize(rows.square()) for rows in (student, teacher))
    return (ours - theirs).square().mean()


def similarity(student: Features, teacher: Features) -> Float[Tensor, ""]:
    """Similarity preserving distillation (Tung, Mori 2019): inner products of all rows."""
    ours, theirs = (functional.normalize(rows @ rows.T) for rows in (student, teacher))
    return (ours - theirs).square().mean()


def correlation(student: Features, teacher: Features) -> Float[Tensor, ""]:
    """Correlation congruence (Peng et al. 2019): errors of neighbouring rows go apart."""
    error = (student - teacher).abs()
    return (error[:-1] * error[1:]).sum(1).mean()


def neuron_selectivity(student: Features, teacher: Features) -> Float[Tensor, ""]:
    """Neuron selectivity transfer (Huang, Wang 2017), as published code treats plain rows.

    The polynomial kernel of two rows is there (a_j * sum of b)^2, averaged over j, which is no
    distance: the value may be negative.
    """
    ours, theirs = functional.normalize(student), functional.normalize(teacher).detach()

    def kernel(a: Features, b: Features) -> Float[Tensor, ""]:
        return (a.sum(1, keepdim=True) * b).square().mean()

    return kernel(theirs, theirs) + kernel(ours, ours) - 2 * kernel(ours, theirs)


def relational(
    student: Features, teacher: Features, distances: float = 25.0, angles: float = 50.0
) -> Float[Tensor, ""]:
    """Relational distillation (Park et al. 2019): relative distances and angles of all rows."""
    teacher = teacher.detach()
    apart = functional.smooth_l1_loss(relative_distances(student), relative_distances(teacher))
    turned = functional.smooth_l1_loss(cosines(student), cosines(teacher))
    return distances * apart + angles * turned


def relative_distances(features: Features) -> Float[Tensor, "batch batch"]:
    """Distances of all rows over their mean, the zeros left out of it."""
    square = (features[:, None] - features).square().sum(2)
    apart = square > 0
    distance = torch.where(apart, square, 1).sqrt() * apart
    return distance / distance[apart].mean()


def cosines(features: Features) -> Float[Tensor, "batch batch batch"]:
    """Cosine of the angle at each row between the directions to two others."""
    towards = functional.normalize(features[None] - features[:, None], dim=2)
    return towards @ towards.mT


def judged(scores: Float[Tensor, "batch 1"], real: bool) -> Float[Tensor, ""]:
    """Cross-entropy of a critic's scores if all these faces are real, or none."""
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, real))


def recognised(
    logits: Float[Tensor, "batch identity"], identities: Int64[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Cross-entropy of whose face each is."""
    return functional.cross_entropy(logits, identities)

"""Seeking the Shape of Sound: losses on two levels, and weights that leave hard identities out.

Source: Wen et al., CVPR 2021; KID-7391/seeking-the-shape-of-sound, voice2face_model.py,
center_model.py, utils/loss.py.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.sss import IdentityState

BASE = 5.4  # 1 + 3.4 + exp(0): what the exponentials of the negatives are added to


@dataclass(frozen=True)
class Reweighting:
    """How identities are taken in, the easy ones first; the defaults are the published run."""

    momentum: float = 0.9  # of the running loss
    first_share: float = 0.5  # of the identities, at the first update
    share: float = 0.024  # at each later one
    enough: float = 0.9  # share that has a weight: no update beyond
    decay: float = 0.99  # of all weights at an update
    least: float = 1e-3  # a batch whose weights sum to less is weighted evenly


@dataclass(frozen=True, eq=False)
class SssLosses:
    """The three terms, weighted, and what they are made of, one value per sample."""

    face: Float[Tensor, ""]
    voice: Float[Tensor, ""]
    cross: Float[Tensor, ""]
    face_each: Float[Tensor, " batch"]
    voice_each: Float[Tensor, " batch"]
    cross_each: Float[Tensor, " batch"]

    def total(self, weights: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Float[Tensor, ""]:
        """Their weighted sum: face, voice, cross-modal."""
        face, voice, cross = weights
        return face * self.face + voice * self.voice + cross * self.cross


def losses(
    z_voice: Float[Tensor, "batch embedding"],
    z_face: Float[Tensor, "batch embedding"],
    classes: Float[Tensor, "identities embedding"],
    targets: Int64[Tensor, " batch"],
    weights: Float[Tensor, " batch"],
    published: bool = True,
) -> SssLosses:
    """Identity cross-entropy of both sides against one class matrix, and the cross-modal loss.

    Args:
        weights: of the samples, see `batch_weights`.
        published: the authors' code averages the two cross-entropies before it weights them, so
            that weights tell samples apart in the cross-modal term only. False weights each
            sample, which is what the paper means, and drops equal identities from the negatives.
    """
    face = functional.cross_entropy(z_face @ classes.T, targets, reduction="none")
    voice = functional.cross_entropy(z_voice @ classes.T, targets, reduction="none")
    same = None if published else targets
    cross = (cross_modal(z_face, z_voice, same) + cross_modal(z_voice, z_face, same)) / 2
    weighted = [
        weights.mean() * each.mean() if published else (weights * each).mean()
        for each in (face, voice)
    ]
    return SssLosses(*weighted, (weights * cross).mean(), face, voice, cross)


def cross_modal(
    others: Float[Tensor, "batch embedding"],
    anchors: Float[Tensor, "batch embedding"],
    targets: Int64[Tensor, " batch"] | None = None,
) -> Float[Tensor, " batch"]:
    """ln(5.4 + sum over j != i of exp(d_ij - d_ii)), d_ij = anchor i times the unit vector other j.

    The length of the anchor acts as a temperature that is learned. `targets`, if given, take rows
    of one identity out of each other's negatives.
    """
    products = anchors @ functional.normalize(others).T
    excess = products - products.diagonal()[:, None]
    if targets is not None:
        excess = excess.masked_fill(targets[:, None] == targets, -torch.inf)
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    base = torch.tensor(BASE, dtype=excess.dtype, device=excess.device).log()
    return torch.where(itself, base, excess).logsumexp(1)


def guided(
    z_voice: Float[Tensor, "batch embedding"],
    z_face: Float[Tensor, "batch embedding"],
    law: Float[Tensor, "batch batch"],
) -> Float[Tensor, ""]:
    """Cross-entropy of whose face and whose voice it is, against what a law says of all pairs.

    A face that would fit the voice nearly as well as its own is then hardly a negative.
    """
    terms = (
        (ratio.softmax(1) * (anchors @ functional.normalize(others).T).log_softmax(1)).sum(1)
        for anchors, others, ratio in ((z_voice, z_face, law), (z_face, z_voice, law.T))
    )
    return -sum(term.mean() for term in terms) / 2


def batch_weights(
    weight: Float[Tensor, " identities"],
    targets: Int64[Tensor, " batch"],
    rule: Reweighting = Reweighting(),
) -> Float[Tensor, " batch"]:
    """Weights of the samples of a batch, where the mean over all identities is 1."""
    own = (weight * len(weight) / weight.sum())[targets]
    return own + 1 if own.sum() < rule.least else own


@torch.no_grad()
def remember(
    state: IdentityState,
    targets: Int64[Tensor, " batch"],
    losses_each: Float[Tensor, " batch"],
    rule: Reweighting = Reweighting(),
) -> None:
    """Move the running losses of a batch's identities; several samples of one count by their mean.

    `losses_each` are the two cross-entropies of a sample, added.
    """
    identities, place = targets.unique(return_inverse=True)
    sums = torch.zeros_like(identities, dtype=losses_each.dtype)
    counts = place.bincount(minlength=len(identities))
    means = sums.index_add(0, place, losses_each.detach()) / counts
    before = state.loss_mean[identities]
    state.loss_mean[identities] = rule.momentum * before + (1 - rule.momentum) * means


@torch.no_grad()
def reweigh(state: IdentityState, rule: Reweighting = Reweighting()) -> float:
    """Take in the easiest identities that have no weight yet; the share that has one afterwards.

    The first call, when every weight is still 1, starts from no identity at all.
    """
    weight = state.weight
    identities = len(weight)
    first = bool((weight == 1).all())
    if first:
        weight.zero_()
    taken = int((weight > 0).sum())
    if taken / identities >= rule.enough:
        return taken / identities
    count = int((rule.first_share if first else rule.share) * identities)
    count = min(count, identities - taken)
    waiting = state.loss_mean.masked_fill(weight > 0, torch.inf)
    weight.mul_(rule.decay)
    weight[waiting.argsort(stable=True)[:count]] = 1
    return (taken + count) / identities

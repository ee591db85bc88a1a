"""The linear readers anew on a frozen voice encoder: face parameters, and the sex of the voice."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.cmp import VoiceTraits

from .cmp import CmpTask

ROWS = 8000  # recordings of training people
AT_ONCE = 50
DOUBT = 10.0  # how much more a voice counts whose sex is in doubt: there meshes go wrong
RIDGE = 1e-4  # of the mean square of an embedding's entry


@torch.inference_mode()
def refit_head(task: CmpTask, frames: int = 300, seed: int = 0) -> None:
    """Replace the head of `task.net` by the best linear one on the training people.

    The embedding stays, and of the traits all but the sex. Much quicker than training, and all that
    is needed when the same people get other heads.
    """
    rng = np.random.default_rng(seed)
    net, pairs = task.net.eval(), AT_ONCE // 2
    units, targets, female = [], [], []
    for _ in range(ROWS // AT_ONCE):
        batch = task.pairs(pairs, min(frames, task.utterances.frames), rng)
        unit = functional.normalize(net.voice(batch["features"]))
        units.append(unit)
        female.append(batch["traits"][:, 0] > 0.5)
        targets.append(batch["parameters"].double())
    heard = torch.cat(units)
    refit_sex(net.traits, heard, torch.cat(female))
    likely = torch.sigmoid(net.traits(heard)[:, 0].double())
    weights = 1 + DOUBT * 4 * likely * (1 - likely)
    slope, intercept = least_squares(heard.double(), torch.cat(targets), weights)
    heads = (net.head.classifier_scale, net.head.classifier_shape, net.head.classifier_exp)
    first = 0
    for layer in (head[1] for head in heads):
        own = slice(first, first + layer.out_features)
        layer.weight.copy_(slope[:, own].T)
        layer.bias.copy_(intercept[own])
        first = own.stop


@torch.inference_mode()
def refit_sex(
    traits: VoiceTraits, units: Float[Tensor, "voices embedding"], female: Bool[Tensor, " voices"]
) -> None:
    """Let the log odds of the sex be those of two normal clouds of embeddings.

    A net that learns to tell the sex leans on whatever sets one synthesiser's women apart, first of
    all the pitch. The voices should hold strongly raised ones: a man in anger or on a stage speaks
    as high as a woman, and nothing but the formants tells him then.
    """
    slope, offset = discriminant(units.double(), female)
    traits.linear.weight[0] = slope
    traits.linear.bias[0] = offset


def effort_reader(
    units: Float[Tensor, "voices embedding"], effort: Float[Tensor, " voices"]
) -> Float[Tensor, " embedding_and_one"]:
    """How an embedding tells the vocal effort in semitones: a slope, and behind it a constant."""
    slope, intercept = least_squares(units.double(), effort.double()[:, None])
    return torch.cat([slope[:, 0], intercept]).float()


def discriminant(
    x: Float[Tensor, "n k"], second: Bool[Tensor, " n"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, ""]]:
    """Slope and offset of the log odds of the second of two normal clouds of one covariance.

    A little ridge, as a unit embedding leaves directions empty.
    """
    clouds = [x[~second], x[second]]
    one, other = (cloud.mean(0) for cloud in clouds)
    covariance = sum(torch.cov(cloud.T) for cloud in clouds) / 2
    penalty = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=x.dtype)
    slope = torch.linalg.solve(covariance + penalty, other - one)
    return slope, -slope @ (one + other) / 2


def least_squares(
    x: Float[Tensor, "n k"], y: Float[Tensor, "n m"], weights: Float[Tensor, " n"] | None = None
) -> tuple[Float[Tensor, "k m"], Float[Tensor, " m"]]:
    """Slope and intercept with a little ridge, as a unit embedding leaves directions empty."""
    share = x.new_ones(len(x)) if weights is None else weights / weights.mean()
    centre, level = share @ x / len(x), share @ y / len(y)
    away = x - centre
    weighed = away * share[:, None]
    gram = weighed.T @ away
    penalty = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype)
    slope = torch.linalg.solve(gram + penalty, weighed.T @ (y - level))
    return slope, level - centre @ slope

"""The linear readers anew on a frozen voice encoder: face parameters, and the sex of the voice."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.cmp import TRAITS, VoiceTraits

from .cmp import CmpTask

ROWS = 8000  # recordings of training people
AT_ONCE = 50
DOUBT = 10.0  # how much more a voice counts whose sex is in doubt: there meshes go wrong
RIDGE = 1e-4  # of the mean square of an embedding's entry
HEARD = [TRAITS.index(name) for name in ("log_f0", "log_vtl")]
OWN, TOLD = 0.25, 0.45  # how much the net's own log odds of the sex count, and those of HEARD


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
    """Let the sex follow from the pitch and the tract that are heard, and less from all the rest.

    The rest is what sets women's voices of one synthesiser apart from men's. On people held out
    both kinds of evidence are worth the same, on real voices the rest misleads.
    """
    layer = traits.linear
    slope, offset = discriminant(traits(units)[:, HEARD].double(), female)
    weight, bias = layer.weight.double(), layer.bias.double()
    layer.weight[0] = OWN * weight[0] + TOLD * slope @ weight[HEARD]
    layer.bias[0] = OWN * bias[0] + TOLD * (slope @ bias[HEARD] + offset)


def discriminant(
    x: Float[Tensor, "n k"], second: Bool[Tensor, " n"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, ""]]:
    """Slope and offset of the log odds of the second of two normal clouds of one covariance."""
    clouds = [x[~second], x[second]]
    one, other = (cloud.mean(0) for cloud in clouds)
    covariance = sum(torch.cov(cloud.T) for cloud in clouds) / 2
    slope = torch.linalg.solve(covariance, other - one)
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

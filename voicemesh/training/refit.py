"""The linear head anew on a frozen voice encoder, by least squares: for another face model."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .cmp import CmpTask

ROWS = 8000  # recordings of training people
AT_ONCE = 50
DOUBT = 10.0  # how much more a voice counts whose sex is in doubt: there meshes go wrong
RIDGE = 1e-4  # of the mean square of an embedding's entry


@torch.inference_mode()
def refit_head(task: CmpTask, frames: int = 300, seed: int = 0) -> None:
    """Replace the head of `task.net` by the best linear one on the training people.

    The embedding stays, so the traits do too. Much quicker than training, and all that is needed
    when the same people get other heads.
    """
    rng = np.random.default_rng(seed)
    net, pairs = task.net.eval(), AT_ONCE // 2
    units, targets, doubts = [], [], []
    for _ in range(ROWS // AT_ONCE):
        batch = task.pairs(pairs, min(frames, task.utterances.frames), rng)
        unit = functional.normalize(net.voice(batch["features"]))
        likely = torch.sigmoid(net.traits(unit)[:, 0].double())
        units.append(unit.double())
        doubts.append(4 * likely * (1 - likely))
        targets.append(batch["parameters"].double())
    weights = 1 + DOUBT * torch.cat(doubts)
    slope, intercept = least_squares(torch.cat(units), torch.cat(targets), weights)
    heads = (net.head.classifier_scale, net.head.classifier_shape, net.head.classifier_exp)
    first = 0
    for layer in (head[1] for head in heads):
        own = slice(first, first + layer.out_features)
        layer.weight.copy_(slope[:, own].T)
        layer.bias.copy_(intercept[own])
        first = own.stop


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

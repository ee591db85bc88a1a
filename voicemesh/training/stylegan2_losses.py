"""Losses of StyleGAN2 and its running averages. Source: rosinality/stylegan2-pytorch, train.py."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

PATH_DECAY = 0.01  # share of a new mean length in the running one


def critic_loss(
    real: Float[Tensor, "reals 1"], fake: Float[Tensor, "fakes 1"]
) -> Float[Tensor, ""]:
    """What the discriminator lowers: real scores are to be high, fake ones low."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def generator_loss(fake: Float[Tensor, "fakes 1"]) -> Float[Tensor, ""]:
    """What the generator lowers; steep where it is found out, hence non-saturating."""
    return functional.softplus(-fake).mean()


def gradient_penalty(
    score: Float[Tensor, "batch 1"], image: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, ""]:
    """R1: mean squared gradient of the scores of real images, to be differentiated again."""
    (gradient,) = torch.autograd.grad(score.sum(), image, create_graph=True)
    # Zero times the scores: last biases take part as well, for which several processes wait.
    return gradient.square().sum((1, 2, 3)).mean() + 0.0 * score.sum()


def path_penalty(
    image: Float[Tensor, "batch 3 height width"],
    w_plus: Float[Tensor, "batch rows style"],
    noise: Float[Tensor, "batch 3 height width"],
    mean: Float[Tensor, ""],
    decay: float = PATH_DECAY,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, " batch"]]:
    """How unevenly the image moves with w+: penalty, next running mean (detached), path lengths.

    `noise` is Gaussian; `mean` the running mean so far. The penalty differentiates through the
    new mean, as published.
    """
    height, width = image.shape[2:]
    moved = (image * noise).sum() / math.sqrt(height * width)
    (gradient,) = torch.autograd.grad(moved, w_plus, create_graph=True)
    lengths = gradient.square().sum(2).mean(1).sqrt()
    following = mean + decay * (lengths.mean() - mean)
    return (lengths - following).square().mean(), following.detach(), lengths


def ema_decay(images: float, half_life: float = 10_000.0) -> float:
    """Share of the old average that stays after so many images; published: 32 a step, always."""
    return 0.5 ** (images / half_life)


@torch.no_grad()
def average(into: nn.Module, net: nn.Module, decay: float) -> None:
    """Draw the averaged net's parameters towards those of the other; buffers stay."""
    for old, new in zip(into.parameters(), net.parameters(), strict=True):
        old.lerp_(new.to(old.dtype), 1 - decay)

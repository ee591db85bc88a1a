"""Heads as a generator was told of them: what a search may change so that it finds whole faces.

A latent between those of the bald and of the curly belongs to nobody, however near it is to the
mean: grey islands in the hair, half a beard. What comes out of the mapping is somebody. A search
that moves z, of which a portrait generator reads some numbers as a head and others as its sitting,
has the head's alone to move.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from .statistics import Statistics

STEPS, RATE = 120, 0.15  # of the way to the nearest head
STARTS = 6  # of that way: between women and men, say, there is none
LIKELY = 0.002  # weight of the mean square of a head's numbers against a missed latent


@dataclass(frozen=True, eq=False)
class Heads:
    """The mapping of a generator whose z is told, and which of z belong to a head."""

    style: nn.Sequential  # of the generator
    free: Bool[Tensor, " style"]  # what of z a head is
    rest: Float[Tensor, " style"]  # what all else of z is while a head is at rest

    @classmethod
    def read(
        cls, style: nn.Sequential, tensors: Mapping[str, Shaped[Tensor, "..."]]
    ) -> "Heads | None":
        """Beside the statistics in a part of a bundle; None where nothing is known of z."""
        if "free" not in tensors or "rest" not in tensors:
            return None
        device = next(style.parameters()).device
        return cls(style, tensors["free"].bool().to(device), tensors["rest"].float().to(device))

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """What `read` reads."""
        return {"free": self.free.byte(), "rest": self.rest}

    def w(self, heads: Float[Tensor, "batch head"]) -> Float[Tensor, "batch style"]:
        """Latents of heads at rest; z is told without its idle rest: not to be normalised."""
        places = self.free.nonzero()[:, 0].expand(len(heads), -1)
        return self.style[1:](self.rest.expand(len(heads), -1).scatter(1, places, heads))

    def nearest(
        self, statistics: Statistics, v: Float[Tensor, "batch axes"]
    ) -> Float[Tensor, "batch head"]:
        """Likely heads whose whitened latents are near to given ones."""
        rng, count = torch.Generator().manual_seed(0), int(self.free.sum())
        begun = torch.randn(STARTS - 1, 1, count, generator=rng).to(v)
        begun = torch.cat([torch.zeros_like(begun[:1]), begun])
        heads = begun.expand(-1, len(v), -1).flatten(0, 1).clone().requires_grad_()
        aims, adam = v.repeat(STARTS, 1), torch.optim.Adam([heads], lr=RATE)
        with torch.enable_grad():
            for step in range(STEPS):
                adam.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
                missed = (statistics.whiten(self.w(heads)) - aims).square().mean(1)
                loss = missed + LIKELY * heads.square().mean(1)
                (heads.grad,) = torch.autograd.grad(loss.sum(), heads)
                adam.step()
        best = loss.detach().view(STARTS, -1).argmin(0)
        return heads.detach().view(STARTS, len(v), -1)[best, torch.arange(len(v))]


def padded(values: Float[Tensor, " told"], style: int) -> Float[Tensor, " style"]:
    """z of so many numbers: what is told, nothing after it."""
    return functional.pad(values, (0, style - len(values)))

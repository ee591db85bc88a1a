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

STEPS, RATE = 150, 0.15  # of the way to the nearest head
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
        heads = v.new_zeros(len(v), int(self.free.sum())).requires_grad_()
        adam = torch.optim.Adam([heads], lr=RATE)
        with torch.enable_grad():
            for step in range(STEPS):
                adam.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
                missed = (statistics.whiten(self.w(heads)) - v).square().mean(1)
                loss = missed + LIKELY * heads.square().mean(1)
                (heads.grad,) = torch.autograd.grad(loss.sum(), heads)
                adam.step()
        return heads.detach()


def padded(values: Float[Tensor, " told"], style: int) -> Float[Tensor, " style"]:
    """z of so many numbers: what is told, nothing after it."""
    return functional.pad(values, (0, style - len(values)))

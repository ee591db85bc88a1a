"""The law of StyleGAN2 latents: mean, spread, and the prior that keeps a search likely."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.stylegan2 import Generator

SAMPLES = 10_000  # published, for the mean latent
CHUNK = 1000  # that many are mapped at once
SLOPE, GAIN = 0.2, 2**0.5  # of the rectifier that w comes out of


@dataclass(frozen=True, eq=False)
class Statistics:
    """The law of w: its mean and spread, and axes along which it is Gaussian, straightened.

    w leaves a leaky rectifier, which bends its law; undone, it is nearly Gaussian. A whitened
    latent v counts deviations along the principal axes of the straightened w: N(0, I) if likely.
    """

    mean: Float[Tensor, " style"]
    radius: Float[Tensor, ""]  # root of the mean squared distance to the mean
    centre: Float[Tensor, " style"]  # mean of the straightened w
    axes: Float[Tensor, "axes style"]  # of the straightened w, one deviation long, longest first

    @classmethod
    def of(cls, w: Float[Tensor, "samples style"]) -> "Statistics":
        """The statistics of samples."""
        mean = w.mean(0)
        radius = (w - mean).square().sum(1).mean().sqrt()
        straight = straightened(w).double()
        centre = straight.mean(0)
        _, lengths, axes = torch.linalg.svd(straight - centre, full_matrices=False)
        scaled = axes * (lengths / max(1, len(w)) ** 0.5)[:, None]
        return cls(mean, radius, centre.to(w.dtype), scaled.to(w.dtype))

    @classmethod
    @torch.no_grad()
    def sampled(cls, generator: Generator, seed: int = 0, samples: int = SAMPLES) -> "Statistics":
        """The statistics of a generator's mapping, from seeded samples."""
        rng = torch.Generator().manual_seed(seed)
        device, found = generator.input.input.device, []
        for start in range(0, samples, CHUNK):
            count = min(CHUNK, samples - start)
            z = torch.randn(count, generator.features, generator=rng)
            found.append(generator.mapping(z.to(device)))
        return cls.of(torch.cat(found))

    @classmethod
    def read(cls, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> "Statistics":
        """From a part of a bundle.

        Raises:
            ValueError: not the tensors that `tensors()` gives.
        """
        wanted = ("mean", "radius", "centre", "axes")
        if missing := [name for name in wanted if name not in tensors]:
            raise ValueError(f"Statistics of latents lack {', '.join(missing)}")
        return cls(*(tensors[name].float() for name in wanted))

    def shortened(self, axes: int) -> "Statistics":
        """The same with the longest axes alone."""
        return Statistics(self.mean, self.radius, self.centre, self.axes[:axes])

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """What `read` reads."""
        return {name: getattr(self, name) for name in ("mean", "radius", "centre", "axes")}

    def to(self, device: torch.device | str) -> "Statistics":
        """The same on a device."""
        return Statistics(*(value.to(device) for value in self.tensors().values()))

    def whiten(self, w: Float[Tensor, "batch style"]) -> Float[Tensor, "batch axes"]:
        """v of w: deviations along each axis; what lies beside all axes is lost."""
        power = self.axes.square().sum(1)
        inverse = torch.where(power > 1e-10 * power.max(), 1 / power, torch.zeros_like(power))
        return (straightened(w) - self.centre) @ (self.axes.T * inverse)

    def unwhiten(self, v: Float[Tensor, "batch axes"]) -> Float[Tensor, "batch style"]:
        """w of v."""
        return bent(self.centre + v @ self.axes)


def straightened(w: Float[Tensor, "*batch style"]) -> Float[Tensor, "*batch style"]:
    """w before the last rectifier of the mapping."""
    return functional.leaky_relu(w / GAIN, 1 / SLOPE)


def bent(x: Float[Tensor, "*batch style"]) -> Float[Tensor, "*batch style"]:
    """The inverse of `straightened`."""
    return GAIN * functional.leaky_relu(x, SLOPE)

"""An encoder for inversion: where in the latent space a picture is, at one glance.

It learns from the generator's own samples, whose latents are known, and from rendered portraits,
whose parameters are, and so the latents of their images. Its last layer is fitted at once in the
end: for a generator that was trained on meanwhile, an older encoder needs little more.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from voicemesh.latent.projection import pixels_of
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.stylegan2 import Generator

from .face_views import Views, scaled, viewed
from .schedules import one_cycle

CHUNK = 16  # images at once
# Of light and sharpness alone: a picture that was moved has other latents.
VIEWS = Views(mirror=False, turn=0.0, zoom=0.0, shift=0.0, light=0.04, blur=0.3, noise=0.02)


@dataclass(frozen=True)
class EncoderRecipe:
    """A small IR-SE net from pictures to whitened latents."""

    units: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (32, 64, 128, 192)
    reduction: int = 8
    axes: int = 192  # of the latents of all portraits
    samples: int = 3000  # of the generator
    portraits: int = 3000  # at most
    steps: int = 300  # 0 fits the last layer alone
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    ridge: tuple[float, ...] = (0.03, 0.3, 3.0)  # of the last layer; the best is kept
    held_out: int = 200  # samples that it is measured on
    seed: int = 0

    def arguments(self, side: int, axes: int) -> dict[str, Any]:
        """Of the net, for pictures of a generator."""
        return {
            "units": list(self.units),
            "widths": list(self.widths),
            "side": side,
            "features": axes,
            "reduction": self.reduction,
            "dropout": 0.0,
            "stem": 2,
        }


@torch.no_grad()
def samples_of(
    generator: Generator, statistics: Statistics, count: int, seed: int
) -> tuple[UInt8[np.ndarray, "count size size 3"], Float[Tensor, "count axes"]]:
    """Images of Gaussian z, and their latents whitened."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.features, generator=rng)
    w = generator.mapping(z.to(generator.input.input.device))
    images = [pixels_of(generator(part)) for part in w.split(CHUNK)]
    return np.concatenate(images), statistics.whiten(w).cpu()


def fit_encoder(
    generator: Generator,
    statistics: Statistics,
    portraits: UInt8[np.ndarray, "pictures size size 3"],
    v: Float[Tensor, "pictures axes"],
    recipe: EncoderRecipe,
    begun: Sequence[nn.Module] = (),
) -> tuple[IrBackbone, dict[str, float]]:
    """The encoder, and the share of the variance of samples' latents that it tells.

    Args:
        portraits: pictures whose whitened latents `v` are known.
        begun: an IR-SE net of the same sizes whose convolutions to begin with, or an older encoder.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    net = IrBackbone(**recipe.arguments(generator.size, v.shape[1]))
    for other in begun:
        begin_as(net, other)
    count = recipe.samples + recipe.held_out
    drawn, known = samples_of(generator, statistics, count, recipe.seed)
    some = rng.permutation(len(portraits))[: recipe.portraits]
    pixels = np.concatenate([drawn[recipe.held_out :], portraits[some]])
    targets = torch.cat([known[recipe.held_out :], v[some]])
    weight = statistics.axes.square().sum(1).cpu().sqrt()  # what moves w far is seen most
    weight = weight / weight.mean()
    if recipe.steps:
        descend(net, pixels, targets, weight, recipe, rng)
    tested = drawn[: recipe.held_out], known[: recipe.held_out]
    nets = [net, *refitted(net, pixels, targets, recipe.ridge)]
    told = [shares(one.half().float().eval(), *tested, weight) for one in nets]  # as it is stored
    best = max(range(len(nets)), key=lambda n: told[n]["told by weight"])
    return nets[best].requires_grad_(False), told[best]


def descend(
    net: IrBackbone,
    pixels: UInt8[np.ndarray, "pictures size size 3"],
    targets: Float[Tensor, "pictures axes"],
    weight: Float[Tensor, " axes"],
    recipe: EncoderRecipe,
    rng: np.random.Generator,
) -> None:
    """Train all layers, each picture in other light."""
    net.to(memory_format=torch.channels_last).train()
    rate, decay = recipe.learning_rate, recipe.weight_decay
    adam, schedule = one_cycle(net.parameters(), recipe.steps, rate, decay)
    for _ in tqdm(range(recipe.steps), desc="encoder", unit="step", disable=None):
        rows = rng.integers(len(pixels), size=recipe.batch_size)
        pictures = viewed(torch.from_numpy(pixels[rows]), VIEWS)
        with torch.autocast("cpu", torch.bfloat16):
            told = net(pictures.contiguous(memory_format=torch.channels_last))
        loss = ((told.float() - targets[rows]).square() @ weight).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        schedule.step()


@torch.no_grad()
def refitted(
    net: IrBackbone,
    pixels: UInt8[np.ndarray, "pictures size size 3"],
    targets: Float[Tensor, "pictures axes"],
    ridges: Sequence[float],
) -> list[IrBackbone]:
    """The same net with its last layer by ridge regression; one net for every ridge."""
    net.eval()
    *before, _, _ = net.output_layer
    found = []
    for part in torch.from_numpy(pixels).split(4 * CHUNK):
        with torch.autocast("cpu", torch.bfloat16):
            maps = net.body(net.input_layer(scaled(part)))
        x = maps.float()
        for layer in before:
            x = layer(x)
        found.append(x)
    x = torch.cat(found)
    middle, target = x.mean(0), targets.mean(0)
    apart = x - middle
    power, axes = torch.linalg.eigh(apart.T @ apart / len(x))
    turned = axes.T @ (apart.T @ (targets - target) / len(x))
    nets = []
    for ridge in ridges:
        other = deepcopy(net)
        *_, last, norm = other.output_layer
        scale = (power.clamp(min=0) + ridge * power.clamp(min=0).mean())[:, None]
        last.weight.copy_((axes @ (turned / scale)).T)
        last.bias.copy_(target - last.weight @ middle)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)  # it changes nothing
        norm.weight.fill_(1.0)
        norm.bias.zero_()
        nets.append(other)
    return nets


@torch.no_grad()
def shares(
    net: IrBackbone,
    pixels: UInt8[np.ndarray, "pictures size size 3"],
    v: Float[Tensor, "pictures axes"],
    weight: Float[Tensor, " axes"],
) -> dict[str, float]:
    """The share of the variance of latents that an encoder tells, plain and by what is seen."""
    parts = torch.from_numpy(pixels).split(4 * CHUNK)
    left = (torch.cat([net(scaled(part)) for part in parts]) - v).square()
    return {
        "told": float(1 - left.mean() / v.square().mean()),
        "told by weight": float(1 - (left @ weight).sum() / (v.square() @ weight).sum()),
    }


def begin_as(net: nn.Module, other: nn.Module) -> None:
    """Take over whatever another net has of the same name and shape."""
    own = net.state_dict()
    fitting = {k: x for k, x in other.state_dict().items() if k in own and x.shape == own[k].shape}
    net.load_state_dict(own | fitting)

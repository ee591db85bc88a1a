"""The mapping of a portrait generator, learnt before its layers: from z to what a picture shows.

Small pictures and their local contrast, as principal components, are read off w by straight lines.
A step needs no convolution, so that hundreds of thousands of portraits a minute tell w of rare
things, bald heads and red hair, which a generator that learns all at once passes over.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from voicemesh.latent.losses import CONTRAST, upsampled
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.stylegan2_half import mapped

from .schedules import one_cycle

SIDE = 32  # of small pictures
BANDS, WINDOW = 3, 8  # of local contrast, in pixels of each band
AT_ONCE = 512
EXACT = 6000  # pictures that the components are taken of, at most


@dataclass(frozen=True)
class MappingRecipe:
    """How long to learn, and what of a picture."""

    steps: int = 6000
    batch_size: int = 256
    components: int = 256
    contrast: float = 12.0  # weight of local contrast against brightness
    flatter: float = 0.25  # power of its variance that a component is divided by
    learning_rate: float = 4e-3
    held_out: float = 0.03  # share of the pictures that it is measured on


@torch.no_grad()
def seen(pixels: UInt8[np.ndarray, "rows size size 3"], contrast: float) -> Float[Tensor, "rows _"]:
    """Small pictures, and beside them how much they vary within windows, band by band."""
    found = []
    for some in torch.from_numpy(pixels).split(AT_ONCE):
        image = some.permute(0, 3, 1, 2).float() / 127.5 - 1
        parts = [functional.adaptive_avg_pool2d(image, SIDE).flatten(1)]
        image = image.mean(1, keepdim=True)
        for _ in range(BANDS):
            if image.shape[2] < 2 * WINDOW:
                break
            small = functional.avg_pool2d(image, 2)
            power = functional.avg_pool2d((image - upsampled(small)).square(), WINDOW)
            parts.append(contrast * (power + CONTRAST**2).sqrt().flatten(1))
            image = small
        found.append(torch.cat(parts, 1))
    return torch.cat(found)


@torch.no_grad()
def components_of(
    values: Float[Tensor, "rows _"], count: int, flatter: float, rng: np.random.Generator
) -> Float[Tensor, "rows {count}"]:
    """Principal components of rows, the long ones shortened, of mean square 1 together."""
    some = values[torch.from_numpy(rng.permutation(len(values))[:EXACT])]
    middle = values.mean(0)
    power, axes = torch.linalg.eigh((some - middle).T @ (some - middle) / len(some))
    scale = power[-count:].clamp(min=1e-12) ** -flatter
    found = (values - middle) @ (axes[:, -count:] * scale)
    return found / found.square().mean().sqrt()


def fit_mapping(
    generator: Generator,
    z: Float32[np.ndarray, "draws rows z"],
    pixels: UInt8[np.ndarray, "rows size size 3"],
    recipe: MappingRecipe,
    seed: int = 0,
) -> float:
    """Train the mapping in place; the share of the components that it tells of held-out rows.

    `z` of every picture may be drawn several times.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    targets = components_of(seen(pixels, recipe.contrast), recipe.components, recipe.flatter, rng)
    padded = functional.pad(torch.from_numpy(z), (0, generator.features - z.shape[2]))
    order = rng.permutation(len(pixels))
    tested, learnt = np.split(order, [max(1, round(recipe.held_out * len(order)))])
    readout = nn.Linear(generator.features, recipe.components)
    trained = [*generator.style.parameters(), *readout.parameters()]
    adam, schedule = one_cycle(iter(trained), recipe.steps, recipe.learning_rate, 0.0)
    for _ in tqdm(range(recipe.steps), desc="mapping", unit="step", disable=None):
        rows = rng.choice(learnt, recipe.batch_size)
        drawn = padded[rng.integers(len(z), size=len(rows)), rows]
        told = readout(mapped(generator.style, drawn))
        loss = functional.smooth_l1_loss(told, targets[rows])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        schedule.step()
    with torch.no_grad():
        told = readout(mapped(generator.style, padded[0, tested]))
        left = (told - targets[tested]).square().mean() / targets[tested].square().mean()
    return float(1 - left)

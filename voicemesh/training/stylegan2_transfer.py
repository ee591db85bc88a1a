"""The layers of one portrait generator under the mapping of another.

A generator of heads at rest knows skin, eyes and strands already. What its latents were is read
off the new ones by straight lines, which join its modulations: the new generator begins with its
images, whatever the pose, and learns the rest.
"""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.stylegan2_half import mapped
from voicemesh.nets.stylegan2_layers import ModulatedConv

from .portrait_law import LAW, ParameterLaw
from .stylegan2_players import NET, generator_of

RIDGE = 0.001  # in the mean variance of a latent


def begin_with(
    generator: Generator,
    law: ParameterLaw,
    older: Path,
    values: Float32[np.ndarray, "rows parameters"],
    resting: Float32[np.ndarray, " parameters"],
) -> float:
    """Give a generator the layers of an anchored run; the share of its latents that is told.

    Args:
        values: parameters of portraits.
        resting: those of anybody's neutral portrait.

    Raises:
        ValueError: the run's generator has other sizes.
    """
    recipe = json.loads((older / "recipe.json").read_text())["recipe"]
    first = generator_of(recipe)
    if (first.widths, first.features) != (generator.widths, generator.features):
        raise ValueError(
            f"The generator of {older} has widths {first.widths} and a style of {first.features},"
            f" this one {generator.widths} and {generator.features}; choose the same"
        )
    first.load_state_dict(load_file(older / NET))
    still, who = values.copy(), len(law.heads[0].knots)
    still[:, who:] = resting[who:]
    past = ParameterLaw.read(Path(recipe["start"]) / LAW)
    known = latents(first, past.z(still))
    told = joined_layers(generator, first, latents(generator, law.z(values)), known)
    return told


@torch.no_grad()
def latents(generator: Generator, z: Float32[np.ndarray, "rows z"]) -> Float[Tensor, "rows style"]:
    """w of whitened parameters, which need no normalisation."""
    rest = generator.features - z.shape[1]
    return mapped(generator.style, functional.pad(torch.from_numpy(z), (0, rest)))


@torch.no_grad()
def joined_layers(
    generator: Generator,
    older: Generator,
    w: Float[Tensor, "rows style"],
    known: Float[Tensor, "rows style"],
) -> float:
    """Take over all layers but the mapping, and tell them `known`, the older latents, of `w`."""
    middle, target = w.mean(0), known.mean(0)
    apart, aside = (w - middle).double(), (known - target).double()
    gram = apart.T @ apart
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    lines = torch.linalg.solve(gram, apart.T @ aside).T.float()
    offset = target - lines @ middle
    layers = {k: v for k, v in older.state_dict().items() if not k.startswith("style.")}
    generator.load_state_dict(layers, strict=False)
    for layer in generator.modules():
        if isinstance(layer, ModulatedConv):
            linear = layer.modulation
            linear.bias += linear.weight @ offset * (linear.scale / linear.rate)
            linear.weight.copy_(linear.weight @ lines)
    left = (known - w @ lines.T - offset).square().mean()
    return float(1 - left / aside.square().mean())

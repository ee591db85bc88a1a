"""From a generator to all that VoiceStyle needs beside it, as parts of a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import (
    IDENTITY,
    STYLEGAN2_ENCODER,
    STYLEGAN2_GENERATOR,
    STYLEGAN2_STATISTICS,
    VOICESTYLE_MEMBERS,
    VOICESTYLE_START,
    VOICESTYLE_STATISTICS,
)
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.latent.heads import Heads, padded
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import Generator
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet, PortraitShard
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.voicestyle import space_of

from .inversion import EncoderRecipe, fit_encoder
from .portrait_law import ParameterLaw, parameters_of
from .runs import LICENCE
from .voicestyle_start import StartRecipe, prepare


@dataclass(frozen=True)
class BesideRecipe:
    """What is fitted beside a generator that is published."""

    people: int = StartRecipe.people  # whose voices the start learns, at most
    members: int = StartRecipe.members  # whose latents are kept
    steps: int = EncoderRecipe.steps  # of the encoder; 0 fits its last layer alone
    samples: int = EncoderRecipe.samples  # of the generator that the encoder learns from
    portraits: int = EncoderRecipe.portraits  # at most, that it learns from as well
    held_out: int = EncoderRecipe.held_out  # samples that it is measured on

    def start(self) -> StartRecipe:
        """How the start is fitted."""
        return StartRecipe(people=self.people, members=self.members)

    def encoder(self) -> EncoderRecipe:
        """How the encoder of pictures is fitted."""
        names = ("steps", "samples", "portraits", "held_out")
        return EncoderRecipe(**{name: getattr(self, name) for name in names})


BESIDE = BesideRecipe()
START_RECIPE, ENCODER_RECIPE = BESIDE.start(), BESIDE.encoder()


def publish_generator(
    generator: Generator,
    law: ParameterLaw | None,
    results: Mapping[str, float],
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    recipe: StartRecipe = START_RECIPE,
    encoding: EncoderRecipe | None = ENCODER_RECIPE,
) -> str:
    """Write a generator and its statistics; with CMPC's nets and a law, all of VoiceStyle.

    `encoding` also fits an encoder for inversion, which begins with the identity network of the
    source if there is one.
    """
    generator = generator.eval().requires_grad_(False)
    portraits = PortraitSet.open(population.folder / f"portraits-{generator.size}", partial=True)
    shard = portraits.gathered("train")
    about = {
        "licence": LICENCE,
        "training": f"rendered portraits of {len(np.unique(shard.identity))} synthetic people",
    }
    arguments, told = arguments_of(generator), {}
    writer.net(STYLEGAN2_GENERATOR, generator, arguments, half=True, results=dict(results), **about)
    if law is None:
        writer.tensors(STYLEGAN2_STATISTICS, Statistics.sampled(generator).tensors(), **about)
        unknown = "nothing is known of its z, so no voice has a start"
        return f"{STYLEGAN2_GENERATOR}: {dict(results)}; {unknown}"
    axes = recipe.axes if encoding is None else encoding.axes
    every = latents_of(generator, torch.from_numpy(law.z(parameters_of(shard))))
    overall = Statistics.of(every).shortened(axes)
    writer.tensors(STYLEGAN2_STATISTICS, overall.tensors(), **about)
    resting = np.flatnonzero(shard.picture == 0)
    w, people = every[torch.from_numpy(resting)], shard.identity[resting]
    statistics = Statistics.of(w).shortened(recipe.axes)
    heads = heads_of(generator, law, shard.rows(resting[:1]))
    writer.tensors(VOICESTYLE_STATISTICS, {**statistics.tensors(), **heads.tensors()}, **about)
    if set(Cmpc.parts) <= set(source.parts):
        space = space_of(source)
        start, members, told = prepare(generator, statistics, space, population, w, people, recipe)
        writer.net(VOICESTYLE_START, start, arguments_of(start), results=told, **about)
        writer.tensors(VOICESTYLE_MEMBERS, members.tensors(), **about)
    if encoding is not None:
        told |= write_encoder(
            generator, overall, shard.pixels, every, source, writer, encoding, about
        )
    made = f"{VOICESTYLE_START}, {STYLEGAN2_ENCODER}"
    return f"{STYLEGAN2_GENERATOR}: {dict(results)}\n{made}: {told}"


def heads_of(generator: Generator, law: ParameterLaw, resting: PortraitShard) -> Heads:
    """Which numbers of z are a head's, and the others as of anybody's neutral portrait."""
    told = torch.from_numpy(law.z(parameters_of(resting))[0])
    told[: law.sitting_from] = 0
    free = torch.arange(generator.features) < law.sitting_from
    return Heads(generator.style, free, padded(told, generator.features))


@torch.no_grad()
def latents_of(generator: Generator, z: Float[Tensor, "people z"]) -> Float[Tensor, "people style"]:
    """The latents of whitened parameters."""
    padded = functional.pad(z, (0, generator.features - z.shape[1]))
    return generator.style[1:](padded)  # z is white without its idle rest: not to be normalised


def write_encoder(
    generator: Generator,
    statistics: Statistics,
    pixels: UInt8[np.ndarray, "pictures size size 3"],
    w: Float[Tensor, "pictures style"],
    source: Bundle,
    writer: BundleWriter,
    recipe: EncoderRecipe,
    about: Mapping[str, Any],
) -> dict[str, float]:
    """Fit and write the encoder; what it tells of held-out samples."""
    begun = [source.net(part) for part in (IDENTITY, STYLEGAN2_ENCODER) if part in source.parts]
    v = statistics.whiten(w)
    net, told = fit_encoder(generator, statistics, pixels, v, recipe, begun)
    arguments = recipe.arguments(generator.size, v.shape[1])
    writer.net(STYLEGAN2_ENCODER, net, arguments, half=True, results=told, **about)
    return {f"latents {name}": value for name, value in told.items()}

"""Images without a voice, which those for voices are compared with."""

import numpy as np
import torch
from jaxtyping import UInt8

from voicemesh.latent.projection import pixels_of
from voicemesh.population.portrait_set import PortraitShard
from voicemesh.systems.voicestyle import VoiceStyle

AT_ONCE = 20  # images
Portraits = UInt8[np.ndarray, "_ size size 3"]


@torch.no_grad()
def mean_face(system: VoiceStyle) -> UInt8[np.ndarray, "1 size size 3"]:
    """The image of the mean latent: what is shown to everyone if a voice tells nothing."""
    return pixels_of(system.images(system.statistics.mean[None]))


@torch.no_grad()
def samples_of(system: VoiceStyle, count: int, seed: int) -> Portraits:
    """Images of latents drawn from their law."""
    rng = torch.Generator().manual_seed(seed)
    v = torch.randn(count, len(system.statistics.axes), generator=rng)
    parts = v.to(system.statistics.mean.device).split(AT_ONCE)
    return np.concatenate(
        [pixels_of(system.images(system.statistics.unwhiten(part))) for part in parts]
    )


@torch.no_grad()
def drawn_images(system: VoiceStyle, count: int, seed: int) -> Portraits:
    """Images of Gaussian z, as the generator was trained to make them."""
    generator, rng = system.generator, torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.features, generator=rng)
    parts = generator.mapping(z.to(system.statistics.mean.device)).split(AT_ONCE)
    return np.concatenate([pixels_of(system.images(part)) for part in parts])


def varied_pictures(shard: PortraitShard, count: int) -> Portraits:
    """Pictures that are not the first of anybody; first ones if there are no others."""
    rows = np.flatnonzero(shard.picture)
    return shard.pixels[rows[:count] if len(rows) else slice(count)]

"""Noise maps of strands: streaks that flow as hair does, in the place of grains.

Where pictures have fine edges they mostly run one way: down at the sides of a head, outwards at
its crown. Gaussian noise that is smeared along these ways is what a generator makes hair of.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.nets.stylegan2 import Generator

FINE = 64  # side from which maps are of strands
REACH = 6  # pixels that a streak goes on both ways, where maps are of 128
BROAD = 7  # pixels that ways are averaged over
FAINT, STRONG = 0.01, 0.12  # edges that count: outlines of heads are stronger
HEARD = 0.02  # what a map of strands counts at least


@torch.no_grad()
def ways(pictures: Float[Tensor, "pictures 3 size size"]) -> Float[Tensor, "1 2 size size"]:
    """Unit vectors (right, down) along the fine edges of pictures, on average, place by place."""
    grey = pictures.mean(1, keepdim=True)
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    right = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    power = right.square() + down.square()
    spread = torch.cat([right.square() - down.square(), 2 * right * down], 1)
    spread = spread / power.clamp(min=1e-6) * ((power > FAINT**2) & (power < STRONG**2))
    mean = functional.avg_pool2d(spread.mean(0, keepdim=True), BROAD, 1, BROAD // 2)
    angle = torch.atan2(mean[:, 1], mean[:, 0]) / 2 + torch.pi / 2  # along, not across
    return torch.stack([angle.cos(), angle.sin()], 1)


@torch.no_grad()
def smeared(
    noise: Float[Tensor, "1 1 size size"], way: Float[Tensor, "1 2 size size"], reach: int
) -> Float[Tensor, "1 1 size size"]:
    """Noise averaged along the ways, of mean 0 and deviation 1."""
    side = noise.shape[2]
    middle = (torch.arange(side) + 0.5) * 2 / side - 1
    here = torch.stack(torch.meshgrid(middle, middle, indexing="xy"))[None]
    total = noise.clone()
    for sign in (-1.0, 1.0):
        place, heading = here.clone(), sign * way
        for _ in range(reach):
            place = place + heading * 2 / side
            grid = place.permute(0, 2, 3, 1)
            seen = {"padding_mode": "reflection", "align_corners": False}
            total += functional.grid_sample(noise, grid, **seen)
            following = functional.grid_sample(way, grid, **seen)
            turned = (following * heading).sum(1, keepdim=True).sign()  # a way has no front
            heading = torch.where(turned < 0, -following, following)
    return (total - total.mean()) / total.std()


@torch.no_grad()
def begin_strands(generator: Generator, pictures: Float[Tensor, "pictures 3 size size"]) -> None:
    """Smear the generator's fine noise maps as hair flows in these pictures."""
    layers = [generator.conv1, *generator.convs]
    for layer, noise in zip(layers, generator.stored_noise(), strict=True):
        side = noise.shape[2]
        if side < FINE:
            continue
        way = functional.normalize(functional.interpolate(ways(pictures), (side, side)), dim=1)
        noise.copy_(smeared(noise, way, max(2, REACH * side // 128)))
        if layer.noise.weight.abs() < HEARD:
            layer.noise.weight.fill_(HEARD)


def learn_maps(generator: Generator) -> None:
    """Make the noise maps weights of a generator, which are learnt; their names stay."""
    for name, value in list(generator.noises.named_buffers()):
        delattr(generator.noises, name)
        generator.noises.register_parameter(name, nn.Parameter(value))

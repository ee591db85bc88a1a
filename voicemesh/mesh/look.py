"""The look of a head, which no voice tells: skin, eyes, hair, and their colours from paint."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

# What a model's paint may hold, one number per vertex: `blood` and `melanin` are relative (0.5 is
# half as much again), the others are coverage in [0, 1].
PAINT_CHANNELS = (
    "blood",
    "melanin",
    "lips",
    "beard",
    "scalp",
    "brows",
    "lashes",
    "sclera",
    "iris",
    "pupil",
    "mouth",
    "shade",  # occlusion baked in: nostrils, the inner ear, under the lids
)

# Closed form of a two-layer skin model, linear sRGB: rows are 1, m, m^2, sqrt(b), m sqrt(b);
# largest error .007 for melanin m in [.02, 1.2] and blood b in [.003, .02].
SKIN = (
    (0.343, 0.305, 0.498),
    (2.053, 2.738, 3.784),
    (-0.354, -0.600, -1.165),
    (1.631, 5.096, 5.597),
    (-0.578, -2.262, -3.954),
)
IRIS_STOPS = (0.0, 0.35, 0.7, 1.0)  # iris melanin; linear-RGB at each stop below
IRIS_COLOURS = ((0.15, 0.25, 0.36), (0.16, 0.19, 0.10), (0.17, 0.08, 0.03), (0.05, 0.024, 0.012))
EUMELANIN = (0.419, 0.697, 1.37)  # absorption per channel (d'Eon et al. 2011)
PHEOMELANIN = (0.187, 0.4, 1.05)
HAIR_DEPTH = 8.0
HAIR_MIXING, HAIR_ALBEDO, HAIR_GLOSS = 0.4, 0.55, 0.006  # set by eye
LUMINANCE = (0.2126, 0.7152, 0.0722)
GREY_HAIR = (0.36, 0.35, 0.33)
SCLERA = (0.56, 0.525, 0.50)
PUPIL = (0.006, 0.006, 0.006)
MOUTH = (0.10, 0.025, 0.022)


@dataclass(frozen=True)
class Look:
    """Appearance that is set, never predicted: the defaults are a neutral middle.

    Melanin is an optical depth in [.02, 1.2], blood a fraction of the dermis in [.003, .02];
    the others are shares in [0, 1].
    """

    melanin: float = 0.22
    blood: float = 0.013  # a face is ruddier than a forearm
    iris: float = 0.6
    eumelanin: float = 0.8
    pheomelanin: float = 0.15
    grey: float = 0.0
    beard: float = 0.0
    scalp: float = 1.0


def skin(melanin: Float[Tensor, "*n"], blood: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3"]:
    """Skin colour in linear sRGB from melanin depth and blood fraction."""
    root = blood.clamp(0.001, 0.06).sqrt()
    m = melanin.clamp(0.01, 1.4)
    terms = torch.stack([torch.ones_like(m), m, m * m, root, m * root], -1)
    return (-(terms @ terms.new_tensor(SKIN))).exp().clamp(0, 1)


def hair(look: Look) -> Float[Tensor, "3"]:
    """Hair colour in linear sRGB."""
    absorbed = look.eumelanin * torch.tensor(EUMELANIN)
    absorbed = absorbed + look.pheomelanin * torch.tensor(PHEOMELANIN)
    passed = (-HAIR_DEPTH * absorbed).exp()
    # Light crosses many strands or few: the mixture is less saturated than a single path.
    mixed = (1 - HAIR_MIXING) * passed + HAIR_MIXING * (passed * torch.tensor(LUMINANCE)).sum()
    natural = HAIR_ALBEDO * mixed + HAIR_GLOSS
    return natural * (1 - look.grey) + torch.tensor(GREY_HAIR) * look.grey


def iris(look: Look) -> Float[Tensor, "3"]:
    """Iris colour in linear sRGB, blended between measured stops."""
    at = min(max(look.iris, 0.0), 1.0)
    upper = next(i for i in range(1, len(IRIS_STOPS)) if at <= IRIS_STOPS[i])
    below, above = IRIS_STOPS[upper - 1], IRIS_STOPS[upper]
    share = (at - below) / (above - below)
    colours = torch.tensor(IRIS_COLOURS)
    return colours[upper - 1] * (1 - share) + colours[upper] * share


def srgb(linear: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Linear light in [0, 1] to display values in [0, 1]."""
    linear = linear.clamp(0, 1)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def paint(channels: Mapping[str, Float[Tensor, " v"]], look: Look) -> Float[Tensor, "v 3"]:
    """Vertex colours in sRGB [0, 1]: skin first, then what lies over it, hair last."""
    unknown = sorted(set(channels) - set(PAINT_CHANNELS))
    if unknown:
        raise ValueError(f"Unknown paint {', '.join(unknown)}; known: {', '.join(PAINT_CHANNELS)}")
    nothing = torch.zeros_like(next(iter(channels.values())))
    layer = {name: channels.get(name, nothing) for name in PAINT_CHANNELS}
    lips = layer["lips"].clamp(0, 1)
    melanin = look.melanin * (1 + layer["melanin"]) * (1 - 0.3 * lips)
    colour = skin(melanin, look.blood * (1 + layer["blood"]).clamp(min=0) * (1 + 5 * lips))

    def cover(name: str, over: Float[Tensor, "*v 3"], strength: float = 1.0) -> None:
        nonlocal colour
        share = (layer[name] * strength).clamp(0, 1)[:, None]
        colour = colour * (1 - share) + over.to(colour) * share

    strands = hair(look)
    # A shaved beard is a cool veil over the skin rather than hair.
    cover("beard", colour * colour.new_tensor([0.62, 0.68, 0.74]), min(look.beard, 0.5) * 1.6)
    cover("beard", strands, max(look.beard - 0.5, 0.0) * 2)
    cover("mouth", torch.tensor(MOUTH))
    cover("sclera", torch.tensor(SCLERA))
    cover("iris", iris(look))
    cover("pupil", torch.tensor(PUPIL))
    cover("scalp", strands, look.scalp)
    cover("brows", hair(replace(look, grey=0.5 * look.grey)) * 0.7, 0.9)  # they grey late
    cover("lashes", strands * 0.3)
    return srgb(colour * (1 - layer["shade"].clamp(0, 1))[:, None])

"""A generator of more channels that begins with the images of a narrower one."""

import torch

from voicemesh.nets.stylegan2 import Generator

NEW_MODULATION = 0.1  # share of the usual modulation that channels begin with


@torch.no_grad()
def widened(generator: Generator, older: Generator) -> None:
    """Begin with the images of a narrower generator: its channels first, new ones unheard.

    Raises:
        ValueError: the generator has fewer channels somewhere, or other styles.
    """
    narrow = [a < b for a, b in zip(generator.widths, older.widths, strict=True)]
    if any(narrow) or generator.features != older.features:
        raise ValueError(
            f"A generator of widths {older.widths} and a style of {older.features} does not fit"
            f" into one of {generator.widths} and {generator.features}; choose wider ones"
        )
    held = older.state_dict()
    for name, value in generator.state_dict().items():
        known = held[name]
        if name.endswith("conv.weight"):
            _, after, before = known.shape[:3]
            value[:, :after] = 0  # what was there before hears nothing new
            if name.startswith("to_rgb"):  # nothing brings these back to variance 1
                known = known * (value.shape[2] / before) ** 0.5
            value[:, :after, :before] = known
        else:
            if name.endswith("modulation.weight"):
                value *= NEW_MODULATION
            value[tuple(map(slice, known.shape))] = known

"""Half precision of images and of what looks at them; latents, losses and steps stay float32."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.stylegan2_half import half_images

NAMES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Gradients of images are small; in float16 many would be zero. Adam's steps know no scale.
FLOAT16_SCALE = 1024.0


def usual(device: torch.device | str) -> torch.dtype | None:
    """What is fastest on a device: half precision on a GPU, and on a CPU that knows bfloat16.

    Measured by `benchmarks/stylegan2.py --half`: images look the same.
    """
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    known = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if known and torch.device(device).type == "cpu" else None


def named(name: str, device: torch.device | str = "cpu") -> torch.dtype | None:
    """A precision by its name; "usual" is that of the device.

    Raises:
        ValueError: there is none of this name.
    """
    if name == "usual":
        return usual(device)
    if name not in NAMES:
        raise ValueError(f"No precision {name!r}; there are usual, {', '.join(NAMES)}")
    return NAMES[name]


def lowered(device: torch.device, half: torch.dtype | None) -> AbstractContextManager:
    """Products and convolutions inside in half precision; as they are if none is given."""
    return nullcontext() if half is None else torch.autocast(device.type, half)


def rendered(
    generator: Generator,
    w: Float[Tensor, "batch style"] | Float[Tensor, "batch layers style"],
    noise: Sequence[Float[Tensor, "_ 1 _ _"]] | None,
    half: torch.dtype | None,
) -> Float[Tensor, "batch 3 size size"]:
    """Images of latents in a precision, as float32; the net's own noise maps if none are given."""
    if half is not None and noise is None and w.ndim == 2 and w.device.type == "cpu":
        return half_images(generator, w, dtype=half)
    with lowered(w.device, half):
        return generator(w, noise).float()


def loss_scale(half: torch.dtype | None) -> float:
    """What to multiply a loss by before it is differentiated."""
    return FLOAT16_SCALE if half == torch.float16 else 1.0

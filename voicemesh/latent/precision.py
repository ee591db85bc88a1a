"""Half precision of images and of what looks at them; latents, losses and steps stay float32."""

from contextlib import AbstractContextManager, nullcontext

import torch

NAMES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Gradients of images are small; in float16 many would be zero. Adam's steps know no scale.
FLOAT16_SCALE = 1024.0


def usual(device: torch.device | str) -> torch.dtype | None:
    """What serves on a device: half precision on a GPU, none on a CPU, where it gains nothing.

    Measured with the embedded generator: benchmarks/stylegan2.py --half.
    """
    if torch.device(device).type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


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


def loss_scale(half: torch.dtype | None) -> float:
    """What to multiply a loss by before it is differentiated."""
    return FLOAT16_SCALE if half == torch.float16 else 1.0

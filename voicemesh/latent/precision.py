"""Half precision of images and of what looks at them; latents, losses and steps stay float32."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from voicemesh.nets import devices
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.stylegan2_half import half_images

NAMES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Gradients of images are small; in float16 many would be zero.
FLOAT16_SCALE = 1024.0


def usual(device: torch.device | str) -> torch.dtype | None:
    """What is fastest on a device: half precision on a GPU, and on a CPU that knows bfloat16.

    GPUs before Ampere take float16, since they only pretend to know bfloat16.

    Measured by `benchmarks/stylegan2.py --half`: images look the same.
    """
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if devices.knows_bfloat16(device) else torch.float16
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


class Descent:
    """Adam on float32 leaves, one image a row, under losses whose nets run in half precision.

    Losses are scaled before they are differentiated and gradients scaled back, so that float16
    does not round small ones to zero. Where a large one overflows, its image stays where it is
    for a step and the scale is halved.
    """

    def __init__(self, adam: torch.optim.Optimizer, half: torch.dtype | None) -> None:
        self.adam, self.scale = adam, FLOAT16_SCALE if half == torch.float16 else 1.0
        self._narrow = half == torch.float16

    def step(self, loss: Float[Tensor, ""]) -> None:
        """One step down."""
        self.adam.zero_grad(set_to_none=True)
        if not self._narrow:
            loss.backward()
        else:
            (self.scale * loss).backward()
            leaves = [p for group in self.adam.param_groups for p in group["params"]]
            gradients = [p.grad for p in leaves if p.grad is not None]
            known = torch.stack([g.flatten(1).isfinite().all(1) for g in gradients]).all(0)
            for gradient in gradients:
                gradient.div_(self.scale)
                gradient[~known] = 0
            if not known.all():
                self.scale = max(1.0, self.scale / 2)
        self.adam.step()

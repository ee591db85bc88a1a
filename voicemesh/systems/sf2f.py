"""SF2F: a recording to a face image (Bai et al.), and voice2face before it (Wen et al. 2019)."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def stretched(
    image: Float[Tensor, "batch 3 height width"],
) -> UInt8[Tensor, "batch 3 height width"]:
    """Bytes of voice2face's images: the darkest value of each becomes 0, the brightest 255."""
    held = image.clamp(-1, 1)
    low, high = (edge(held.flatten(1), 1)[:, None, None, None] for edge in (torch.amin, torch.amax))
    share = (held - low) / (high - low).clamp(min=torch.finfo(held.dtype).tiny)
    return (share * 255 + 0.5).to(torch.uint8)

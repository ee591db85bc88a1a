"""What kernels of `log_mel` multiply with: numbers as two float16, in blocks as they are read."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from .log_mel import MelSettings, hamming, mel_weights

TABLE, HEIGHT = 256.0, 1024.0  # scales that keep low parts out of float16's subnormals


@lru_cache(maxsize=16)
def tables(
    settings: MelSettings, bins: int, taps: int, mels: int, device: torch.device
) -> tuple[Float16[Tensor, "blocks steps 4 taps bins"], Float16[Tensor, "blocks 2 mels bins"]]:
    """Folded bases times the window, and mel weights of the bins that filters use.

    Blocks as they are read, filled with zeros; numbers are high and low parts.
    """
    weights = mel_weights(settings)
    rows = weights.any(1).nonzero()[0]
    used = np.arange(rows[0], rows[-1] + 1)
    ahead = np.arange(settings.window // 2, settings.window)
    angles = 2 * np.pi / settings.fft * np.outer(ahead - (settings.window - 1) / 2, used)
    bases = TABLE * hamming(settings)[ahead, None] * np.stack([np.cos(angles), np.sin(angles)])
    if settings.window % 2:
        bases[0, 0] /= 2  # the middle of an odd window is its own mirror image
    behind = -len(used) % bins
    filled = np.pad(bases, ((0, 0), (0, -len(ahead) % taps), (0, behind)))
    folded = _parts(filled).flatten(0, 1).unflatten(2, (-1, bins)).unflatten(1, (-1, taps))
    heights = np.pad(HEIGHT * weights[used].T, ((0, mels - settings.mels), (0, behind)))
    both = _parts(heights[None])[0].unflatten(2, (-1, bins)).permute(2, 0, 1, 3)
    folded = folded.permute(3, 1, 0, 2, 4).contiguous().to(device)
    return folded, both.contiguous().to(device)


def _parts(values: Float[np.ndarray, "n rows bins"]) -> Float16[Tensor, "n 2 rows bins"]:
    """What float16 holds of numbers, and what it holds of the rest."""
    whole = torch.from_numpy(values)
    high = whole.half()
    return torch.stack([high, (whole - high.double()).half()], 1)

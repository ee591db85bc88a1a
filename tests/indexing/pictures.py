"""Pictures for tests: blurred colours, no two alike."""

import numpy as np
from PIL import Image


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    return np.asarray(coarse.resize((40 + seed, 50), Image.Resampling.BICUBIC))

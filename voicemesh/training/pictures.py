"""Pictures without anything known of them: a population's portraits, or a folder of photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from voicemesh import images
from voicemesh.population.portrait_set import PortraitSet

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Square pictures of one size: in memory, or files that are read when they are drawn."""

    size: int
    held: UInt8[np.ndarray, "pictures size size 3"] | None = None
    files: Sequence[Path] = ()

    @classmethod
    def open(cls, folder: Path, size: int) -> "Pictures":
        """The portraits of a population in this size, else all photographs under the folder.

        Raises:
            ValueError: there are neither.
        """
        portraits = folder / f"portraits-{size}"
        if portraits.is_dir():
            held = PortraitSet.open(portraits, partial=True).gathered("train").pixels
            return cls(size, held)
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not files:
            raise ValueError(
                f"{folder} has no portraits of {size} pixels and no photographs"
                f" ({', '.join(SUFFIXES)})"
            )
        return cls(size, None, files)

    def __len__(self) -> int:
        return len(self.files) if self.held is None else len(self.held)

    def draw(
        self, count: int, rng: np.random.Generator, flips: bool = False
    ) -> Float[Tensor, "count 3 size size"]:
        """Random ones in [-1, 1]; with `flips` half of them are mirrored."""
        rows = rng.integers(len(self), size=count)
        if self.held is None:
            chosen = np.stack([read_square(self.files[row], self.size) for row in rows])
        else:
            chosen = self.held[rows]
        if flips:
            mirrored = rng.random(count) < 0.5
            chosen = np.where(mirrored[:, None, None, None], chosen[:, :, ::-1], chosen)
        pixels = torch.from_numpy(np.ascontiguousarray(chosen)).permute(0, 3, 1, 2)
        return pixels.float() / images.MIDDLE - 1


def read_square(path: Path, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The middle of a photograph, scaled by Lanczos as published."""
    from PIL import Image

    middle = Image.fromarray(images.middle(images.read(path)))
    return np.asarray(middle.resize((size, size), Image.Resampling.LANCZOS))

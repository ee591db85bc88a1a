"""Pictures to tell real faces by: a population's portraits, or a folder of photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh import images
from voicemesh.population.portrait_set import PortraitSet

from .portrait_law import chosen, mixed_rows

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Square pictures of one size: in memory, or files that are read when they are drawn."""

    size: int
    held: UInt8[np.ndarray, "pictures size size 3"] | None = None
    files: Sequence[Path] = ()
    # Of portraits alone: whitened parameters, drawn several times; how many of them are the
    # head's, not the sitting's; which portraits are neutral, and their share of what is drawn.
    z: Float32[np.ndarray, "draws pictures z"] | None = None
    head: int = 0
    neutral: Bool[np.ndarray, " pictures"] | None = None
    resting: float = 0.0

    @classmethod
    def open(cls, folder: Path, size: int, neutral: bool = False) -> "Pictures":
        """The portraits of a population in this size, else all photographs under the folder.

        Args:
            neutral: only portraits, those at rest and in neutral light.

        Raises:
            ValueError: there are neither, or no portraits although they are to be neutral.
        """
        portraits = folder / f"portraits-{size}"
        if portraits.is_dir():
            shard = chosen(PortraitSet.open(portraits, partial=True), "train", neutral)
            return cls(size, shard.pixels)
        if neutral:
            raise ValueError(f"{folder} has no portraits of {size} pixels; `picture` takes some")
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
        return self.of(rng.integers(len(self), size=count), rng, flips)

    def draw_known(
        self, count: int, rng: np.random.Generator, style: int, loose: int = 0
    ) -> tuple[Float[Tensor, "count 3 size size"], Float[Tensor, "count style"]]:
        """Random portraits and for each a whole z: its own, and a meaningless random rest.

        The rest makes up the length that the mapping's normalisation wants, so that it leaves the
        parameters as they are. The last `loose` z are of nobody: Gaussian heads, of which as many
        sit neutrally as of the portraits.
        """
        assert self.z is not None
        neutral = np.zeros(len(self), bool) if self.neutral is None else self.neutral
        rows = mixed_rows(neutral, count, self.resting, rng)
        known = self.z[rng.integers(len(self.z)), rows]
        chance = rng.standard_normal(known.shape)
        chance[:, self.head :] = np.where(
            neutral[rows, None], known[:, self.head :], chance[:, self.head :]
        )
        free = rng.permutation(count)[:loose]
        known[free] = chance[free]
        order = np.concatenate([np.setdiff1d(np.arange(count), free), free])
        kept = torch.from_numpy(known[order]).float()
        rest = torch.from_numpy(rng.standard_normal((count, style - kept.shape[1]))).float()
        length = (style - kept.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
        whole = torch.cat([kept, functional.normalize(rest) * length], 1)
        return self.of(rows[order], rng, False), whole

    def of(
        self, rows: Int64[np.ndarray, " count"], rng: np.random.Generator, flips: bool
    ) -> Float[Tensor, "count 3 size size"]:
        """These pictures in [-1, 1]."""
        if self.held is None:
            pixels = np.stack([read_square(self.files[row], self.size) for row in rows])
        else:
            pixels = self.held[rows]
        if flips:
            mirrored = rng.random(len(rows)) < 0.5
            pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
        moved = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        return moved.float() / images.MIDDLE - 1


def read_square(path: Path, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The middle of a photograph, scaled by Lanczos as published."""
    from PIL import Image

    middle = Image.fromarray(images.middle(images.read(path)))
    return np.asarray(middle.resize((size, size), Image.Resampling.LANCZOS))

"""Published files: found in a folder however they were unpacked, and what they make."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Shaped
from torch import Tensor, nn

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.whole_files import sha256_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Converted:
    """What one or several published files make: a part of a bundle."""

    content: nn.Module | MorphableModel | Mapping[str, Shaped[Tensor, "..."]]
    files: tuple[Path, ...]

    @property
    def source(self) -> str:
        """Names and digests of the files."""
        return "; ".join(f"{file.name}, sha256 {sha256_of(file)}" for file in self.files)


def first(folder: Path, patterns: Sequence[str]) -> Path | None:
    """The first file by any of these names, however deep it lies."""
    for pattern in patterns:
        for file in sorted(folder.rglob(pattern)):
            if file.is_file():
                return file
    return None


def tell_missing(
    folder: Path, parts: Iterable[str], consequences: Sequence[tuple[str, str]]
) -> None:
    """Log what a folder does not make, each with what follows of it."""
    there = set(parts)
    for part, consequence in consequences:
        if part not in there:
            log.info("%s makes no %s: %s", folder, part, consequence)

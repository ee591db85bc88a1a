"""Heads beside each other: two voices, a voice and a photograph, recordings of one voice."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from voicemesh.mesh.comparison import brought_together, outward, parts_of
from voicemesh.mesh.morphable import FaceMesh, MorphableModel

from .plain import rounded, write_report
from .portrait import Portrait

LOOSE = ("Ears", "Skull")  # parts by which heads are not brought together


@dataclass(frozen=True)
class Part:
    """How far apart a part of two heads is, in mm."""

    name: str
    distance: float  # mean over its vertices
    outward: float  # mean along the first one's surface; negative where the second lies inside


@dataclass(frozen=True)
class Difference:
    """A length of two heads, in mm."""

    label: str
    first: float
    second: float


@dataclass(frozen=True)
class Usual:
    """A distance of two heads beside those that are usual."""

    same: float  # share of pairs of recordings of one voice that are closer
    other: float  # share of pairs of two voices of one sex that are closer


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two resting heads, the second turned and moved onto the first."""

    first: FaceMesh
    second: FaceMesh
    outward: Float32[np.ndarray, " v"]  # mm that the second stands out of the first's surface
    parts: tuple[Part, ...]
    lengths: tuple[Difference, ...]
    distance: float  # mm, root mean square over the vertices, before they were brought together
    usual: Usual | None = None

    def __repr__(self) -> str:
        return f"Comparison({self.distance:.2f} mm apart)"

    def report(self) -> dict[str, Any]:
        """All but the meshes, as plain data."""
        return rounded(
            {
                "distance_mm": self.distance,
                "usual": self.usual and asdict(self.usual),
                "parts_mm": [asdict(part) for part in self.parts],
                "lengths_mm": [asdict(length) for length in self.lengths],
            }
        )


@dataclass(frozen=True, eq=False)
class Several:
    """Several recordings of one voice: one portrait of all, and how well they agree."""

    each: tuple[Portrait, ...]
    fused: Portrait
    apart: Float32[np.ndarray, " v"]  # mm, root mean square from their mean
    distances: tuple[float, ...]  # mm of each recording's mesh from their mean
    between: float  # mm, mean over the pairs of recordings
    narrower: float | None  # mean share that the intervals of lengths lost
    usual: Usual | None = None

    def __repr__(self) -> str:
        return f"Several({len(self.each)} recordings, {self.between:.2f} mm apart: {self.fused!r})"

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write what a portrait writes, of all recordings together; the paths by suffix."""
        paths = self.fused.save(folder)
        write_report(paths["json"], self.report())
        return paths

    def report(self) -> dict[str, Any]:
        """The fused portrait's report, and the agreement."""
        agreement = {
            "recordings": [portrait.recording.name for portrait in self.each],
            "distances_mm": list(self.distances),
            "between_mm": self.between,
            "intervals_narrower_by": self.narrower,
            "usual": self.usual and asdict(self.usual),
        }
        return self.fused.report() | {"agreement": rounded(agreement)}


def compared(
    model: MorphableModel,
    first: Float[Tensor, " s"],
    second: Float[Tensor, " s"],
    labels: Sequence[str],
    parts: dict[str, Int64[Tensor, " _"]] | None = None,
) -> Comparison:
    """The resting heads of two sets of shape parameters; `labels` name the model's measures."""
    parts = parts_of(model) if parts is None else parts
    a, b = model.vertices(first), model.vertices(second)
    held = [vertices for name, vertices in parts.items() if name not in LOOSE]
    by = torch.cat(held) if held else torch.arange(len(a), device=a.device)
    onto = brought_together(b, a, by)
    away, distance = outward(onto, a, model.triangles), (onto - a).norm(dim=1)
    lengths = zip(labels, model.measure(a).tolist(), model.measure(b).tolist(), strict=True)
    moved = model.mesh(second)
    return Comparison(
        first=model.mesh(first),
        second=replace(moved, vertices=onto.cpu().numpy().astype(np.float32)),
        outward=away.cpu().numpy().astype(np.float32),
        parts=tuple(
            Part(name, float(distance[at].mean()), float(away[at].mean()))
            for name, at in parts.items()
        ),
        lengths=tuple(Difference(*row) for row in lengths),
        distance=float((a - b).square().sum(1).mean().sqrt()),
    )


def usual(distance: float, known: dict[str, Tensor]) -> Usual | None:
    """A distance in mm among those of "cmp-repeats"; None where the bundle does not know them."""
    if not {"same_distance", "other_distance"} <= known.keys():
        return None

    def below(quantiles: Float[Tensor, " q"]) -> float:
        values = quantiles.cpu().numpy()
        return float(np.interp(distance, values, np.linspace(0, 1, len(values))))

    return Usual(below(known["same_distance"]), below(known["other_distance"]))

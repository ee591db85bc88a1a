"""A linear morphable head: whitened parameters to vertices, lengths, colours."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64, Shaped
from torch import Tensor

from .look import Look, paint, skin, srgb


@dataclass(frozen=True)
class Measure:
    """A length on the surface: a polyline through vertices, in millimetres. Two are a distance."""

    vertices: tuple[int, ...]
    closed: bool = False
    label: str = ""

    def segments(self) -> list[tuple[int, int]]:
        """Pairs of vertices whose distances add up to the length."""
        ends = self.vertices[1:] + (self.vertices[:1] if self.closed else ())
        return list(zip(self.vertices, ends, strict=False))


@dataclass(frozen=True, eq=False)
class FaceMesh:
    """One face: millimetres, +x the subject's left, +y up, +z forward; triangles face outward."""

    vertices: Float32[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]
    colours: Float32[np.ndarray, "v 3"]  # sRGB in [0, 1]
    landmarks: Int64[np.ndarray, "68"]  # vertex indices

    def __repr__(self) -> str:
        return f"FaceMesh({len(self.vertices)} vertices, {len(self.triangles)} triangles)"


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """Mean + shape + expression; parameters are in standard deviations of the model's people.

    A raw coefficient is `param * deviation + mean`. Millimetres, +x the subject's left, +y up,
    +z forward; triangles are counter-clockwise seen from outside.
    """

    name: str
    mean: Float[Tensor, "v 3"]
    shape_basis: Float[Tensor, "v 3 s"]
    expression_basis: Float[Tensor, "v 3 e"]
    shape_mean: Float[Tensor, " s"]
    shape_deviation: Float[Tensor, " s"]
    expression_mean: Float[Tensor, " e"]
    expression_deviation: Float[Tensor, " e"]
    triangles: Int64[Tensor, "t 3"]
    landmarks: Int64[Tensor, "68"]
    measures: dict[str, Measure] = field(default_factory=dict)
    paint: Float[Tensor, "v k"] | None = None
    paint_names: tuple[str, ...] = ()  # one per column of `paint`, from look.PAINT_CHANNELS
    regions: dict[str, Int64[Tensor, " _"]] = field(default_factory=dict)  # named sets of vertices

    def __repr__(self) -> str:
        sizes = f"{self.shape_basis.shape[2]} shape, {self.expression_basis.shape[2]} expression"
        return f"MorphableModel({self.name!r}, {len(self.mean)} vertices, {sizes} parameters)"

    def to(self, device: torch.device | str) -> "MorphableModel":
        """The same model on another device."""
        moved = {name: value.to(device) for name, value in self.tensors()}
        regions = {name: value.to(device) for name, value in self.regions.items()}
        return replace(self, **moved, regions=regions)

    def vertices(
        self,
        shape_params: Float[Tensor, "*batch s"],
        expression_params: Float[Tensor, "*batch e"] | None = None,
    ) -> Float[Tensor, "*batch v 3"]:
        """Vertices of whitened parameters; no expression means the resting face."""
        return self._points(self._linear, shape_params, expression_params)

    def measure(self, vertices: Float[Tensor, "*batch v 3"]) -> Float[Tensor, "*batch m"]:
        """Lengths in millimetres, in the order of `measures`; differentiable."""
        return self._lengths(vertices, self._segments)

    def measurements(
        self,
        shape_params: Float[Tensor, "*batch s"],
        expression_params: Float[Tensor, "*batch e"] | None = None,
    ) -> Float[Tensor, "*batch m"]:
        """`measure` of `vertices`, at the cost of the measured vertices alone."""
        used, segments = torch.unique(self._segments, return_inverse=True)
        basis, rest = self._linear
        rows = (3 * used[:, None] + torch.arange(3, device=used.device)).flatten()
        points = self._points((basis[rows], rest[rows]), shape_params, expression_params)
        return self._lengths(points, segments)

    def sensitivity(self) -> Float[Tensor, "m s"]:
        """How every length of the average resting head changes with every shape parameter."""
        return torch.func.jacrev(self.measurements)(torch.zeros_like(self.shape_mean))

    def colours(self, look: Look | None = None) -> Float[Tensor, "v 3"]:
        """Vertex colours in sRGB [0, 1]; a model without paint is skin all over."""
        look = look or Look()
        if self.paint is None:
            melanin, blood = self.mean.new_tensor(look.melanin), self.mean.new_tensor(look.blood)
            return srgb(skin(melanin, blood)).expand(len(self.mean), 3).clone()
        channels = dict(zip(self.paint_names, self.paint.float().unbind(1), strict=True))
        return paint(channels, look)

    def mesh(
        self,
        shape_params: Float[Tensor, " s"],
        expression_params: Float[Tensor, " e"] | None = None,
        look: Look | None = None,
    ) -> FaceMesh:
        """One coloured face as arrays, for files, pictures and the page."""
        vertices = self.vertices(shape_params, expression_params)
        return FaceMesh(
            vertices=vertices.detach().cpu().numpy().astype(np.float32),
            triangles=self._corners.copy(),
            colours=self._plain.copy() if look is None else self._coloured(look),
            landmarks=self.landmarks.cpu().numpy(),
        )

    def tensors(self) -> Iterator[tuple[str, Shaped[Tensor, "..."]]]:
        """All that is numbers, by name."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Tensor):
                yield entry.name, value

    @cached_property
    def _linear(self) -> tuple[Float[Tensor, "v3 p"], Float[Tensor, " v3"]]:
        """Basis times deviations, both kinds side by side; the point of zero parameters."""
        shape, expression = self.shape_basis.flatten(0, 1), self.expression_basis.flatten(0, 1)
        rest = self.mean.flatten() + shape @ self.shape_mean + expression @ self.expression_mean
        basis = [shape * self.shape_deviation, expression * self.expression_deviation]
        return torch.cat(basis, 1), rest

    @cached_property
    def _corners(self) -> Int32[np.ndarray, "t 3"]:
        return self.triangles.cpu().numpy().astype(np.int32)

    @cached_property
    def _plain(self) -> Float32[np.ndarray, "v 3"]:
        return self._coloured(None)

    def _coloured(self, look: Look | None) -> Float32[np.ndarray, "v 3"]:
        return self.colours(look).cpu().numpy().astype(np.float32)

    @cached_property
    def _segments(self) -> Int64[Tensor, "n 2"]:
        pairs = [pair for measure in self.measures.values() for pair in measure.segments()]
        return torch.tensor(pairs, dtype=torch.int64, device=self.mean.device).reshape(-1, 2)

    @cached_property
    def _owners(self) -> Int64[Tensor, " n"]:
        counts = [len(measure.segments()) for measure in self.measures.values()]
        owners = torch.arange(len(counts)).repeat_interleave(
            torch.tensor(counts, dtype=torch.int64)
        )
        return owners.to(self.mean.device)

    def _points(
        self,
        linear: tuple[Float[Tensor, "v3 p"], Float[Tensor, " v3"]],
        shape_params: Float[Tensor, "*batch s"],
        expression_params: Float[Tensor, "*batch e"] | None,
    ) -> Float[Tensor, "*batch n 3"]:
        basis, rest = linear
        shapes = self.shape_basis.shape[2]
        flat = shape_params @ basis[:, :shapes].T + rest
        if expression_params is not None:
            flat = flat + expression_params @ basis[:, shapes:].T
        return flat.unflatten(-1, (-1, 3))

    def _lengths(
        self, points: Float[Tensor, "*batch n 3"], segments: Int64[Tensor, "k 2"]
    ) -> Float[Tensor, "*batch m"]:
        parts = (points[..., segments[:, 0], :] - points[..., segments[:, 1], :]).norm(dim=-1)
        lengths = parts.new_zeros(*parts.shape[:-1], len(self.measures))
        return lengths.index_add(-1, self._owners, parts)

"""A linear morphable head: whitened parameters to vertices, lengths, colours; one file on disk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .look import Look, paint, skin, srgb

FORMAT = 1
LARGEST_INT8 = 127.0


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

    def to(self, device: torch.device | str) -> "MorphableModel":
        """The same model on another device."""
        moved = {name: value.to(device) for name, value in self._tensors()}
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
            triangles=self.triangles.cpu().numpy().astype(np.int32),
            colours=self.colours(look).cpu().numpy().astype(np.float32),
            landmarks=self.landmarks.cpu().numpy(),
        )

    def save(self, path: str | Path, compact: bool = True) -> None:
        """Write one safetensors file; compact bases are int8 (shape) and float16 (expression)."""
        tensors, header = pack(self, compact)
        words = {"net": "MorphableModel", "arguments": json.dumps(header, sort_keys=True)}
        Path(path).write_bytes(save(tensors, words))

    @classmethod
    def load(cls, path: str | Path) -> "MorphableModel":
        """Read a file that `save` wrote.

        Raises:
            ValueError: the file is no morphable model, or its tensors are not those of one.
        """
        if not Path(path).is_file():
            raise ValueError(f"There is no file {path}")
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except SafetensorError as error:
            raise ValueError(f"{path} is no safetensors file: {error}") from error
        if metadata.get("net") != "MorphableModel":
            found = metadata.get("net", "no net")
            raise ValueError(f"{path} holds {found}, not a MorphableModel")
        return unpack(tensors, json.loads(metadata.get("arguments", "{}")), str(path))

    def _tensors(self) -> Iterator[tuple[str, Shaped[Tensor, "..."]]]:
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


def pack(
    model: MorphableModel, compact: bool = True
) -> tuple[dict[str, Shaped[Tensor, "..."]], dict[str, Any]]:
    """The tensors and the plain-data header that describe a model completely."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model._tensors()}
    for name in ("triangles", "landmarks"):
        tensors[name] = tensors[name].int()
    if compact:
        basis = tensors.pop("shape_basis")
        scale = (basis.abs().amax((0, 1)) / LARGEST_INT8).clamp(min=1e-30)
        tensors["shape_basis_int8"] = (basis / scale).round().to(torch.int8)
        tensors["shape_basis_scale"] = scale
        for name in ("expression_basis", "paint"):
            if name in tensors:
                tensors[name] = tensors[name].half()
    for name, region in model.regions.items():
        tensors[f"region.{name}"] = region.cpu().int()
    measures = {
        name: {"vertices": list(m.vertices), "closed": m.closed, "label": m.label}
        for name, m in model.measures.items()
    }
    header = {
        "format": FORMAT,
        "name": model.name,
        "measures": list(measures.items()),
        "paint_names": list(model.paint_names),
    }
    return tensors, header


def unpack(
    tensors: dict[str, Shaped[Tensor, "..."]], header: dict[str, Any], origin: str = "model"
) -> MorphableModel:
    """The model of packed tensors.

    Raises:
        ValueError: another format version, or tensors missing or unexpected; names `origin`.
    """
    if header.get("format") != FORMAT:
        raise ValueError(f"{origin}: model format {header.get('format')}; this reads {FORMAT}")
    tensors = dict(tensors)
    if "shape_basis_int8" in tensors and "shape_basis_scale" in tensors:
        scale = tensors.pop("shape_basis_scale")
        tensors["shape_basis"] = tensors.pop("shape_basis_int8").float() * scale
    regions = {
        name.removeprefix("region."): tensors.pop(name).long()
        for name in sorted(tensors)
        if name.startswith("region.")
    }
    wanted = {entry.name for entry in fields(MorphableModel)}
    wanted -= {"name", "measures", "paint_names", "regions"}
    missing, unexpected = wanted - {"paint"} - set(tensors), set(tensors) - wanted
    if missing or unexpected:
        faults = [f"missing {name}" for name in missing] + [f"unexpected {n}" for n in unexpected]
        raise ValueError(f"{origin}: {'; '.join(sorted(faults))}")
    whole = {"triangles", "landmarks"}
    values = {name: v.long() if name in whole else v.float() for name, v in tensors.items()}
    try:
        measures = {
            name: Measure(tuple(m["vertices"]), m["closed"], m["label"])
            for name, m in header["measures"]
        }
        name, names = header["name"], tuple(header["paint_names"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{origin}: the header of the model is incomplete ({error})") from error
    ends = [end for measure in measures.values() for end in measure.vertices]
    check(values, names, [*regions.values(), torch.tensor(ends, dtype=torch.int64)], origin)
    return MorphableModel(
        name=name, **values, measures=measures, paint_names=names, regions=regions
    )


def check(
    tensors: dict[str, Shaped[Tensor, "..."]],
    paint_names: tuple[str, ...],
    indices: list[Int64[Tensor, " _"]],
    origin: str,
) -> None:
    """Refuse tensors that do not agree in size or name vertices that are not there."""
    v, s, e = (tensors[name].shape[:1] for name in ("mean", "shape_mean", "expression_mean"))
    sizes = {
        "mean": (*v, 3),
        "shape_basis": (*v, 3, *s),
        "shape_mean": s,
        "shape_deviation": s,
        "expression_basis": (*v, 3, *e),
        "expression_mean": e,
        "expression_deviation": e,
        "landmarks": (68,),
        "triangles": (*tensors["triangles"].shape[:1], 3),
        "paint": (*v, len(paint_names)),
    }
    faults = [
        f"{name} is {tuple(value.shape)}, not {tuple(sizes[name])}"
        for name, value in sorted(tensors.items())
        if value.shape != sizes[name]
    ]
    named = torch.cat([tensors["triangles"].flatten(), tensors["landmarks"].flatten(), *indices])
    if not faults and not 0 <= named.min() <= named.max() < v[0]:
        faults = [f"it names vertices {named.min()} to {named.max()} of {v[0]}"]
    if faults:
        raise ValueError(f"{origin}: {'; '.join(faults)}")

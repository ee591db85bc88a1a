"""A morphable head in one file: bases in few bits, and one half of a head that mirrors itself."""

import json
import operator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64, Num, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as bytes_of
from scipy.spatial import cKDTree
from torch import Tensor

from .morphable import Measure, MorphableModel

FORMAT = 2
READABLE = (1, 2)  # the first format knew neither halves nor short indices
LARGEST_INT8 = 127.0
SHORT = 2**16  # vertices that an index of two bytes tells apart
HALVED = ("mean", "shape_basis", "shape_basis_int8", "expression_basis", "paint")
TWINS = 1e-4  # millimetres within which the mirrored place of a vertex holds its twin

Packed = dict[str, Shaped[Tensor, "..."]]


def save(model: MorphableModel, path: str | Path, compact: bool = True) -> None:
    """Write one safetensors file."""
    tensors, header = pack(model, compact)
    words = {"net": MorphableModel.__name__, "arguments": json.dumps(header, sort_keys=True)}
    Path(path).write_bytes(bytes_of(tensors, words))


def load(path: str | Path) -> MorphableModel:
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
    if metadata.get("net") != MorphableModel.__name__:
        found = metadata.get("net", "no net")
        raise ValueError(f"{path} holds {found}, not a MorphableModel")
    try:
        header = json.loads(metadata.get("arguments", "{}"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: the header of the model is damaged ({error})") from error
    return unpack(tensors, header, str(path))


def pack(model: MorphableModel, compact: bool = True) -> tuple[Packed, dict[str, Any]]:
    """The tensors and the plain-data header that describe a model completely.

    Compact bases are int8 with a scale per parameter (shape) and float16 (expression, paint); of
    a head whose sides are alike one is left out. Neither changes what has once been packed.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.tensors()}
    few = compact and len(model.mean) <= SHORT
    index = torch.uint16 if few else torch.int32
    for name in ("triangles", "landmarks"):
        tensors[name] = tensors[name].to(index)
    for name, region in model.regions.items():
        tensors[f"region.{name}"] = region.cpu().to(index)
    if compact:
        basis = tensors.pop("shape_basis")
        scale = (basis.abs().amax((0, 1)) / LARGEST_INT8).clamp(min=1e-30)
        tensors["shape_basis_int8"] = (basis / scale).round().to(torch.int8)
        tensors["shape_basis_scale"] = scale
        for name in ("expression_basis", "paint"):
            if name in tensors:
                tensors[name] = tensors[name].half()
        tensors = halved(tensors, index)
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


def halved(tensors: Packed, index: torch.dtype) -> Packed:
    """Without the rows that mirror others, and with `mirror`, each vertex's twin.

    All as it was if the sides of the head are not exactly alike.
    """
    there = tensors["mean"] * tensors["mean"].new_tensor([-1, 1, 1])
    apart, twins = cKDTree(tensors["mean"].numpy()).query(there.numpy())
    mirror = torch.from_numpy(twins)
    itself = torch.arange(len(mirror))
    if apart.max() > TWINS or not torch.equal(mirror[mirror], itself):
        return tensors
    kept = itself <= mirror
    short = {name: value[kept] for name, value in tensors.items() if name in HALVED}
    if not all(torch.equal(doubled(name, short[name], mirror), tensors[name]) for name in short):
        return tensors
    return {**tensors, **short, "mirror": mirror.to(index)}


def doubled(
    name: str, rows: Num[Tensor, " h *n"], mirror: Int64[Tensor, " v"]
) -> Num[Tensor, "..."]:
    """The rows of all vertices from those that come before their twins or are their own."""
    itself = torch.arange(len(mirror))
    place = torch.cumsum(itself <= mirror, 0) - 1  # of a vertex among the rows that are kept
    whole = rows[place[torch.minimum(itself, mirror)]].clone()
    if name != "paint":
        whole[itself > mirror, 0] *= -1
    return whole


def unhalved(tensors: Packed, origin: str) -> Packed:
    """Both sides of the head again; all as it was if no half was left out.

    Raises:
        ValueError: `mirror` does not pair vertices, or does not fit the rows.
    """
    if "mirror" not in tensors:
        return tensors
    tensors = dict(tensors)
    mirror = tensors.pop("mirror").long().flatten()
    itself = torch.arange(len(mirror))
    inside = bool(((mirror >= 0) & (mirror < len(mirror))).all())
    if not inside or not torch.equal(mirror[mirror], itself):
        raise ValueError(f"{origin}: mirror does not pair the {len(mirror)} vertices")
    rows = int((itself <= mirror).sum())
    for name in HALVED:
        if name in tensors:
            shape = tuple(tensors[name].shape)
            if len(shape) < 2 or shape[0] != rows:
                told = f"{name} is {shape}, not of {rows} rows"
                raise ValueError(f"{origin}: {told} for one side of {len(mirror)} vertices")
            tensors[name] = doubled(name, tensors[name], mirror)
    return tensors


def unpack(tensors: Packed, header: Any, origin: str = "model") -> MorphableModel:
    """The model of packed tensors.

    Raises:
        ValueError: another format version, or tensors missing or unexpected; names `origin`.
    """
    if not isinstance(header, dict) or header.get("format") not in READABLE:
        told = header.get("format") if isinstance(header, dict) else header
        raise ValueError(f"{origin}: model format {told}; this reads {FORMAT}")
    tensors = unhalved(dict(tensors), origin)
    if "shape_basis_int8" in tensors and "shape_basis_scale" in tensors:
        steps, scale = tensors.pop("shape_basis_int8"), tensors.pop("shape_basis_scale")
        if scale.shape != steps.shape[2:]:
            told = f"shape_basis_scale is {tuple(scale.shape)}, not {tuple(steps.shape[2:])}"
            raise ValueError(f"{origin}: {told}")
        tensors["shape_basis"] = steps.float() * scale
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
            name: Measure(tuple(map(operator.index, m["vertices"])), m["closed"], m["label"])
            for name, m in header["measures"]
        }
        name, names = header["name"], tuple(header["paint_names"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{origin}: the header of the model is damaged ({error})") from error
    ends = [end for measure in measures.values() for end in measure.vertices]
    check(values, names, [*regions.values(), torch.tensor(ends, dtype=torch.int64)], origin)
    return MorphableModel(
        name=name, **values, measures=measures, paint_names=names, regions=regions
    )


def check(
    tensors: dict[str, Float[Tensor, "..."] | Int64[Tensor, "..."]],
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

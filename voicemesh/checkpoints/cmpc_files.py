"""CMPC's clustered memory as VoiceStyle publishes it, and the table that names its rows."""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from .parts import CMPC_PROTOTYPES
from .published_files import Converted, first
from .store import Tensors
from .unpickle import existing, torch_file
from .upstream import SYSTEMS, load

SYSTEM = "cmpc"
NETS = ("model_best_256.pth.tar", "checkpoint_CMPC.pth.tar", "model_best.pth.tar")
MEMORIES = ("frame_memory_best_256.pth.tar", "frame_memory_best*.pth.tar")
TABLE = "training.csv"
COLUMNS = ("VGGFace1 ID", "video_id")


def find(folder: str | Path) -> dict[str, Converted]:
    """The parts that a folder of published files makes: both nets, prototypes, or either.

    Raises:
        ValueError: there are neither nets nor a memory, or a memory without its table.
    """
    folder, parts = Path(folder), {}
    net, memory = first(folder, NETS), first(folder, MEMORIES)
    if net is None and memory is None:
        raise ValueError(
            f"{folder} holds no files of CMPC; put {NETS[0]} or {NETS[1]} there, and"
            f" {MEMORIES[0]} with {TABLE} for prototypes"
        )
    if net:
        parts |= {name: Converted(load(name, net), (net,)) for name in SYSTEMS[SYSTEM]}
    if memory:
        table = first(folder, (TABLE,))
        if table is None:
            raise ValueError(f"{memory} needs {TABLE}, which says whose videos its rows are")
        parts[CMPC_PROTOTYPES] = Converted(prototypes(memory, table), (memory, table))
    return parts


def prototypes(memory: str | Path, table: str | Path) -> Tensors:
    """Centroids, members and names, as `voicemesh.systems.cmpc_prototypes` reads them.

    Raises:
        ValueError: files that are not these, or that are not of one another.
    """
    levels = memory_levels(memory)
    names = video_names(table)
    people = {name: number for number, name in enumerate(dict.fromkeys(n for n, _ in names))}
    tensors: Tensors = {}
    for number, (centroids, assignment) in enumerate(levels):
        if len(assignment) != len(names):
            raise ValueError(
                f"{memory} assigns {len(assignment)} videos, {table} names {len(names)};"
                " take the table of the same training"
            )
        tensors[f"centroids_{number}"] = centroids.float()
        tensors[f"assignment_{number}"] = assignment.int()
    text = "".join(f"{name}/1.6/{video}\n" for name, video in names)
    person = [people[name] for name, _ in names]
    return tensors | {
        "person": torch.tensor(person, dtype=torch.int32),
        "picture": turns(person),
        "names": torch.tensor(list(text.encode()), dtype=torch.uint8),
    }


def memory_levels(path: str | Path) -> list[tuple[Tensor, Int64[Tensor, " videos"]]]:
    """Centroids and the cluster of every video, level by level.

    Raises:
        ValueError: no such lists, or numbers of clusters that there are not.
    """
    content = torch_file(path)
    if not isinstance(content, Mapping) or not {"centroids", "inst2cluster"} <= content.keys():
        raise ValueError(f"{path} is no memory of CMPC: it has no centroids and inst2cluster")
    lists = content["centroids"], content["inst2cluster"]
    if not all(isinstance(one, list | tuple) for one in lists):
        raise ValueError(f"{path} is no memory of CMPC: centroids and inst2cluster are no lists")
    if len(lists[0]) != len(lists[1]) or not len(lists[0]):
        raise ValueError(
            f"{path} has {len(lists[0])} levels of centroids, {len(lists[1])} of videos"
        )
    levels = []
    for centroids, assignment in zip(*lists, strict=True):
        numbers = torch.as_tensor(np.asarray(assignment)).long().flatten()
        points = torch.as_tensor(np.asarray(centroids))
        if not len(numbers):
            raise ValueError(f"{path} has no videos in its clusters")
        if points.ndim != 2 or not 0 <= int(numbers.min()) <= int(numbers.max()) < len(points):
            raise ValueError(f"{path} has videos in clusters beyond its {len(points)} centroids")
        levels.append((points, numbers))
    return levels


def video_names(path: str | Path) -> list[tuple[str, str]]:
    """Name and video of every row of training.csv; the row number is the number of the instance.

    Raises:
        ValueError: another table, or names that no folder can have.
    """
    try:
        text = existing(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no table in UTF-8: {error}") from error
    with io.StringIO(text.replace("\0", ""), newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}")
        found = [tuple((row[name] or "").strip() for name in COLUMNS) for row in rows]
    for name, video in found:
        if not all(re.fullmatch(r"[^/\\\n]+", part) for part in (name, video)):
            raise ValueError(f"{path} has a row without a name and a video: {name!r}, {video!r}")
    return found


def turns(labels: list[int]) -> Shaped[Tensor, " rows"]:
    """How often the label of each row came before."""
    seen: dict[int, int] = {}
    counted = []
    for label in labels:
        counted.append(seen.get(label, 0))
        seen[label] = counted[-1] + 1
    return torch.tensor(counted, dtype=torch.int32)

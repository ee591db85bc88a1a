"""Files of a gallery: safetensors that are mapped, not read; texts and media as one run of bytes.

Nothing in them can run: there are numbers, and bytes that a decoder of pictures or sound checks.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from voicemesh.whole_files import aside

KINDS = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
NAMES = {np.dtype(kind): name for name, kind in KINDS.items()}
LARGEST_HEADER = 1_000_000  # bytes
ALIGNMENT = 8


def mapped(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of a safetensors file; only what is looked at is ever read.

    Raises:
        ValueError: it is none, or of kinds of numbers that galleries do not hold.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(LARGEST_HEADER, size - 8):
                raise ValueError("its header has no plausible length")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        whole = np.memmap(path, np.uint8, "r", offset=8 + length) if size > 8 + length else b""
        return {name: _viewed(whole, entry) for name, entry in header.items()}
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError),
        *(OverflowError, RecursionError),
    ) as error:
        raise ValueError(f"{path} is no readable file of a gallery: {error}") from error


def _viewed(whole: UInt8[np.ndarray, " bytes"] | bytes, entry: dict) -> np.ndarray:
    kind, shape = np.dtype(KINDS[entry["dtype"]]), tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if not 0 <= first <= last <= len(whole) or last - first != math.prod(shape) * kind.itemsize:
        raise ValueError(f"an array of shape {list(shape)} does not lie inside")
    if first == last:
        return np.zeros(shape, kind)
    return whole[first:last].view(kind).reshape(shape)


def write(path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> None:
    """Arrays as a safetensors file, whole or not at all."""
    write_pieces(path, {name: (a.dtype, a.shape, [a]) for name, a in arrays.items()})


def write_pieces(
    path: Path,
    arrays: Mapping[str, tuple[np.dtype, tuple[int, ...], Iterable[Shaped[np.ndarray, "..."]]]],
) -> None:
    """Like `write`, each array given as its type, its shape and pieces along its first axis.

    Raises:
        ValueError: pieces do not make up the shape.
    """
    # Wide numbers first, so that every array begins at a multiple of its width.
    names = sorted(arrays, key=lambda name: (-np.dtype(arrays[name][0]).itemsize, name))
    header, place = {}, 0
    for name in names:
        kind, shape, _ = arrays[name]
        size = math.prod(shape) * np.dtype(kind).itemsize
        header[name] = {
            "dtype": NAMES[np.dtype(kind)],
            "shape": list(shape),
            "data_offsets": [place, place + size],
        }
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with aside(path) as unfinished, unfinished.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            kind, shape, pieces = arrays[name]
            begun = file.tell()
            for piece in pieces:
                file.write(np.ascontiguousarray(piece, kind).data)
            if file.tell() - begun != math.prod(shape) * np.dtype(kind).itemsize:
                raise ValueError(f"{path}: the pieces of {name!r} do not make up {list(shape)}")


@dataclass(frozen=True, eq=False)
class Packed:
    """Many short runs of bytes in one; run i ends before `ends[i]`."""

    content: UInt8[np.ndarray, " bytes"]
    ends: Int64[np.ndarray, " runs"]

    @classmethod
    def of(cls, runs: Sequence[bytes | str]) -> "Packed":
        """Pack bytes, or texts as UTF-8."""
        coded = [run.encode() if isinstance(run, str) else run for run in runs]
        ends = np.cumsum([len(run) for run in coded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(coded), np.uint8), ends)

    @classmethod
    def joined(cls, columns: Sequence["Packed"]) -> "Packed":
        """Several packed runs as one."""
        starts = np.cumsum([0, *(len(column.content) for column in columns)], dtype=np.int64)
        ends = [column.ends + start for column, start in zip(columns, starts, strict=False)]
        content = [column.content for column in columns]
        empty = np.zeros(0, np.uint8), np.zeros(0, np.int64)
        return cls(np.concatenate([empty[0], *content]), np.concatenate([empty[1], *ends]))

    @classmethod
    def among(cls, arrays: Mapping[str, Shaped[np.ndarray, "..."]], name: str) -> "Packed":
        """The packed runs that `arrays_as` wrote under this name.

        Raises:
            ValueError: there are none, or they do not lie inside.
        """
        if f"{name}.bytes" not in arrays or f"{name}.ends" not in arrays:
            raise ValueError(f"There is no {name!r} in the file")
        content, ends = arrays[f"{name}.bytes"], arrays[f"{name}.ends"]
        if content.dtype != np.uint8 or ends.dtype != np.int64 or content.ndim * ends.ndim != 1:
            raise ValueError(f"{name!r} holds no runs of bytes")
        whole = np.concatenate([[0], ends, [len(content)]])
        if (np.diff(whole) < 0).any() or (whole[-2] != len(content)):
            raise ValueError(f"The runs of {name!r} do not lie inside the file")
        return cls(content, ends)

    def arrays_as(self, name: str) -> dict[str, np.ndarray]:
        """For a file."""
        return {f"{name}.bytes": self.content, f"{name}.ends": self.ends}

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> bytes:
        first = int(self.ends[number - 1]) if number else 0
        return self.content[first : int(self.ends[number])].tobytes()

    def text(self, number: int) -> str:
        """Run `number` as text."""
        return self[number].decode()

    def __iter__(self) -> Iterator[bytes]:
        return (self[number] for number in range(len(self)))

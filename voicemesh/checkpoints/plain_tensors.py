"""Tensors out of torch files whose pickles are of protocols 3 to 5, which torch itself refuses.

As of arrays, things of this module stand for tensors and their storages, and check every word.
"""

import struct
import zipfile
from argparse import Namespace
from io import BufferedIOBase
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from .plain_arrays import ArrayUnpickler, Named, Stand, settled

TORCH_READS = 2  # the last protocol of pickle that torch reads without running what it finds
MAGIC = 0x1950A86A20F9469CFC6C  # begins torch's files that are no zip archives
RECORD = "data.pkl"  # of a zip archive: all but the numbers
FLOATS = {"Double": torch.float64, "Float": torch.float32, "Half": torch.float16}
WHOLES = {"Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8}
OTHERS = {"BFloat16": torch.bfloat16, "Byte": torch.uint8, "Bool": torch.bool}
DTYPES = {name: kind for name, kind in vars(torch).items() if isinstance(kind, torch.dtype)}


class Storage(Stand):
    """Stands for the numbers that tensors are cut from; the bytes may come after the words."""

    def __init__(self, dtype: torch.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.values: Shaped[Tensor, " count"] | None = None

    def fill(self, content: bytes) -> None:
        """Take the bytes, least significant first.

        Raises:
            UnpicklingError: they are not as many as the numbers need.
        """
        if len(content) != self.count * self.dtype.itemsize:
            raise UnpicklingError(f"{len(content)} bytes do not fill {self.count} numbers")
        values = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else ()
        self.values = torch.as_tensor(values, dtype=torch.uint8).view(self.dtype)

    def made(self) -> Shaped[Tensor, " count"]:
        """The numbers, in one row."""
        if self.values is None:
            raise UnpicklingError("it holds tensors without content")
        return self.values


class Cut(Stand):
    """Stands for a tensor: every `stride`-th number of a storage from `offset` on."""

    def __init__(
        self, storage: object, offset: object, sizes: object, strides: object, *_: object
    ) -> None:
        if not isinstance(storage, Storage) or not whole((offset,)):
            raise UnpicklingError("it holds a tensor of no numbers")
        if not whole(sizes) or not whole(strides) or len(sizes) != len(strides):
            raise UnpicklingError(f"it holds a tensor of shape {sizes!r} in steps of {strides!r}")
        self.storage, self.offset, self.sizes, self.strides = storage, offset, sizes, strides
        self.dtype = storage.dtype

    def made(self) -> Shaped[Tensor, "..."]:
        """The tensor, as a view of what may be shared with others.

        Raises:
            UnpicklingError: it reaches beyond the storage.
        """
        values = self.storage.made().view(self.dtype)
        last = self.offset + sum(
            (size - 1) * step for size, step in zip(self.sizes, self.strides, strict=True)
        )
        if 0 not in self.sizes and last >= len(values):
            raise UnpicklingError(f"{len(values)} numbers do not fill a tensor of {self.sizes}")
        return values.as_strided(self.sizes, self.strides, self.offset)


def whole(sizes: object) -> bool:
    """Are these whole numbers of zero or more?"""
    return isinstance(sizes, tuple) and all(type(size) is int and size >= 0 for size in sizes)


def cut_as(*words: object) -> Cut:
    """A tensor whose numbers are of another kind than its storage tells."""
    made, dtype = Cut(*words[:6]), words[6]
    if not isinstance(dtype, torch.dtype):
        raise UnpicklingError(f"it holds a tensor of type {dtype!r}")
    made.dtype = dtype
    return made


def parameter(tensor: object, *_: object) -> object:
    """A parameter is its tensor here."""
    return tensor


class TensorUnpickler(ArrayUnpickler):
    """Finds the names that tensors and training histories need as well."""

    names = ArrayUnpickler.names | {
        "collections.defaultdict": Named(lambda *_: {}),  # whatever makes its entries is left
        **{f"builtins.{kind.__name__}": Named(kind) for kind in (list, set, complex)},
        **{f"torch.{name}": kind for name, kind in DTYPES.items()},
        **{f"torch.{name}Storage": kind for name, kind in (FLOATS | WHOLES | OTHERS).items()},
        "torch.storage.UntypedStorage": torch.uint8,
        **{"torch.Size": Named(tuple), "torch.device": Named(torch.device)},
        "torch.nn.parameter.Parameter": Named(parameter),
        **{f"torch._utils._rebuild_tensor{version}": Named(Cut) for version in ("", "_v2")},
        "torch._utils._rebuild_tensor_v3": Named(cut_as),
        "torch._utils._rebuild_parameter": Named(parameter),
    }

    def __init__(self, file: BufferedIOBase, storages: dict[str, Storage]) -> None:
        """`storages`: where those go that are named."""
        super().__init__(file)
        self.storages = storages
        # One of its own: what a file sets on a class of Python would stay there.
        self.names = self.names | {"argparse.Namespace": type("Namespace", (Namespace,), {})}

    def persistent_load(self, told: Any) -> Storage:
        """The storage of a word that stands outside the pickle."""
        if not isinstance(told, tuple) or len(told) < 5 or told[0] != "storage":
            raise UnpicklingError("it names something outside of it that is no storage")
        _, dtype, key, _, count = told[:5]
        if not isinstance(dtype, torch.dtype) or not isinstance(key, str) or not whole((count,)):
            raise UnpicklingError(f"it names a storage {key!r} of no plain numbers")
        storage = self.storages.setdefault(key, Storage(dtype, count))
        if (storage.dtype, storage.count) != (dtype, count):
            raise UnpicklingError(f"it names the storage {key!r} in two ways")
        return storage


def is_of_later_protocol(path: Path) -> bool:
    """Is this a torch file, zipped or not, of a protocol that torch does not read?"""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/{RECORD}")]
            start = archive.open(names[0]).read(2) if names else b""
    else:
        with path.open("rb") as file:
            start = file.read(2)
    return len(start) == 2 and start[:1] == b"\x80" and start[1] > TORCH_READS


def tensor_file(path: Path) -> Any:
    """What such a file holds.

    Raises:
        UnpicklingError, and what readers of zip archives raise: it is torn or holds more.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return zipped(archive)
    with path.open("rb") as file:
        return one_after_another(file)


def zipped(archive: zipfile.ZipFile) -> Any:
    """Words in one record of an archive, each storage in its own."""
    record = next(name for name in archive.namelist() if name.endswith(f"/{RECORD}"))
    folder, storages = record.removesuffix(RECORD), {}
    if f"{folder}byteorder" in archive.namelist():
        order = archive.read(f"{folder}byteorder")
        if order != b"little":
            raise UnpicklingError(f"it has no order of bytes {order!r}")
    with archive.open(record) as file:
        words = TensorUnpickler(file, storages).load()
    for key, storage in storages.items():
        storage.fill(archive.read(f"{folder}data/{key}"))
    return settled(words)


def one_after_another(file: BufferedIOBase) -> Any:
    """Magic number, version, machine, words, keys of the storages, then those."""
    storages: dict[str, Storage] = {}
    magic, _, machine, words, keys = (TensorUnpickler(file, storages).load() for _ in range(5))
    if magic != MAGIC or not isinstance(machine, dict) or not machine.get("little_endian", True):
        raise UnpicklingError("it is a pickle, but none of torch")
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        storage = storages[key]
        if count != storage.count:
            raise UnpicklingError(f"it names the storage {key!r} in two ways")
        storage.fill(file.read(count * storage.dtype.itemsize))
    return settled(words)

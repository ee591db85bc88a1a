"""Tensors, arrays and plain data out of pickled files, and nothing else: no code of theirs runs."""

import argparse
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from tokenize import TokenError
from typing import Any

import torch

from .plain_arrays import NAMES, Array, ArrayUnpickler, Kind, settled
from .plain_tensors import is_of_later_protocol, tensor_file

TORCH_MARK = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # after the protocol of its older files
FRAME = 9  # bytes that later protocols put before it
# All that readers raise on bytes that are no pickle, no array, or a torn one.
MALFORMED = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, TokenError),
    *(EOFError, OSError, RuntimeError, AssertionError, MemoryError, LookupError, AttributeError),
    *(ImportError, TypeError, ValueError, ArithmeticError, SyntaxError),
)


def torch_file(path: str | Path) -> Any:
    """What `torch.save` wrote, on the CPU: tensors in dicts, lists and plain values.

    Reads today's zip files and the older pickles, whatever the suffix and the protocol.

    Raises:
        ValueError: no such file, no torch file, or one that holds more than data.
    """
    path = existing(path)
    refuse_bomb(path)
    plain = [argparse.Namespace, OrderedDict, *LISTS]
    plain += [(named, name) for name, named in NAMES.items()]
    plain += [Array, Kind]  # whose state is set then, by themselves
    try:
        if is_of_later_protocol(path):
            return tensor_file(path)
        with torch.serialization.safe_globals(plain):
            return settled(torch.load(path, map_location="cpu", weights_only=True))
    except MALFORMED as error:
        if tarfile.is_tarfile(path):
            raise ValueError(f"{path} is an archive of files; unpack it first") from error
        found = blocked_global(str(error))
        reason = f"it names {found}, which is more than data" if found else reason_of(error)
        raise ValueError(f"{path} cannot be read as tensors: {reason}") from error


def plain_dict(factory: Any = None) -> dict[Any, Any]:
    """Stands for a defaultdict, which torch would not fill; whatever makes its entries is left."""
    return {}


# Names in a pickle and what is taken for them: the dicts of lists that training histories are.
LISTS = [
    (plain_dict, "collections.defaultdict"),
    *((list, f"{module}.list") for module in ("builtins", "__builtin__")),
]


def array_file(path: str | Path) -> Any:
    """What `pickle.dump` wrote of numpy arrays and plain values, as 3DDFA's .pkl files are.

    Raises:
        ValueError: no such file, no pickle, or one that holds more than arrays.
    """
    path = existing(path)
    try:
        with path.open("rb") as file:
            return settled(ArrayUnpickler(file).load())
    except MALFORMED as error:
        raise ValueError(f"{path} cannot be read as arrays: {error}") from error


def existing(path: str | Path) -> Path:
    """The path of a file that is there."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the published file in it")
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    return path


def refuse_bomb(path: Path) -> None:
    """Refuse a zip file that unpacks to much more than it is: `torch.save` never compresses.

    Raises:
        ValueError: it would.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError):
        return  # an older file, or a torn one: the reader tells
    size = path.stat().st_size
    if unpacked > size:
        raise ValueError(
            f"{path} cannot be read as tensors: its {size:,} bytes would unpack to {unpacked:,};"
            " take the file as it was published"
        )


def plain_pickle(path: Path) -> bool:
    """Is this a pickle without the mark that torch begins its own with?"""
    with path.open("rb") as file:
        start = file.read(2 + FRAME + len(TORCH_MARK))
    return start[:1] == b"\x80" and TORCH_MARK not in start


def reason_of(error: BaseException) -> str:
    """Why torch could not read a file, without its advice to read it unsafely."""
    told = str(error).split("WeightsUnpickler error: ")[-1].strip().split("\n")[0]
    if told.startswith("Unsupported operand"):
        return "it is torn, or an old pickle that torch does not read"
    if isinstance(error, OSError | LookupError) or told.startswith("Weights only load failed"):
        told = ""
    return told or "it is no torch file, or a torn one"


def blocked_global(message: str) -> str:
    """The name that torch refused, out of its message; empty if it refused for another reason."""
    for word in ("Unsupported global: GLOBAL ", "Trying to load unsupported GLOBAL "):
        if word in message:
            return message.split(word)[1].split()[0].rstrip(".,")
    return ""

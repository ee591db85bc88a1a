"""Arrays, scalars and types of numbers out of pickles, without numpy's own readers.

Those trust what a pickle says of itself: a crafted one makes them read memory that is not theirs.
What stands here for them checks every word first.
"""

import codecs
import math
import pickle
import pickletools
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from io import BufferedIOBase
from pickle import UnpicklingError
from typing import Any

import numpy as np
from jaxtyping import Shaped

KINDS = frozenset("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split())
ORDERS = frozenset("<>|=")
SLACK = 1000  # by which numbers of things kept may be ahead of their count


class Stand:
    """Stands for a thing of numbers until the whole pickle is read, whose state it may not set."""

    def made(self) -> Any:
        """What it stands for."""
        raise NotImplementedError

    def __setstate__(self, state: object) -> None:
        raise UnpicklingError("it changes what makes its arrays")


class Kind(Stand):
    """Stands for a numpy dtype: one plain number, in either order of bytes."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        """A type by its code; whether it is aligned or copied does not matter."""
        word = text(code)
        if word not in KINDS:
            raise UnpicklingError(f"it holds values of type {word!r}, which are no plain numbers")
        self.dtype = np.dtype(word)

    def __setstate__(self, state: tuple) -> None:
        if not isinstance(state, tuple) or state[2:5] != (None, None, None):
            raise UnpicklingError("it holds values of several fields")
        order = text(state[1])
        if order not in ORDERS:
            raise UnpicklingError(f"it has no order of bytes {order!r}")
        self.dtype = self.dtype.newbyteorder(order)

    def made(self) -> np.dtype:
        """The dtype."""
        return self.dtype


class Array(Stand):
    """Stands for a numpy array, empty until its state is set."""

    def __init__(self, *_: object) -> None:
        self.values = np.zeros(0)

    def __setstate__(self, state: tuple) -> None:
        if not isinstance(state, tuple) or len(state) < 4:
            raise UnpicklingError("it holds an array without content")
        shape, kind, by_columns, content = state[-4:]
        self.values = filled(content, kind, shape, "F" if by_columns else "C")

    def made(self) -> Shaped[np.ndarray, "..."]:
        """The array."""
        return self.values


def filled(
    content: object, kind: object, shape: object, order: object = "C", *_: object
) -> Shaped[np.ndarray, "..."]:
    """An array of these bytes.

    Raises:
        UnpicklingError: they do not make up the shape.
    """
    if isinstance(content, str):  # of Python 2
        content = content.encode("latin1")
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not isinstance(kind, Kind) or not isinstance(content, bytes | bytearray):
        raise UnpicklingError("it holds an array of no plain numbers")
    if not all(type(size) is int and size >= 0 for size in sizes) or order not in ("C", "F"):
        raise UnpicklingError(f"it holds an array of shape {shape!r}")
    if len(content) != math.prod(sizes) * kind.dtype.itemsize:
        raise UnpicklingError(f"{len(content)} bytes do not fill an array of shape {shape!r}")
    return np.frombuffer(content, kind.dtype).reshape(sizes, order=order).copy(order="K")


def scalar(kind: object, content: object = b"") -> np.generic:
    """One number."""
    return filled(content, kind, ())[()]


def no_bytes() -> bytes:
    """What an old protocol calls for where an array is empty."""
    return b""


def text(word: object) -> str:
    """A word of a pickle, which Python 2 wrote as bytes."""
    return word.decode("latin1") if isinstance(word, bytes) else str(word)


def settled(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """What was read, with what was stood for in its place; each thing is looked at once."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, Stand):
        found = value.made()
    elif isinstance(value, tuple | set | frozenset):
        kind = tuple if isinstance(value, tuple) else type(value)
        found = kind(settled(part, seen) for part in value)
    else:
        found = value
    seen[id(value)] = value, found  # the first is kept so that its number stays its own
    if isinstance(value, dict | Namespace):
        inner = value if isinstance(value, dict) else vars(value)
        for name, part in inner.items():
            inner[name] = settled(part, seen)
    elif isinstance(value, list):
        value[:] = [settled(part, seen) for part in value]
    return found


class Named:
    """What a name in a pickle stands for: it may be called, and nothing in it may be set."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *arguments: object) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise UnpicklingError("it changes what makes its arrays")


# What a pickle of plain data and of numpy names, by the module names of numpy 1 and 2.
PLAIN = {"_codecs.encode": codecs.encode, "collections.OrderedDict": OrderedDict}
NAMES = {
    "numpy.dtype": Named(Kind),
    "numpy.ndarray": Named(Array),
    **dict.fromkeys(("builtins.bytes", "__builtin__.bytes"), Named(no_bytes)),
    **{
        f"numpy.{core}.{name}": Named(make)
        for core in ("core", "_core")
        for name, make in (
            ("multiarray._reconstruct", Array),
            ("multiarray.scalar", scalar),
            ("numeric._frombuffer", filled),
        )
    },
}


class ArrayUnpickler(pickle.Unpickler):
    """Finds the few names that arrays need, refuses every other before it is imported."""

    names = PLAIN | NAMES

    def __init__(self, file: BufferedIOBase) -> None:
        super().__init__(file, encoding="latin1")
        self.file = file

    def load(self) -> Any:
        """The next pickle of the file."""
        start = self.file.tell()
        refuse_leaps(self.file)
        self.file.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name."""
        full = f"{module}.{name}"
        if full not in self.names:
            raise UnpicklingError(f"it names {full}, which is more than data")
        return self.names[full]


def refuse_leaps(file: BufferedIOBase) -> None:
    """Refuse a pickle that keeps a thing under a number far ahead: up to it, room would be made.

    Raises:
        UnpicklingError: it does.
    """
    for count, (operation, number, _) in enumerate(pickletools.genops(file)):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and number > count + SLACK:
            raise UnpicklingError(f"it keeps a thing under the number {number}")

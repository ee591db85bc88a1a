"""Nets built to be filled from a file at once: no weights are drawn, and no more than it fills."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

DRAWING = ("normal_", "uniform_", "trunc_normal_")
TIMES, SPARE = 4, 2**20  # how many values a net may make: so many times those of its file, and more
LEAST = 64  # values that any tensor counts for: a thousand million empty layers take time as well


class Unfilled(TorchFunctionMode):
    """Inside, nothing is drawn in place.

    Drawing costs time for nothing, and on the meta device it imports a whole compiler.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "").endswith(DRAWING):
            return args[0] if args else named["tensor"]
        return func(*args, **named)


class Bounded(TorchFunctionMode):
    """Inside, a net is refused that makes far more values than a file could fill it with.

    What a net asks for is known to the file's author alone, and may be anything.
    """

    def __init__(self, held: int) -> None:
        """`held` values are in the file."""
        super().__init__()
        self.held, self.left = held, TIMES * held + SPARE

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.left -= max(made.numel(), LEAST)
            if self.left < 0:
                raise ValueError(
                    f"it asks for far more values than the {self.held:,} that the file holds;"
                    " take the file as its author made it"
                )
        return made

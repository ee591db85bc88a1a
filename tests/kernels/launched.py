"""Where a Triton form runs in tests: interpreted on CPU tensors, or on copies of them on a GPU."""

from collections.abc import Callable

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def launched(form: Callable) -> Callable:
    """The form for CPU tensors, results on the CPU again."""

    def run(*given, **settings):
        there = [moved(value, DEVICE) for value in given]
        result = form(*there, **{name: moved(value, DEVICE) for name, value in settings.items()})
        if isinstance(result, tuple):
            return tuple(moved(part, "cpu") for part in result)
        return moved(result, "cpu")

    return run


def moved(value, device: str):
    return value.to(device) if isinstance(value, torch.Tensor) else value

"""Loops for the CPU, compiled by numba and kept on the disk where there is a place for it."""

import hashlib
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from numba import njit

log = logging.getLogger(__name__)


def compiled(
    *called: ModuleType, **options: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`numba.njit` with its cache.

    Where nobody may write, neither beside the code nor at home, numba refuses to cache, and with it
    to compile; then every process compiles for itself.

    Args:
        called: modules with loops that this one calls. The cache watches the file of a loop alone,
            so those files become part of its name there.
    """
    sources = "".join(inspect.getsource(module) for module in called)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if sources:
            function.__qualname__ += f"_{hashlib.sha256(sources.encode()).hexdigest()[:12]}"
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError as error:  # numba has no kind of its own for it
            if "cannot cache" not in str(error):
                raise
            log.debug("%s; it is compiled anew", error)
            return njit(**options)(function)

    return decorate

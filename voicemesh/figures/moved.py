"""A head in the place of another of its model: the little that a page must be sent to redraw it."""

import base64
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer

from .scene import TRIANGLES, Trace

STEP = 1 / 64  # millimetres; two bytes reach half a metre from the middle


def moved(trace: Trace, kept: tuple[str, ...] = ()) -> dict[str, Any]:
    """A trace as plain data, its points in steps of `STEP`, without the keys that are `kept`.

    A page weaves the triangles of strips by itself.
    """
    if "meta" in trace:
        kept = (*kept, *TRIANGLES)
    plain = {name: value for name, value in trace.items() if name not in kept}
    for name, value in plain.items():
        if isinstance(value, np.ndarray):
            plain[name] = stepped(value) if name in "xyz" else indices(value)
    return plain


def stepped(places: Float[np.ndarray, " n"]) -> dict[str, Any]:
    """Millimetres as whole steps in two bytes each."""
    steps = np.round(places / STEP).clip(-(2**15), 2**15 - 1).astype("<i2")
    return {"step": STEP, "bdata": base64.b64encode(steps.tobytes()).decode()}


def indices(numbers: Integer[np.ndarray, " n"] | Int[np.ndarray, " n"]) -> dict[str, str]:
    """Numbers of vertices as Plotly reads them from bytes."""
    short = numbers.max(initial=0) < 2**16
    content = numbers.astype("<u2" if short else "<i4").tobytes()
    return {"dtype": "u2" if short else "i4", "bdata": base64.b64encode(content).decode()}

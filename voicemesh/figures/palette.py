"""Colours and letters that the figures share."""

import numpy as np
from jaxtyping import Float, Float32, UInt8

INK = "#7d8590"  # legible on white and on black: a figure does not know the page's mode
FONT = {"family": "IBM Plex Sans, ui-sans-serif, system-ui, sans-serif", "size": 12, "color": INK}
# Light to dark in one hue, so that it also reads in grey: near is pale, far is deep.
DISTANCE_STOPS = ("#f4efe6", "#f2cf9b", "#e8935b", "#c4503f", "#7d2248")
# From inward over none to outward; its ends differ in lightness from the middle, not in hue alone.
SIGNED_STOPS = ("#22437e", "#5d8fc4", "#f1efe9", "#e2875a", "#92291f")


def scaled(shares: Float[np.ndarray, " v"], colours: tuple[str, ...]) -> Float32[np.ndarray, "v 3"]:
    """Colours in [0, 1] of places on a scale from 0 to 1; what lies beyond has its end's."""
    ends = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in colours]) / 255
    places = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(shares, places, end) for end in ends.T], 1).astype(np.float32)


def levels(colours: Float32[np.ndarray, "v 3"]) -> UInt8[np.ndarray, "v 3"]:
    """Colours in [0, 1] as bytes."""
    return np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8)


def stops(colours: tuple[str, ...]) -> list[list[float | str]]:
    """Evenly spaced colours as a Plotly colour scale."""
    return [[n / (len(colours) - 1), colour] for n, colour in enumerate(colours)]

"""Figures: heads to be turned by hand, for Plotly, and the voice as it was heard."""

from .drawing import Drawing
from .dressing import Sitter
from .head import VIEWS, View, difference, head, other_views, spread
from .voice import voice

__all__ = [
    "VIEWS",
    "Drawing",
    "Sitter",
    "View",
    "difference",
    "head",
    "other_views",
    "spread",
    "voice",
]

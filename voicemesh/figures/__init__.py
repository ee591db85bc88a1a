"""Plotly figures: heads to be turned by hand, the voice, the place among a gallery."""

from .head import VIEWS, View, another, difference, mesh, other_views, spread
from .voice import voice

__all__ = ["VIEWS", "View", "another", "difference", "mesh", "other_views", "spread", "voice"]

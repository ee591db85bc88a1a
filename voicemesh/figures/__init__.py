"""Plotly figures: heads to be turned by hand, the voice, the place among a gallery."""

from .head import VIEWS, View, difference, mesh, spread
from .voice import voice

__all__ = ["VIEWS", "View", "difference", "mesh", "spread", "voice"]

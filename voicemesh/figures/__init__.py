"""Figures: heads to be turned by hand, for Plotly, and the voice as it was heard."""

from .head import VIEWS, View, another, difference, mesh, other_views, spread
from .voice import voice

__all__ = ["VIEWS", "View", "another", "difference", "mesh", "other_views", "spread", "voice"]

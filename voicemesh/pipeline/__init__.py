"""One recording in, one portrait out."""

from .pipeline import Pipeline, load, vertex_radius
from .portrait import Estimate, Measurement, Pictured, Portrait

__all__ = [
    "Estimate",
    "Measurement",
    "Pictured",
    "Pipeline",
    "Portrait",
    "load",
    "vertex_radius",
]

"""One recording in, one portrait out; portraits beside each other."""

from .comparison import Comparison, Difference, Part, Several, Usual
from .pipeline import Pipeline, load
from .portrait import Estimate, Measurement, Pictured, Portrait

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Measurement",
    "Part",
    "Pictured",
    "Pipeline",
    "Portrait",
    "Several",
    "Usual",
    "load",
]

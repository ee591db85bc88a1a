"""One recording in, one portrait out; portraits beside each other."""

from .comparison import Comparison, Difference, Part, Several, Usual
from .matching import Histogram, Match, Matcher, Ranking
from .pipeline import Pipeline, load
from .portrait import Estimate, Measurement, Pictured, Portrait

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Histogram",
    "Match",
    "Matcher",
    "Measurement",
    "Part",
    "Pictured",
    "Pipeline",
    "Portrait",
    "Ranking",
    "Several",
    "Usual",
    "load",
]

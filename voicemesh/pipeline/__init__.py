"""One recording in, one portrait out; portraits beside each other."""

from .comparison import Comparison, Difference, Part, Several, Usual
from .imagining import Imaginer, Prototypes
from .matching import Histogram, Match, Matcher, Ranking
from .photograph import Photographed
from .pipeline import Pipeline, load
from .portrait import Estimate, Measurement, Pictured, Portrait

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Histogram",
    "Imaginer",
    "Match",
    "Matcher",
    "Measurement",
    "Part",
    "Photographed",
    "Pictured",
    "Pipeline",
    "Portrait",
    "Prototypes",
    "Ranking",
    "Several",
    "Usual",
    "load",
]

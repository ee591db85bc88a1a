"""Cross-Modal Perceptionist on the held-out people of a population: all figures at once."""

from typing import Any

from jaxtyping import Shaped
from torch import Tensor

from voicemesh.population.appearance import APPEARANCE, AXES
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist

from . import geometry
from .expectation import expected_shape
from .predictions import predict
from .statistics import statistics
from .targets import people_targets

AGEING = "grey"  # the one look that follows the age, which a voice does tell a little


def evaluate(
    perceptionist: CrossModalPerceptionist, population: Population
) -> tuple[dict[str, Any], dict[str, Shaped[Tensor, "..."]]]:
    """All figures of a system on the people held out, and the tensors of "cmp-statistics"."""
    face_model, people = perceptionist.face_model, population.people
    targets = people_targets(people, face_model)
    train = population.train
    baselines = geometry.Baselines.of(targets.shape_params[train], targets.female[train])
    best = expected_shape(people, targets.shape_params, train, population.recipe.coupling, 1)
    heard = predict(perceptionist, population)
    results = geometry.evaluate(heard, targets, baselines, face_model, best)
    names = (*AXES, *(name for name in APPEARANCE if name != AGEING))
    results["nulls"] = geometry.nulls(heard, {name: people.column(name) for name in names})
    tensors, coverage = statistics(heard, targets, train, face_model, results["measures"])
    return {**results, "coverage": coverage}, tensors

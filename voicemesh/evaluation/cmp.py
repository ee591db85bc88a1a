"""Cross-Modal Perceptionist on the held-out people of a population: all figures at once."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from voicemesh.population.appearance import APPEARANCE, AXES
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.systems.cmp_unsupervised import ImageBranch

from . import geometry, together
from .expectation import expected_shape
from .predictions import Predictions, predict
from .statistics import Tensors, coverage, error_statistics, people_statistics
from .targets import people_targets

BRANCH = ("errors", "measures", "sex", "coherence")  # what is told of the image branch
AT_ONCE = 64  # faces
AGEING = "grey"  # the one look that follows the age, which a voice does tell a little


def evaluate(
    perceptionist: CrossModalPerceptionist,
    population: Population,
    known: tuple[Predictions, Predictions] | None = None,
) -> tuple[dict[str, Any], Tensors]:
    """All figures of a system, and what "cmp-statistics" says of its errors.

    A system with statistics is measured against its own mean faces and by its own intervals, so
    the population may be any; one without gets both from this population. Sessions in which
    everyone was made to raise the voice are a test of their own ("raised"). What the system says
    may be `known` before, of usual and of raised voices, as `predict` gives it.
    """
    face_model, people = perceptionist.face_model.to("cpu"), population.people
    targets = people_targets(people, face_model)
    own = {name: value.cpu() for name, value in perceptionist.statistics.items()}
    own = own or people_statistics(targets, population.train, face_model)
    baselines = geometry.Baselines(own["mean_male"], own["mean_female"])
    everyone, coupling = np.arange(len(people)), population.recipe.coupling
    best = expected_shape(people, targets.shape_params, everyone, coupling, sessions=1)
    heard, raised = known or predict(perceptionist, population)
    results = geometry.evaluate(heard, targets, baselines, face_model, best)
    results["voice"] = together.voice(heard, targets)
    if perceptionist.images is not None and perceptionist.head is not None:
        pictured = imagined(perceptionist.images, heard)
        judged = geometry.evaluate(pictured, targets, baselines, face_model, best)
        results["pictured"] = {name: judged[name] for name in BRANCH}
        results["agreement"] = geometry.agreement(heard, pictured, baselines, face_model)
    if len(raised.identity):
        results["raised"] = geometry.sex_accuracy(raised, targets, baselines, face_model)
    names = (*AXES, *(name for name in APPEARANCE if name != AGEING))
    results["nulls"] = geometry.nulls(heard, {name: people.column(name) for name in names})
    errors, covered = error_statistics(heard, targets, face_model, results["measures"])
    if "measure_interval" in own:
        covered = coverage(heard, targets, face_model, own["measure_interval"])
    results["coverage"] = covered
    if whole := together.evaluate(perceptionist, population, heard, targets, baselines):
        results["together"] = whole
    return results, errors


def imagined(images: ImageBranch, heard: Predictions) -> Predictions:
    """The same recordings through the image branch."""
    device = images.face_model.mean.device
    shapes = [
        images.imagine(some.to(device)).shape_params.cpu()
        for some in heard.embedding.split(AT_ONCE)
    ]
    return replace(heard, shape_params=torch.cat(shapes))

"""All recordings of a person heard together, against the truth and the ceiling."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.systems.fusion import interval_shares, left_after
from voicemesh.systems.joining import HEARD

from . import geometry
from .bootstrap import explained, identity_means, resampled
from .expectation import expected_shape
from .predictions import Predictions
from .statistics import coverage
from .targets import Targets

SEXES = ("men", "women")


def evaluate(
    perceptionist: CrossModalPerceptionist,
    population: Population,
    heard: Predictions,
    targets: Targets,
    baselines: geometry.Baselines,
) -> dict[str, Any]:
    """What `geometry.evaluate` tells, of everyone's recordings together; and what was heard.

    Empty if they are of one day. The ceiling is that of as many days.
    """
    rows, days = _of_everyone(heard)
    if days < 2:
        return {}
    told = _together(perceptionist, heard, rows, days)
    people, face_model = population.people, perceptionist.face_model.to("cpu")
    everyone, coupling = np.arange(len(people)), population.recipe.coupling
    best = expected_shape(people, targets.shape_params, everyone, coupling, sessions=days)
    results = geometry.evaluate(told, targets, baselines, face_model, best)
    results |= {
        "recordings_each": rows.shape[1],
        "days": days,
        "seconds": rows.shape[1] * population.recipe.seconds,
        "voice": voice(told, targets),
    }
    known = {name: value.cpu() for name, value in perceptionist.statistics.items()}
    if perceptionist.joining is not None and "measure_interval" in known:
        before = known["residual_covariance"]
        shapes = before.shape[0]
        gained = perceptionist.joining.to("cpu").gained(days)[:shapes, :shapes]
        width = interval_shares(face_model.sensitivity(), before, left_after(gained, before))
        intervals = known["measure_interval"] * width
        results["coverage"] = coverage(told, targets, face_model, intervals)
        results["width"] = float(width.mean())
    return results


def voice(predictions: Predictions, targets: Targets, seed: int = 0) -> dict[str, Any]:
    """Explained variance of habitual pitch, tract and age within each sex."""
    rows = torch.from_numpy(predictions.identity)
    results: dict[str, Any] = {}
    for column, name in enumerate(HEARD, 1):
        results[name] = {}
        for mode, sex in enumerate(SEXES):
            own = targets.female[rows] == bool(mode)
            if not own.any():
                continue
            identity, truth = predictions.identity[own.numpy()], targets.traits[rows[own], column]
            usual = targets.traits[np.unique(identity), column].mean()
            errors = torch.stack([predictions.traits[own, column] - truth, usual - truth], 1)
            squares = identity_means(errors.double().square().numpy(), identity)
            weights = resampled(len(squares), np.random.default_rng(seed))
            results[name][sex] = asdict(explained(*squares.T, weights))
    return results


def _of_everyone(heard: Predictions) -> tuple[Int64[np.ndarray, "people each"], int]:
    """Rows of recordings, as many of everyone; and of how many days the fewest are."""
    order = np.lexsort((heard.session, heard.identity))
    _, starts, counts = np.unique(heard.identity[order], return_index=True, return_counts=True)
    rows = order[starts[:, None] + np.arange(counts.min())]
    days = min(len(np.unique(heard.session[own])) for own in rows)
    return rows, days


def _together(
    perceptionist: CrossModalPerceptionist,
    heard: Predictions,
    rows: Int64[np.ndarray, "people each"],
    days: int,
) -> Predictions:
    """One row for everyone; a plain mean where the system knows nothing better."""

    def each(values: Float[Tensor, "rows k"]) -> Float[Tensor, "each people k"]:
        return values[torch.from_numpy(rows.T)]

    identity, session = heard.identity[rows[:, 0]], np.full(len(rows), days)
    if perceptionist.joining is None:
        names = ("shape_params", "embedding", "traits")
        means = {name: each(getattr(heard, name)).mean(0) for name in names}
        return Predictions(**means, identity=identity, session=session)
    device = perceptionist.face_model.mean.device
    seen = perceptionist.perceive_several(each(heard.embedding).to(device), days)
    told = seen.shape_params.cpu(), seen.embedding.cpu(), seen.traits.cpu()
    return Predictions(*told, identity, session)

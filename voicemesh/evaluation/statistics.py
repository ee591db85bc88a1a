"""What a bundle must know of its own errors: mean shapes, residuals, calibrated intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from voicemesh.mesh.face_types import type_params
from voicemesh.mesh.metrics import named_lengths
from voicemesh.mesh.morphable import MorphableModel

from .predictions import Predictions
from .targets import TRAIT_SCALES, Targets

LEVEL = 0.8  # share of the truth that an interval is to cover
WIDTH, LENGTH = "bizygomatic", "menton_sellion"  # their ratio orders faces from wide to narrow


def statistics(
    predictions: Predictions,
    targets: Targets,
    train: Shaped[np.ndarray, " people"],
    face_model: MorphableModel,
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> tuple[dict[str, Shaped[Tensor, "..."]], dict[str, float]]:
    """The tensors of the part "cmp-statistics", and the coverage of its intervals by measure.

    Means are those of the training people. Intervals are calibrated on one half of the predicted
    people, and their coverage is that of the other half. `measures` are rows of the geometric
    evaluation: explained variance and, where known, its ceiling.
    """
    params, female = targets.shape_params[train], targets.female[train]
    lengths = face_model.measurements(params)
    width, length = named_lengths(lengths, face_model.measures, (WIDTH, LENGTH)).unbind(1)
    types = type_params(params, width / length)
    rows = torch.from_numpy(predictions.identity)
    first = halves(predictions, seed)
    residual = targets.shape_params[rows] - predictions.shape_params
    apart = _apart(predictions, targets, face_model)
    heard = (predictions.traits - targets.traits[rows]).abs()
    intervals = _intervals(apart[first], face_model.mean.new_tensor(LEVEL))
    covered = (apart[~first] <= intervals).double().mean(0).tolist()
    result = {
        "mean_male": params[~female].mean(0),
        "mean_female": params[female].mean(0),
        **{f"type_{name}": value for name, value in types.items()},
        "residual_covariance": residual[first].T @ residual[first] / int(first.sum()),
        "measure_interval": intervals,
        "measure_mean": torch.stack([lengths[~female].mean(0), lengths[female].mean(0)]),
        "measure_deviation": torch.stack([lengths[~female].std(0), lengths[female].std(0)]),
    }
    for column, (name, (mean, deviation)) in enumerate(TRAIT_SCALES.items(), 1):
        result[f"{name}_scale"] = torch.tensor([mean, deviation])
        half_width = _intervals(heard[first, column : column + 1], torch.tensor(LEVEL))
        result[f"{name}_interval"] = half_width * deviation
    if measures is not None:
        explained = [measures[name]["explained"]["value"] for name in face_model.measures]
        result["measure_explained"] = torch.tensor(explained)
        if all("ceiling" in row for row in measures.values()):
            ceilings = [measures[name]["ceiling"] for name in face_model.measures]
            result["measure_ceiling"] = torch.tensor(ceilings)
    result = {name: value.float().contiguous() for name, value in result.items()}
    return result, dict(zip(face_model.measures, covered, strict=True))


def coverage(
    predictions: Predictions,
    targets: Targets,
    face_model: MorphableModel,
    intervals: Float[Tensor, " m"],
) -> dict[str, float]:
    """How often the truth lies within these half-widths (mm) of the prediction, by measure."""
    covered = (_apart(predictions, targets, face_model) <= intervals).double().mean(0)
    return dict(zip(face_model.measures, covered.tolist(), strict=True))


def halves(predictions: Predictions, seed: int = 0) -> Bool[Tensor, " rows"]:
    """Rows of a random half of the people, all recordings of a person on one side."""
    people = np.unique(predictions.identity)
    chosen = np.random.default_rng(seed).permutation(people)[: len(people) // 2]
    return torch.from_numpy(np.isin(predictions.identity, chosen))


def _apart(
    predictions: Predictions, targets: Targets, face_model: MorphableModel
) -> Float[Tensor, "rows m"]:
    """Absolute errors of all measures in mm."""
    told = face_model.measurements(predictions.shape_params)
    true = face_model.measurements(targets.shape_params)
    return (told - true[torch.from_numpy(predictions.identity)]).abs()


def _intervals(apart: Float[Tensor, "rows m"], level: Float[Tensor, ""]) -> Float[Tensor, " m"]:
    return torch.quantile(apart.double(), level.double(), dim=0).float()

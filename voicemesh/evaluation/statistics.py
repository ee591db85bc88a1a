"""What a bundle must know of people and of its own errors: the part "cmp-statistics"."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from voicemesh.mesh.face_types import type_params
from voicemesh.mesh.metrics import named_lengths
from voicemesh.mesh.morphable import MorphableModel

from .predictions import Predictions
from .targets import TRAIT_SCALES, Targets

LEVEL = 0.8  # share of the truth that an interval is to cover
WIDTH, LENGTH = "bizygomatic", "menton_sellion"  # their ratio orders faces from wide to narrow
Tensors = dict[str, Shaped[Tensor, "..."]]


def people_statistics(
    targets: Targets, train: Int[np.ndarray, " some"], face_model: MorphableModel
) -> Tensors:
    """Of the people in the rows `train`: mean shapes of the sexes, face types, sizes, scales."""
    params, female = targets.shape_params[train], targets.female[train]
    lengths = face_model.measurements(params)
    width, length = named_lengths(lengths, face_model.measures, (WIDTH, LENGTH)).unbind(1)
    types = type_params(params, width / length)
    return {
        "mean_male": params[~female].mean(0),
        "mean_female": params[female].mean(0),
        **{f"type_{name}": value for name, value in types.items()},
        "measure_mean": torch.stack([lengths[~female].mean(0), lengths[female].mean(0)]),
        "measure_deviation": torch.stack([lengths[~female].std(0), lengths[female].std(0)]),
        **{f"{name}_scale": torch.tensor(scale) for name, scale in TRAIT_SCALES.items()},
    }


def error_statistics(
    predictions: Predictions,
    targets: Targets,
    face_model: MorphableModel,
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> tuple[Tensors, dict[str, float]]:
    """Covariance of what is left, 80 % intervals; and the intervals' coverage by measure.

    Intervals are calibrated on all predicted people. Their coverage is that of intervals which
    were calibrated on one half and tried on the other, both ways. `measures` are rows of the
    geometric evaluation: explained variance and, where known, its ceiling.
    """
    rows = torch.from_numpy(predictions.identity)
    first = halves(predictions, seed)
    residual = targets.shape_params[rows] - predictions.shape_params
    apart = _apart(predictions, targets, face_model)
    heard = (predictions.traits - targets.traits[rows]).abs()
    tried = [(apart[~half] <= _intervals(apart[half])).double().mean(0) for half in (first, ~first)]
    covered = torch.stack(tried).mean(0).tolist()
    result = {
        "residual_covariance": residual.T @ residual / len(residual),
        "measure_interval": _intervals(apart),
    }
    for column, (name, (_, deviation)) in enumerate(TRAIT_SCALES.items(), 1):
        result[f"{name}_interval"] = _intervals(heard[:, column : column + 1]) * deviation
    if measures is not None:
        explained = [measures[name]["explained"]["value"] for name in face_model.measures]
        result["measure_explained"] = torch.tensor(explained)
        if all("ceiling" in row for row in measures.values()):
            ceilings = [measures[name]["ceiling"] for name in face_model.measures]
            result["measure_ceiling"] = torch.tensor(ceilings)
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


def _intervals(apart: Float[Tensor, "rows m"]) -> Float[Tensor, " m"]:
    return torch.quantile(apart, LEVEL, dim=0)

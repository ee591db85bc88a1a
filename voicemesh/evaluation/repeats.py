"""How much what is heard in a voice changes from one recording to the next: "cmp-repeats"."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.systems.cmp import shape_gram, squared_distance
from voicemesh.systems.fusion import TRAITS, Repeats, interval_shares

from .predictions import Predictions
from .targets import Targets

QUANTILES = 101  # of the distances between two meshes
PAIRS = 1_000_000  # of random recordings, few of them of one voice


def repeat_statistics(
    predictions: Predictions, face_model: MorphableModel, seed: int = 0
) -> dict[str, Shaped[Tensor, "..."]]:
    """Covariances between and within people, of shapes and of traits; distances of meshes.

    The distances are quantiles of root mean square vertex distances in mm: "same_distance" of two
    recordings of one voice in two sessions, "other_distance" of two voices heard as of one sex.
    """
    identity, session = predictions.identity, predictions.session
    person = torch.from_numpy(identity)
    told = Repeats.measured(predictions.shape_params, person).tensors()
    told |= Repeats.measured(predictions.traits, person).tensors(TRAITS)
    a, b = np.random.default_rng(seed).integers(len(identity), size=(2, PAIRS))
    female = (predictions.traits[:, 0] > 0).numpy()
    chosen = {
        "same_distance": (identity[a] == identity[b]) & (session[a] != session[b]),
        "other_distance": (identity[a] != identity[b]) & (female[a] == female[b]),
    }
    gram, shares = shape_gram(face_model), torch.linspace(0, 1, QUANTILES)
    for name, pairs in chosen.items():
        away = predictions.shape_params[a[pairs]] - predictions.shape_params[b[pairs]]
        distances = (squared_distance(away, gram) / len(face_model.mean)).sqrt()
        told[name] = torch.from_numpy(np.quantile(distances.numpy(), shares.numpy())).float()
    return told


def fusions(
    predictions: Predictions,
    targets: Targets,
    face_model: MorphableModel,
    repeats: Repeats,
    statistics: dict[str, Shaped[Tensor, "..."]],
    counts: Sequence[int] = (1, 2, 3),
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Means of so many recordings of different sessions, one of each person, against the truth.

    How often the 80 % intervals of `statistics` hold once they are shrunk, how wide they are
    against those of one recording, and the error of the mesh in mm (root mean square).
    """
    rng, gram = np.random.default_rng(seed), shape_gram(face_model)
    lengths = face_model.measurements(targets.shape_params)
    jacobian, residual = face_model.sensitivity(), statistics["residual_covariance"]
    rows = []
    for count in counts:
        width = interval_shares(jacobian, residual, repeats.shrunk(residual, count))
        held, squares = [], []
        for person in np.unique(predictions.identity):
            own = np.flatnonzero(predictions.identity == person)
            sessions = rng.permutation(np.unique(predictions.session[own]))[:count]
            if len(sessions) < count:
                continue
            chosen = [rng.choice(own[predictions.session[own] == one]) for one in sessions]
            fused, at = predictions.shape_params[chosen].mean(0), int(person)
            apart = (face_model.measurements(fused) - lengths[at]).abs()
            held.append(apart <= statistics["measure_interval"] * width)
            squares.append(squared_distance(fused - targets.shape_params[at], gram))
        error = (torch.stack(squares).mean() / len(face_model.mean)).sqrt()
        rows.append(
            {
                "recordings": count,
                "people": len(held),
                "coverage": float(torch.stack(held).double().mean()),
                "width": float(width.mean()),
                "rms_mm": float(error),
            }
        )
    return rows

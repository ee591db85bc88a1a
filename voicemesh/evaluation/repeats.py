"""How much what is heard in a voice changes from one recording to the next: "cmp-repeats"."""

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.systems.cmp import shape_gram, squared_distance
from voicemesh.systems.fusion import TRAITS, Repeats

from .predictions import Predictions

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

"""The truth about a population's people: shape parameters and traits of the voice."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population import faces
from voicemesh.population.law import People

# Mean and deviation behind the z-scores of the voice traits, over both sexes: of the law's people.
TRAIT_SCALES = {"log_f0": (5.05, 0.31), "log_vtl": (2.77, 0.09), "age": (42.0, 15.0)}


@dataclass(frozen=True, eq=False)
class Targets:
    """The truth about people, one row each."""

    shape_params: Float[Tensor, "people s"]
    traits: Float[Tensor, "people 4"]  # 1 for a woman, z-scores of log pitch, log tract, age
    female: Bool[Tensor, " people"]


def people_targets(people: People, face_model: MorphableModel) -> Targets:
    """Shape parameters and voice traits of every person."""
    female = torch.from_numpy(people.mode == 1)
    scores = [
        (values - TRAIT_SCALES[name][0]) / TRAIT_SCALES[name][1]
        for name, values in (
            ("log_f0", people.column("log_f0")),
            ("log_vtl", people.column("log_vtl")),
            ("age", people.age),
        )
    ]
    traits = torch.from_numpy(np.stack([people.mode == 1, *scores], 1)).float()
    shape_params = faces.shape_params(people, face_model)
    return Targets(torch.as_tensor(shape_params).float(), traits, female)

"""Supervised Cross-Modal Perceptionist on Voxceleb-3D, as its authors lay it out on disk.

The publication trains on it but gives neither losses nor schedule: ours are those of
`voicemesh.training.cmp`. There is no pitch, tract or age to learn from.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from voicemesh.audio import feature_files
from voicemesh.audio.features import PUBLISHED, repeat
from voicemesh.evaluation.voxceleb3d import Person, Voxceleb3D, read_params
from voicemesh.mesh.morphable import MorphableModel

from .cmp_nets import CmpNets
from .cmp_recipe import CmpRecipe
from .loop import Batch, mean_losses
from .schedules import one_cycle

UNKNOWN = {"pitch_weight": 0.0, "tract_weight": 0.0, "age_weight": 0.0}
VALIDATION_FILES = 3  # of each identity, as the published evaluation reads
AT_ONCE = 50


class Voxceleb3DTask:
    """Voices and fitted faces of one identity each: what the loop needs to train."""

    def __init__(self, recipe: CmpRecipe, root: str | Path, face_model: MorphableModel) -> None:
        if recipe.front_end != "cmp" or recipe.expected_targets:
            raise ValueError(
                "Voxceleb-3D holds published features and fitted faces: front_end=cmp and"
                " expected_targets=false are needed"
            )
        self.recipe = replace(recipe, **UNKNOWN)
        torch.manual_seed(recipe.seed)
        self.net: nn.Module = CmpNets(self.recipe, face_model, PUBLISHED.mels)
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )
        self.train = Voxceleb3D.open(root, "train").people
        self.validation = Voxceleb3D.open(root, "validation").people
        self.faces = {
            person.identity.vggface: faces_of(person, face_model)
            for person in (*self.train, *self.validation)
        }

    def batch(self, rng: np.random.Generator) -> Batch:
        """Two recordings each of some people, every one with any of the identity's faces."""
        pairs = self.recipe.batch_size // 2
        chosen = rng.choice(len(self.train), pairs, replace=pairs > len(self.train))
        frames = int(rng.integers(self.recipe.shortest_crop, self.recipe.longest_crop + 1))
        items = []
        for number in np.repeat(chosen, 2):
            person = self.train[number]
            file = person.features[int(rng.integers(len(person.features)))]
            faces = self.faces[person.identity.vggface]
            face = faces[int(rng.integers(len(faces)))]
            items.append((int(number), person, crop(file, frames, rng), face))
        return collate(items)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on the first recordings of the people held out, each with the first face."""
        items = [
            (number, person, crop(file, self.recipe.longest_crop, None), self.faces[name][0])
            for number, person in enumerate(self.validation)
            for name in (person.identity.vggface,)
            for file in person.features[:VALIDATION_FILES]
        ]
        parts = (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
        means = mean_losses(self.net, ((len(some), collate(some)) for some in parts), device)
        return {**means, "selection": means["loss"]}


def faces_of(person: Person, face_model: MorphableModel) -> Float32[Tensor, "faces params"]:
    """Scale (left at its mean), whitened shape and expression of every face of an identity.

    Raises:
        ValueError: there are no parameter files.
    """
    files = sorted(person.faces.glob("*.npy"))
    if not files:
        raise ValueError(f"{person.faces} has no parameter file (.npy) to learn from")
    shapes, expressions = len(face_model.shape_mean), len(face_model.expression_mean)
    rows = []
    for file in files:
        shape, expression = (torch.from_numpy(v) for v in read_params(file, shapes, expressions))
        shape = (shape - face_model.shape_mean) / face_model.shape_deviation
        expression = (expression - face_model.expression_mean) / face_model.expression_deviation
        rows.append(torch.cat([shape.new_zeros(1), shape, expression]))
    return torch.stack(rows)


def crop(
    file: Path, frames: int, rng: np.random.Generator | None
) -> Float32[Tensor, "mels frames"]:
    """So many frames of a feature file from a random place; a shorter one goes round."""
    whole = repeat(torch.from_numpy(feature_files.load(file))[None], frames)[0]
    start = int(rng.integers(whole.shape[1] - frames + 1)) if rng else 0
    return whole[:, start : start + frames]


def collate(items: list[tuple[int, Person, Tensor, Tensor]]) -> Batch:
    """Rows of a batch; pitch, tract and age are zeros that nothing is learnt from."""
    traits = torch.zeros(len(items), 4)
    traits[:, 0] = torch.tensor([float(person.female) for _, person, _, _ in items])
    return {
        "features": torch.stack([features for _, _, features, _ in items]),
        "identity": torch.tensor([number for number, _, _, _ in items]),
        "parameters": torch.stack([face for _, _, _, face in items]),
        "traits": traits,
    }

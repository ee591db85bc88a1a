"""Supervised Cross-Modal Perceptionist: recipe, targets, one step."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from voicemesh.audio.cycles import TRACKS
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation.voxceleb3d import is_layout
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.cmp import TRAITS

from .cmp_nets import CmpNets
from .cmp_recipe import RECIPES as RECIPES
from .cmp_recipe import CmpRecipe
from .cmp_voxceleb3d import Voxceleb3DTask
from .crowd import Crowd
from .data import FeatureSet, PairSampler
from .days import Days, DayTargets
from .loop import Batch, LoopSettings, mean_losses, train
from .runs import best_of, finished
from .schedules import held_cycle

VALIDATION_FRAMES = 300
VALIDATION_ROWS = 1500
VALIDATION_BATCH = 50


class CmpTask:
    """A crowd, its features and the nets: what the loop needs to train."""

    def __init__(
        self,
        recipe: CmpRecipe,
        crowd: Crowd,
        utterances: FeatureSet,
        face_model: MorphableModel,
    ) -> None:
        if recipe.kept_layers and not recipe.start:
            raise ValueError(
                f"kept_layers is {recipe.kept_layers}, but no run is named whose layers to keep;"
                " give start="
            )
        self.recipe, self.utterances = recipe, utterances
        torch.manual_seed(recipe.seed)
        channels = utterances.shards[0].shape[2]
        self.net: nn.Module = CmpNets(recipe, face_model, channels)
        if recipe.start:
            self.net.load_state_dict(best_of(Path(recipe.start)))
        self.optimiser, self.schedule = held_cycle(
            self.net.parameters(),
            recipe.steps,
            recipe.learning_rate,
            recipe.weight_decay,
            recipe.rise,
            recipe.hold,
        )
        self.targets = crowd.targets(face_model)
        ours = np.isin(utterances.identity, crowd.train)
        learnt = ours & (recipe.clean | ~utterances.clean)
        self._rows = np.flatnonzero(learnt)
        self._sampler = PairSampler(utterances.identity[learnt], utterances.session[learnt])
        self._facts = facts = self._told(crowd)
        shape_params = facts.pop("shape_params")
        train_rows = torch.from_numpy(self._rows)
        shape_weights = self.net.weights[1 : 1 + shape_params.shape[1]]
        spread = shape_params[self._day[train_rows]].var(0)
        shape_weights /= spread @ shape_weights  # the mean face costs 1
        if not recipe.start:
            mean_face = shape_params[self._day[train_rows]].mean(0)
            self.net.head.classifier_shape[1].bias.data.copy_(mean_face)
        others = shape_params.new_zeros(len(shape_params), face_model.expression_basis.shape[2])
        facts["parameters"] = torch.cat([others[:, :1], shape_params, others], 1)
        held_out = np.flatnonzero(~ours & ~utterances.clean)
        every = max(1, len(held_out) // VALIDATION_ROWS)
        self._validation = held_out[::every][:VALIDATION_ROWS]

    def _told(self, crowd: Crowd) -> dict[str, Float[Tensor, "days ..."]]:
        """Targets by name, one row for every person on every day."""
        self.days = days = Days.of(crowd, self.utterances)
        self._day = torch.from_numpy(days.of_row)
        people = torch.from_numpy(days.identity)
        traits, shape_params = self.targets.traits[people], self.targets.shape_params
        facts = {"traits": traits, "shape_params": shape_params[people]}
        recipe = self.recipe
        asked = recipe.measures_weight, recipe.habits_weight, recipe.effort_weight
        if recipe.expected_targets or any(asked):
            told = DayTargets.of(days, crowd, shape_params)
            facts |= {"measures": told.measures, "habits": told.habits, "effort": told.effort}
            if recipe.expected_targets:
                facts["shape_params"] = told.shape_params
                traits[:, TRAITS.index("age")] = told.age
        return facts

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random crops of one length, two recordings per person."""
        frames = int(rng.integers(self.recipe.shortest_crop, self.recipe.longest_crop + 1))
        frames = min(frames, self.utterances.frames)
        batch = self.pairs(self.recipe.batch_size // 2, frames, rng)
        hide(batch["features"], self.recipe.masked_bands, self.recipe.masked_frames, rng)
        if self.recipe.masked_tracks:
            deaf = rng.random(len(batch["features"])) < self.recipe.masked_tracks
            batch["features"][torch.from_numpy(deaf), -TRACKS:] = 0
        return batch

    def pairs(self, pairs: int, frames: int, rng: np.random.Generator) -> Batch:
        """Two recordings each of some people to train on."""
        return self._collate(self._rows[self._sampler.draw(pairs, rng)], frames, rng)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses and accuracy on held-out people through their channels; never on clean speech."""
        rows, frames = self._validation, min(VALIDATION_FRAMES, self.utterances.frames)
        parts = np.split(rows, range(VALIDATION_BATCH, len(rows), VALIDATION_BATCH))
        batches = ((len(some), self._collate(some, frames, None)) for some in parts)
        means = mean_losses(self.net, batches, device)
        return {**means, "selection": means["loss"]}

    def _collate(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Batch:
        days = self._day[torch.from_numpy(rows)]
        return {
            "features": self.utterances.crops(rows, frames, rng),
            "identity": torch.from_numpy(self.utterances.identity[rows]),
            **{name: value[days] for name, value in self._facts.items()},
        }


def hide(
    features: Float[Tensor, "batch channels frames"],
    most_bands: int,
    most_frames: int,
    rng: np.random.Generator,
) -> None:
    """Set a random stretch of channels and one of frames of every crop to zero, in place."""
    for item in features:
        for axis, most in ((0, most_bands), (1, most_frames)):
            width = int(rng.integers(most + 1))
            start = int(rng.integers(item.shape[axis] - width + 1))
            item.narrow(axis, start, width).zero_()


def start(
    data: Path,
    run: Path,
    recipe: CmpRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the population in `data` and those that the recipe adds; call again to go on.

    `data` may be a Voxceleb-3D instead. The face model is that of `bundle`. `workers` processes
    compute the features, once. Returns the best validation so far.

    Raises:
        ValueError: further populations are asked for beside a Voxceleb-3D, or do not fit.
    """
    began = time.monotonic()
    if is_layout(data):
        if recipe.more:
            raise ValueError(
                f"{data} is a Voxceleb-3D and goes with no population; leave out more="
            )
        task = Voxceleb3DTask(recipe, data, bundle.face_model())
        return train(task, recipe, run, settings_of(recipe, minutes))
    crowd = Crowd.open(data, recipe.more)
    utterances = crowd.features(recipe.front_end, workers)
    for cycle, folder in cycles(recipe, run):
        task = CmpTask(cycle, crowd, utterances, bundle.face_model())
        left = minutes - (time.monotonic() - began) / 60
        best = train(task, cycle, folder, settings_of(cycle, left))
        if not finished(folder, cycle.steps):
            break  # out of time
    return best


def settings_of(recipe: CmpRecipe, minutes: float) -> LoopSettings:
    """How the loop trains a recipe."""
    return LoopSettings(recipe.steps, recipe.seed, minutes=minutes, half=recipe.half)


def cycles(recipe: CmpRecipe, run: Path) -> list[tuple[CmpRecipe, Path]]:
    """The runs that a recipe consists of, one after the other, each with its folder."""
    if not recipe.first_steps or recipe.start:
        return [(recipe, run)]
    first = replace(
        recipe,
        steps=recipe.first_steps,
        learning_rate=recipe.first_rate,
        rise=recipe.first_rise,
        hold=recipe.first_hold,
        first_steps=0,
    )
    folder = run / "first"
    second = replace(recipe, first_steps=0, start=str(folder), seed=recipe.seed + 1)
    return [(first, folder), (second, run)]

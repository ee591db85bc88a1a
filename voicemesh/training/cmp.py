"""Supervised Cross-Modal Perceptionist: recipe, targets, one step."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation.expectation import expected_shape
from voicemesh.evaluation.targets import people_targets
from voicemesh.evaluation.voxceleb3d import is_layout
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.population.dataset import Population

from .data import FeatureSet, PairSampler, features
from .loop import Batch, LoopSettings, one_cycle, train
from .losses import session_triplet, weighted_error

VALIDATION_FRAMES = 300
VALIDATION_ROWS = 1500
VALIDATION_BATCH = 50
LITTLE = 0.01  # weight of the parameters that nothing is to be said about


@dataclass(frozen=True)
class CmpRecipe:
    """Supervised Cross-Modal Perceptionist; the defaults are the published sizes and rates.

    The authors published neither losses nor weights of this branch; those are ours.
    """

    front_end: str = "cmp"
    widths: tuple[int, ...] = (256, 384, 576, 864)
    embedding: int = 64
    dropout: float = 0.2  # in front of the face parameters
    noise: float = 0.05  # standard deviation, added to the unit embedding
    steps: int = 50_000
    batch_size: int = 64
    shortest_crop: int = 300  # frames
    longest_crop: int = 800
    masked_bands: int = 0  # at most so many neighbouring channels of a crop are hidden
    masked_frames: int = 0  # and so many frames
    learning_rate: float = 2e-4
    weight_decay: float = 0.01
    expected_targets: bool = False  # what the voice's own parameters let expect, not the face
    shape_weight: float = 1.0
    sex_weight: float = 1.0
    pitch_weight: float = 0.7
    tract_weight: float = 0.7
    age_weight: float = 0.3
    triplet_weight: float = 0.0
    triplet_margin: float = 0.3
    start: str = ""  # folder of a finished run to start from
    seed: int = 0


BUNDLE = CmpRecipe(
    front_end="voicemesh",
    widths=(128, 192, 288, 432),
    dropout=0.0,
    noise=0.0,
    steps=7000,
    batch_size=48,
    shortest_crop=120,
    longest_crop=320,
    masked_bands=10,
    masked_frames=20,
    learning_rate=3e-3,
    weight_decay=0.05,
    expected_targets=True,
    shape_weight=2.0,
    triplet_weight=0.1,
)
RECIPES = {"published": CmpRecipe(), "bundle": BUNDLE}


class CmpNets(nn.Module):
    """The three nets that are trained together, and their losses."""

    def __init__(self, recipe: CmpRecipe, face_model: MorphableModel, channels: int) -> None:
        super().__init__()
        weights = parameter_weights(face_model)
        shapes, expressions = (
            basis.shape[2] for basis in (face_model.shape_basis, face_model.expression_basis)
        )
        self.recipe = recipe
        self.voice = VoiceEncoder(channels, recipe.widths, recipe.embedding)
        self.head = SupervisedHead(recipe.embedding, shapes, expressions, recipe.dropout)
        self.traits = VoiceTraits(recipe.embedding)
        self.register_buffer("weights", weights, persistent=False)  # known to every run

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum."""
        recipe, traits = self.recipe, batch["traits"]
        unit = functional.normalize(self.voice(batch["features"]))
        if self.training and recipe.noise:
            unit = functional.normalize(unit + recipe.noise * torch.randn_like(unit))
        told = self.traits(unit)
        pitch, tract, age = (told[:, 1:] - traits[:, 1:]).square().mean(0).unbind()
        losses = {
            "shape": weighted_error(self.head(unit), batch["parameters"], self.weights),
            "sex": functional.binary_cross_entropy_with_logits(told[:, 0], traits[:, 0]),
            "pitch": pitch,
            "tract": tract,
            "age": age,
        }
        if recipe.triplet_weight:
            losses["triplet"] = session_triplet(unit, batch["identity"], recipe.triplet_margin)
        total = sum(getattr(recipe, f"{name}_weight") * value for name, value in losses.items())
        wrong = (told[:, 0] > 0) != (traits[:, 0] > 0.5)
        return {"loss": total, **losses, "sex_wrong": wrong.float().mean()}


def parameter_weights(face_model: MorphableModel) -> Float[Tensor, " params"]:
    """Shape: the share of each component in the variance of the vertices. Others: a little.

    Scale and expression have the target zero; a small weight is enough to bring them there.
    """
    shares = (face_model.shape_basis * face_model.shape_deviation).square().sum((0, 1)).cpu()
    expressions = face_model.expression_basis.shape[2]
    little = torch.full((expressions,), LITTLE / expressions)
    return torch.cat([torch.tensor([LITTLE]), shares / shares.sum(), little])


class CmpTask:
    """A population, its features and the nets: what the loop needs to train."""

    def __init__(
        self,
        recipe: CmpRecipe,
        population: Population,
        utterances: FeatureSet,
        face_model: MorphableModel,
    ) -> None:
        self.recipe, self.utterances = recipe, utterances
        torch.manual_seed(recipe.seed)
        channels = utterances.shards[0].shape[2]
        self.net: nn.Module = CmpNets(recipe, face_model, channels)
        if recipe.start:
            self.net.load_state_dict(load_file(Path(recipe.start) / "best.safetensors"))
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )
        self.targets = targets = people_targets(population.people, face_model)
        ours = np.isin(utterances.identity, population.train)
        self._rows = np.flatnonzero(ours)
        self._sampler = PairSampler(utterances.identity[ours], utterances.session[ours])
        shape_params = targets.shape_params
        if recipe.expected_targets:
            shape_params = expected_shape(
                population.people, shape_params, population.train, population.recipe.coupling
            )
        shape_weights = self.net.weights[1 : 1 + shape_params.shape[1]]
        shape_weights /= shape_params[population.train].var(0) @ shape_weights  # mean face: 1
        mean_face = shape_params[population.train].mean(0)
        if not recipe.start:
            self.net.head.classifier_shape[1].bias.data.copy_(mean_face)
        others = shape_params.new_zeros(len(shape_params), face_model.expression_basis.shape[2])
        self._parameters = torch.cat([others[:, :1], shape_params, others], 1)
        self._traits = targets.traits
        held_out = np.flatnonzero(~ours & ~utterances.clean)
        every = max(1, len(held_out) // VALIDATION_ROWS)
        self._validation = held_out[::every][:VALIDATION_ROWS]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random crops of one length, two recordings per person."""
        frames = int(rng.integers(self.recipe.shortest_crop, self.recipe.longest_crop + 1))
        frames = min(frames, self.utterances.frames)
        batch = self.pairs(self.recipe.batch_size // 2, frames, rng)
        hide(batch["features"], self.recipe.masked_bands, self.recipe.masked_frames, rng)
        return batch

    def pairs(self, pairs: int, frames: int, rng: np.random.Generator) -> Batch:
        """Two recordings each of some people to train on."""
        return self._collate(self._rows[self._sampler.draw(pairs, rng)], frames, rng)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses and accuracy on held-out people through their channels; never on clean speech."""
        sums: dict[str, float] = {}
        frames = min(VALIDATION_FRAMES, self.utterances.frames)
        for start in range(0, len(self._validation), VALIDATION_BATCH):
            rows = self._validation[start : start + VALIDATION_BATCH]
            batch = {k: v.to(device) for k, v in self._collate(rows, frames, None).items()}
            for name, value in self.net(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(rows)
        means = {name: value / len(self._validation) for name, value in sums.items()}
        return {**means, "selection": means["loss"]}

    def _collate(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Batch:
        people = torch.from_numpy(self.utterances.identity[rows])
        return {
            "features": self.utterances.crops(rows, frames, rng),
            "identity": people,
            "parameters": self._parameters[people],
            "traits": self._traits[people],
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
    """Train on the population in `data`, in the folder `run`; call again to go on.

    `data` may be a Voxceleb-3D instead. The face model is that of `bundle`. `workers` processes
    compute the features, once. Returns the best validation so far.
    """
    from .cmp_voxceleb3d import Voxceleb3DTask

    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes)
    if is_layout(data):
        return train(Voxceleb3DTask(recipe, data, bundle.face_model()), recipe, run, settings)
    population = Population.open(data)
    utterances = features(population.folder, recipe.front_end, workers)
    task = CmpTask(recipe, population, utterances, bundle.face_model())
    return train(task, recipe, run, settings)

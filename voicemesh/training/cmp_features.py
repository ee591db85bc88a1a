"""A second ear for a bundle: published log-mel features to the embedding that its encoder gives.

The encoder of the embedded bundle hears more than the published features hold, so those cannot be
fed to it. A student that reads the published features of a voice learns to give the embedding
that the encoder gives of the same speech; everything behind the embedding is shared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.audio.features import FRONT_ENDS, PUBLISHED, standardise
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import CMP_FEATURE_VOICE, CMP_HEAD, CMP_VOICE
from voicemesh.evaluation import cmp_table
from voicemesh.evaluation.cmp import evaluate
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist, front_end_name

from .data import FeatureSet, features
from .loop import Batch, LoopSettings, mean_losses, train
from .losses import weighted_error
from .runs import best_of, origin, recipe_of, steps_of
from .schedules import one_cycle

VALIDATION_ROWS = 600
AT_ONCE = 50


@dataclass(frozen=True)
class FeatureRecipe:
    """How the student is trained; its widths are the published ones unless told otherwise."""

    widths: tuple[int, ...] = (256, 384, 576, 864)
    steps: int = 20_000
    batch_size: int = 48
    shortest_crop: int = 150  # frames
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    face_weight: float = 1.0  # of what the face parameters differ by, beside the embedding
    seed: int = 0


RECIPES = {
    "published": FeatureRecipe(),
    "bundle": FeatureRecipe(widths=(128, 192, 288, 432), steps=4000),
}


class Apprentice(nn.Module):
    """The student, and how far its embeddings and faces are from those of the teacher."""

    def __init__(
        self, recipe: FeatureRecipe, embedding: int, head: SupervisedHead, mels: int
    ) -> None:
        super().__init__()
        self.voice = VoiceEncoder(mels, recipe.widths, embedding)
        self.face_weight = recipe.face_weight
        self.register_buffer("face", head.classifier_shape[1].weight.detach(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name. A mean over faces of one squared deviation per parameter costs one."""
        unit, target = functional.normalize(self.voice(batch["features"])), batch["unit"]
        apart = 1 - (unit * target).sum(1).mean()
        weights = self.face.new_full((len(self.face),), 1 / len(self.face))
        faces = weighted_error(unit @ self.face.T, target @ self.face.T, weights)
        return {"loss": apart + self.face_weight * faces, "apart": apart, "faces": faces}


class FeatureTask:
    """What both ears read of the same recordings, and the student: what the loop needs."""

    def __init__(
        self,
        recipe: FeatureRecipe,
        population: Population,
        published: FeatureSet,
        utterances: FeatureSet,
        bundle: Bundle,
    ) -> None:
        self.recipe, self.published, self.utterances = recipe, published, utterances
        self.teacher = bundle.net(CMP_VOICE)
        torch.manual_seed(recipe.seed)
        self.net: nn.Module = Apprentice(
            recipe, self.teacher.model[-1].out_channels, bundle.net(CMP_HEAD), PUBLISHED.mels
        )
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )
        ours = np.isin(utterances.identity, population.train)
        self._rows = np.flatnonzero(ours)
        held_out = np.flatnonzero(~ours & ~utterances.clean)
        self._validation = held_out[:: max(1, len(held_out) // VALIDATION_ROWS)][:VALIDATION_ROWS]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Crops of one length, each with the teacher's embedding of the whole recording."""
        asked = self.recipe.batch_size
        rows = rng.choice(self._rows, asked, replace=asked > len(self._rows))
        longest = self.utterances.frames  # beyond it the published features go round
        frames = int(rng.integers(min(self.recipe.shortest_crop, longest), longest + 1))
        return self._collate(rows, frames, rng)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on people held out, through their channels."""
        rows, frames = self._validation, self.utterances.frames
        parts = np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))
        batches = ((len(some), self._collate(some, frames, None)) for some in parts)
        means = mean_losses(self.net, batches, device)
        return {**means, "selection": means["loss"]}

    @torch.no_grad()
    def _collate(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Batch:
        whole = self.utterances.frames
        first = int(rng.integers(whole - frames + 1)) if rng else 0
        heard = self.published.crops(rows, whole, None)[..., first : first + frames]
        unit = functional.normalize(self.teacher(self.utterances.crops(rows, whole, None)))
        return {"features": standardise(heard), "unit": unit}


def start(
    data: Path,
    run: Path,
    recipe: FeatureRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the population in `data`, in the folder `run`; call again to go on.

    The teacher is the voice encoder of `bundle`. Returns the best validation so far.
    """
    population = Population.open(data)
    teacher_hears = front_end_name(bundle.net(CMP_VOICE))
    published, utterances = (
        features(population.folder, front_end, workers) for front_end in ("cmp", teacher_hears)
    )
    task = FeatureTask(recipe, population, published, utterances, bundle)
    return train(task, recipe, run, LoopSettings(recipe.steps, recipe.seed, minutes=minutes))


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the student of a run as a part of a bundle, measured behind the nets of `source`.

    The people are those held out of the population, or of `judges`.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    widths = list(recipe_of(run, FeatureRecipe).widths)
    system = CrossModalPerceptionist.from_bundle(source)
    embedding = system.voice.model[-1].out_channels
    student = VoiceEncoder(PUBLISHED.mels, widths, embedding).eval()
    student.load_state_dict(best_of(run, "voice"))
    student.half().float()  # as it is stored
    reader = CrossModalPerceptionist(
        FRONT_ENDS["cmp"],
        student,
        system.head,
        system.face_model,
        system.traits,
        system.statistics,
    )
    results, _ = evaluate(reader, judges or population)
    writer.net(
        CMP_FEATURE_VOICE,
        student,
        {"input_channels": PUBLISHED.mels, "widths": widths, "embedding": embedding},
        half=True,
        results={"people_heard": results["people"], "sex_of_features": results["sex"]},
        **origin(
            "cmp-features",
            f"{len(population.train)} synthetic people, {steps_of(run)} steps after the bundle's"
            " own encoder; no recording of a person",
        ),
    )
    return cmp_table.table(results)

"""A second ear for a bundle: published log-mel features to the embedding that its encoder gives.

The encoder of the embedded bundle hears more than the published features hold, so those cannot be
fed to it. A student that reads the published features of a voice learns to give the embedding
that the encoder gives of the same speech; everything behind the embedding is shared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.audio.features import PUBLISHED, log_mel, standardise
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation.predictions import speech_of
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder
from voicemesh.population.dataset import Population

from .data import FeatureSet, features
from .loop import Batch, LoopSettings, one_cycle, train
from .losses import weighted_error

TEACHER = "cmp-voice-encoder"
HEAD = "cmp-supervised-head"
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
    """Recordings, the teacher's embeddings of them and the student: what the loop needs."""

    def __init__(
        self, recipe: FeatureRecipe, population: Population, utterances: FeatureSet, bundle: Bundle
    ) -> None:
        self.recipe, self.utterances = recipe, utterances
        self.shards = [
            safe_open(path, "np").get_slice("waveform")
            for path in sorted(population.folder.glob("shard-*.safetensors"))
        ]
        self.starts = np.cumsum([0, *(shard.get_shape()[0] for shard in self.shards)])
        teacher, head = bundle.net(TEACHER), bundle.net(HEAD)
        torch.manual_seed(recipe.seed)
        self.net: nn.Module = Apprentice(
            recipe, teacher.model[-1].out_channels, head, PUBLISHED.mels
        )
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )
        self.teacher = teacher
        ours = np.isin(utterances.identity, population.train)
        self._rows = np.flatnonzero(ours)
        held_out = np.flatnonzero(~ours & ~utterances.clean)
        self._validation = held_out[:: max(1, len(held_out) // VALIDATION_ROWS)][:VALIDATION_ROWS]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Crops of one length, each with the teacher's embedding of the whole recording."""
        rows = rng.choice(self._rows, self.recipe.batch_size, replace=False)
        frames = int(rng.integers(self.recipe.shortest_crop, self.utterances.frames + 1))
        return self._collate(rows, frames, rng)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on people held out, through their channels."""
        sums: dict[str, float] = {}
        for start in range(0, len(self._validation), AT_ONCE):
            rows = self._validation[start : start + AT_ONCE]
            batch = self._collate(rows, self.utterances.frames, None)
            for name, value in self.net({k: v.to(device) for k, v in batch.items()}).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(rows)
        means = {name: value / len(self._validation) for name, value in sums.items()}
        return {**means, "selection": means["loss"]}

    @torch.no_grad()
    def _collate(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Batch:
        heard = self.utterances.crops(rows, self.utterances.frames, None)
        speech = torch.stack([speech_of(self.waveform(int(row))) for row in rows])
        mel = log_mel(speech, PUBLISHED)
        start = int(rng.integers(mel.shape[2] - frames + 1)) if rng else 0
        return {
            "features": standardise(mel[..., start : start + frames]),
            "unit": functional.normalize(self.teacher(heard)),
        }

    def waveform(self, row: int) -> Int16[np.ndarray, " samples"]:
        """One recording of the population."""
        shard = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.shards[shard][row - self.starts[shard]]


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
    utterances = features(population.folder, "voicemesh", workers)
    task = FeatureTask(recipe, population, utterances, bundle)
    return train(task, recipe, run, LoopSettings(recipe.steps, recipe.seed, minutes=minutes))

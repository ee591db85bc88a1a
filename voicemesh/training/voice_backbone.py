"""A voice backbone that hears all that a face may depend on, before it meets faces.

Both association systems start from networks that know speakers already; this makes ours, from the
voice encoder of Cross-Modal Perceptionist. A population tells how its people's voices are: the
backbone learns those habits, most of all the combinations of them that are tied to faces.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.population.dataset import Population
from voicemesh.population.law import People, draw
from voicemesh.population.likelihood import known_of

from .cmp import hide
from .data import FeatureSet, PairSampler
from .loop import Batch, one_cycle

DRAWN = 100_000  # people that the ties between habits and faces are measured on
SEED = 20_260_103  # apart from the seeds of populations
AT_ONCE = 50


@dataclass(frozen=True)
class VoiceRecipe:
    """Further training of a voice encoder on the habits of a population's voices."""

    front_end: str = "voicemesh"
    steps: int = 3000
    batch_size: int = 64  # two recordings of each person
    shortest_crop: int = 140  # frames
    longest_crop: int = 260
    masked_bands: int = 8
    masked_frames: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.03
    tied_weight: float = 8.0  # of habits that are tied to faces, against all habits alike
    sex_weight: float = 0.5
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Habits:
    """Combinations of voice habits, uncorrelated within a sex, those tied to faces first."""

    mean: Float[np.ndarray, " quantities"]
    axes: Float[np.ndarray, "quantities quantities"]
    ties: Float[np.ndarray, " quantities"]  # squared correlation of each with what a face shows

    @classmethod
    def of_law(cls, coupling: float, count: int = DRAWN) -> "Habits":
        """Canonical axes of voices against lengths and age within a sex, in a draw of the law."""
        people = draw(count, SEED, coupling)
        apart, told = np.zeros_like(people.voice), np.zeros_like(people.voice)
        for mode in (0, 1):
            rows = np.flatnonzero(people.mode == mode)
            apart[rows] = people.voice[rows] - people.voice[rows].mean(0)
            known = known_of(people.take(rows), "lengths")
            told[rows] = known @ np.linalg.lstsq(known, apart[rows], rcond=None)[0]
        root = np.linalg.cholesky(np.linalg.inv(np.cov(apart, rowvar=False)))
        ties, turned = np.linalg.eigh(np.cov(told @ root, rowvar=False))
        return cls(people.voice.mean(0), root @ turned[:, ::-1], ties[::-1].copy())

    def of(self, people: People) -> Float[Tensor, "people quantities"]:
        """Everyone's scores, of deviation 1 within a sex."""
        return torch.from_numpy((people.voice - self.mean) @ self.axes).float()


class VoiceNets(nn.Module):
    """The encoder, and what it is asked while it learns."""

    def __init__(
        self, recipe: VoiceRecipe, encoder: VoiceEncoder, ties: Float[np.ndarray, " quantities"]
    ) -> None:
        super().__init__()
        inner = encoder.model[-1].out_channels
        self.recipe, self.encoder = recipe, encoder
        self.habits, self.sex = nn.Linear(inner, len(ties)), nn.Linear(inner, 1)
        self.register_buffer("ties", torch.from_numpy(ties / ties.sum()).float(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name, of single recordings and of two of one person joined."""
        features = batch["features"]
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.training):
            codes = self.encoder(features)
        single, joined = codes.float(), codes.float().unflatten(0, (-1, 2)).mean(1)
        heard = functional.normalize(torch.cat([single, joined]))
        habits, sex = (torch.cat([batch[n], batch[n][::2]]) for n in ("habits", "sex"))
        errors = (self.habits(heard) - habits).square()
        odds = self.sex(heard)[:, 0]
        losses = {
            "tied": (errors @ self.ties).mean(),
            "habits": errors.mean(),
            "sex": functional.binary_cross_entropy_with_logits(odds, sex),
        }
        recipe = self.recipe
        total = recipe.tied_weight * losses["tied"] + losses["habits"]
        losses["joined"] = (errors[len(single) :] @ self.ties).mean()
        return {"loss": total + recipe.sex_weight * losses["sex"], **losses}


class VoiceTask:
    """Recordings to learn from and recordings of others to judge by: what the loop needs."""

    def __init__(
        self,
        recipe: VoiceRecipe,
        encoder: VoiceEncoder,
        population: Population,
        utterances: FeatureSet,
        held_out: Int64[np.ndarray, " some"],
    ) -> None:
        """`held_out` are the people to judge by, of those that are there to train on."""
        self.recipe, self.utterances = recipe, utterances
        torch.manual_seed(recipe.seed)
        habits = Habits.of_law(population.recipe.coupling)
        self.net: nn.Module = VoiceNets(recipe, encoder, habits.ties)
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )
        people = population.people
        self._facts = {
            "habits": habits.of(people),
            "sex": torch.from_numpy(people.mode == 1).float(),
        }
        identity, session = utterances.identity, utterances.session
        learnt = np.isin(identity, np.setdiff1d(population.train, held_out))
        self._rows = np.flatnonzero(learnt)
        self._sampler = PairSampler(identity[learnt], session[learnt])
        judged = np.flatnonzero(np.isin(identity, held_out) & ~utterances.clean)
        pairs = PairSampler(identity[judged], session[judged])
        chosen = pairs.draw(len(held_out), np.random.default_rng(recipe.seed))
        self._validation = judged[chosen]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random crops of one length, two recordings of each person."""
        recipe = self.recipe
        frames = int(rng.integers(recipe.shortest_crop, recipe.longest_crop + 1))
        frames = min(frames, self.utterances.frames)
        rows = self._rows[self._sampler.draw(recipe.batch_size // 2, rng)]
        batch = self._collate(rows, frames, rng)
        hide(batch["features"], recipe.masked_bands, recipe.masked_frames, rng)
        return batch

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on whole recordings of people that the net was not trained on."""
        sums: dict[str, float] = {}
        for start in range(0, len(self._validation), AT_ONCE):
            rows = self._validation[start : start + AT_ONCE]
            batch = self._collate(rows, self.utterances.frames, None)
            for name, value in self.net({k: v.to(device) for k, v in batch.items()}).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(rows)
        means = {name: value / len(self._validation) for name, value in sums.items()}
        return {**means, "selection": means["loss"]}

    def _collate(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Batch:
        people = torch.from_numpy(self.utterances.identity[rows])
        about = {name: value[people] for name, value in self._facts.items()}
        return {**about, "features": self.utterances.crops(rows, frames, rng)}


def trained_encoder(run: Path, like: VoiceEncoder) -> VoiceEncoder:
    """The encoder of a run's best net, of the sizes of the one that it began with."""
    tensors, prefix = load_file(run / "best.safetensors"), "encoder."
    encoder = copy.deepcopy(like)
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    encoder.load_state_dict(own)
    return encoder.eval()

"""A voice backbone that hears all that a face may depend on, before it meets faces.

Both association systems start from networks that know speakers already; this makes ours, from the
voice encoder of Cross-Modal Perceptionist. A population tells how its people's voices are, and how
they were on the day of a recording: the backbone learns that, most of all the combinations of
habits that are tied to faces.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.audio.cycles import TRACKS
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.evaluation.targets import TRAIT_SCALES
from voicemesh.nets.devices import halved
from voicemesh.nets.voice_trunk import VoiceTrunk
from voicemesh.population.dataset import Population
from voicemesh.population.streams import stream
from voicemesh.population.voices import daily_change

from .cmp import hide
from .crowd import Crowd
from .data import FeatureSet, PairSampler
from .habits import Habits
from .loop import Batch, mean_losses
from .runs import best_of
from .schedules import one_cycle

AT_ONCE = 50


@dataclass(frozen=True)
class VoiceRecipe:
    """A trunk that learns the habits of a population's voices, day by day."""

    front_end: str = "voicemesh"
    widths: tuple[int, ...] = (128, 192, 288, 432)
    blocks: tuple[int, ...] = (0, 1, 1, 1)
    code: int = 64
    steps: int = 3000
    batch_size: int = 64
    shortest_crop: int = 200  # frames
    longest_crop: int = 348
    masked_bands: int = 6
    masked_frames: int = 10
    masked_tracks: float = 0.0  # share of the crops without any tracks of cycles
    learning_rate: float = 2e-3
    weight_decay: float = 0.03
    tied_weight: float = 10.0  # of habits that are tied to faces, against all habits alike
    habits_weight: float = 1.0
    sex_weight: float = 0.5
    age_weight: float = 0.5
    bfloat16: bool = True  # convolutions of training in half precision
    start: str = ""  # part of the bundle that it begins with; none: with nothing
    seed: int = 0

    def trunk(self) -> VoiceTrunk:
        """The trunk as it begins, but for what it takes over."""
        channels = FRONT_ENDS[self.front_end].channels
        return VoiceTrunk(channels, self.widths, self.blocks, self.code)


class VoiceNets(nn.Module):
    """The trunk, and what it is asked while it learns."""

    def __init__(
        self, recipe: VoiceRecipe, trunk: VoiceTrunk, ties: Float[np.ndarray, " quantities"]
    ) -> None:
        super().__init__()
        inner = trunk.code.out_features
        self.recipe, self.trunk = recipe, trunk
        self.habits, self.traits = nn.Linear(inner, len(ties)), nn.Linear(inner, 2)  # sex, age
        self.register_buffer("ties", torch.from_numpy(ties / ties.sum()).float(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "tied" is the squared error of habits as much as a face tells of them."""
        features = batch["features"]
        half = self.training and self.recipe.bfloat16
        with halved(features.device, half):
            codes = self.trunk(features)
        habits, traits = self.habits(codes.float()), self.traits(codes.float())
        errors = (habits - batch["habits"]).square()
        losses = {
            "tied": (errors @ self.ties).mean(),
            "habits": errors.mean(),
            "sex": functional.binary_cross_entropy_with_logits(traits[:, 0], batch["sex"]),
            "age": (traits[:, 1] - batch["age"]).square().mean(),
        }
        total = sum(getattr(self.recipe, f"{name}_weight") * v for name, v in losses.items())
        return {"loss": total, **losses}


class VoiceTask:
    """Recordings to learn from and recordings of others to judge by: what the loop needs."""

    def __init__(
        self,
        recipe: VoiceRecipe,
        trunk: VoiceTrunk,
        population: Population | Crowd,
        utterances: FeatureSet,
        held_out: Int64[np.ndarray, " some"],
    ) -> None:
        """`held_out` are the people to judge by, of those that are there to train on."""
        if not len(held_out):
            raise ValueError("Nobody is kept to judge by; train on more people")
        self.recipe, self.utterances = recipe, utterances
        torch.manual_seed(recipe.seed)
        habits = Habits.of_law(population.recipe.coupling)
        self.net: nn.Module = VoiceNets(recipe, trunk, habits.ties)
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )
        people, identity = population.people, utterances.identity
        spoken = people.voice[identity] + daily_changes(population, utterances)
        mean, deviation = TRAIT_SCALES["age"]
        self._facts = {
            "habits": habits.of(spoken),
            "sex": torch.from_numpy(people.mode[identity] == 1).float(),
            "age": torch.from_numpy((people.age[identity] - mean) / deviation).float(),
        }
        learnt = np.isin(identity, np.setdiff1d(population.train, held_out))
        self._rows = np.flatnonzero(learnt & ~utterances.clean)
        judged = np.flatnonzero(np.isin(identity, held_out) & ~utterances.clean)
        pairs = PairSampler(identity[judged], utterances.session[judged])
        chosen = pairs.draw(len(held_out), np.random.default_rng(recipe.seed))
        self._validation = judged[chosen]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random crops of one length."""
        recipe = self.recipe
        frames = int(rng.integers(recipe.shortest_crop, recipe.longest_crop + 1))
        frames = min(frames, self.utterances.frames)
        rows = np.sort(rng.choice(self._rows, min(recipe.batch_size, len(self._rows)), False))
        batch = self._collate(rows, frames, rng)
        hide(batch["features"], recipe.masked_bands, recipe.masked_frames, rng)
        if recipe.masked_tracks:
            deaf = rng.random(len(rows)) < recipe.masked_tracks
            batch["features"][torch.from_numpy(deaf), -TRACKS:] = 0
        return batch

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on whole recordings of people that the net was not trained on."""
        rows, frames = self._validation, self.utterances.frames
        parts = np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))
        batches = ((len(some), self._collate(some, frames, None)) for some in parts)
        means = mean_losses(self.net, batches, device)
        return {**means, "selection": means["loss"]}

    def _collate(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Batch:
        about = {name: value[torch.from_numpy(rows)] for name, value in self._facts.items()}
        return {**about, "features": self.utterances.crops(rows, frames, rng)}


def daily_changes(
    population: Population | Crowd, utterances: FeatureSet
) -> Float[np.ndarray, "rows quantities"]:
    """How far the voice of each recording was from the speaker's habits on its day."""
    crowd = population if isinstance(population, Crowd) else Crowd((population,))
    labels = np.stack([utterances.identity, utterances.session], 1)
    days, place = np.unique(labels, axis=0, return_inverse=True)
    seeds = [one.recipe.seed for one in crowd.populations]
    where = np.stack([*crowd.home(days[:, 0]), days[:, 1]], 1).tolist()
    drawn = [daily_change(stream(seeds[n], "session", *of)) for n, *of in where]
    return np.stack(drawn)[place.ravel()]


def trained_trunk(run: Path, recipe: VoiceRecipe) -> VoiceTrunk:
    """The trunk of a run's best net."""
    trunk = recipe.trunk()
    trunk.load_state_dict(best_of(run, "trunk"))
    return trunk.eval()

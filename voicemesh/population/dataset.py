"""Build a population on disk, shard by shard, and read it back.

A folder holds people.safetensors (all columns of the people), dataset.json (recipe and split) and
shards of int16 recordings. Every shard depends on the recipe and its own number alone: an
interrupted build continues where it stopped and ends bit-identical.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int16
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from voicemesh.whole_files import aside, write_json

from .channel import to_int16, transmit
from .law import People, draw
from .recipe import PopulationRecipe, check, content_of, effort_of, samples_of
from .speech import speak
from .streams import stream
from .tract import BLOCK, CONTROL_RATE
from .voices import in_session
from .workers import each

log = logging.getLogger(__name__)

FORMAT = 1
SHARD = 20  # identities
BABBLERS = 4
CLEAN = -1  # channel number of the recording without a channel
SPLITS = ("train", "validation")


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings of one shard; row i of every array is recording i."""

    waveform: Int16[np.ndarray, "rows samples"]  # 16 kHz
    identity: Int[np.ndarray, " rows"]
    session: Int[np.ndarray, " rows"]
    channel: Int[np.ndarray, " rows"]  # -1: clean
    clean: Bool[np.ndarray, " rows"]
    raised: Bool[np.ndarray, " rows"]  # the session with a raised voice (validation)
    effort: Float[np.ndarray, " rows"]  # semitones

    def __len__(self) -> int:
        return len(self.identity)


def populate(folder: str | Path, recipe: PopulationRecipe) -> "Population":
    """Build the population of a recipe, or finish one that was interrupted.

    Raises:
        ValueError: the folder holds a population of another recipe, or the recipe is impossible.
    """
    from tqdm import tqdm

    check(recipe)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _describe(folder, recipe)
    shards = shards_of(recipe)
    missing = [shard for shard in shards if not _path(folder, shard).exists()]
    if len(missing) < len(shards):
        log.info("%s: %d of %d shards are there", folder, len(shards) - len(missing), len(shards))
    total = recipe.identities + recipe.validation
    done = total - sum(len(shards[shard]) for shard in missing)
    with tqdm(total=total, initial=done, unit="identity", desc=folder.name) as bar:
        jobs = [(folder, recipe, shard) for shard in missing]
        for shard in each(_build, jobs, recipe.workers):
            bar.update(len(shards[shard]))
    return Population.open(folder)


@dataclass(frozen=True, eq=False)
class Population:
    """A population on disk."""

    folder: Path
    recipe: PopulationRecipe
    people: People

    @classmethod
    def open(cls, folder: str | Path) -> "Population":
        """Open a folder that `populate` completed.

        Raises:
            ValueError: the folder holds no population, or an unfinished one.
        """
        folder = Path(folder)
        description = folder / "dataset.json"
        if not description.exists():
            raise ValueError(f"{folder} holds no population; build one with `populate`")
        told = described(description)
        recipe = told["recipe"]
        missing = [shard for shard in shards_of(recipe) if not _path(folder, shard).exists()]
        if missing:
            raise ValueError(
                f"{folder} lacks {len(missing)} shards, the first is {missing[0]}; "
                "run `populate` with the same recipe to finish it"
            )
        return cls(folder, recipe, People(**read_arrays(folder / "people.safetensors")))

    @property
    def train(self) -> Int[np.ndarray, " identities"]:
        """Rows of `people` to train on."""
        return np.arange(self.recipe.identities)

    @property
    def validation(self) -> Int[np.ndarray, " identities"]:
        """Rows of `people` never trained on."""
        return np.arange(self.recipe.validation) + self.recipe.identities

    def recordings(self, split: str) -> Iterator[Recordings]:
        """Shard after shard of "train" or "validation"."""
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
        first = 0 if split == "train" else self.recipe.identities
        last = first + (self.recipe.identities if split == "train" else self.recipe.validation)
        for shard, identities in shards_of(self.recipe).items():
            if first <= identities[0] < last:
                yield Recordings(**read_arrays(_path(self.folder, shard)))


def build_shard(
    recipe: PopulationRecipe, people: People, identities: Int[np.ndarray, " identities"]
) -> Recordings:
    """All recordings of these identities; they babble behind each other and behind nobody else."""
    validation = identities[0] >= recipe.identities
    sessions = recipe.sessions + int(validation)
    effort = np.zeros((len(identities), sessions))
    clean = np.zeros((len(identities), sessions, samples_of(recipe)), np.float32)
    for row, identity in enumerate(map(int, identities)):
        for session in range(sessions):
            mode = int(people.mode[identity])
            effort[row, session], strong = effort_of(recipe, identity, session, mode)
            day = stream(recipe.seed, "session", identity, session)
            voice = in_session(people, identity, day, float(effort[row, session]), strong)
            text = stream(recipe.seed, "speech", identity, session)
            clean[row, session] = speak(voice, text, recipe.seconds)
    columns: dict[str, list] = {name: [] for name in Recordings.__dataclass_fields__}
    for row, identity in enumerate(map(int, identities)):
        others = np.delete(np.arange(len(identities)), row)
        for session in range(sessions):
            raised = session == recipe.sessions
            for channel in (CLEAN, *range(1 if raised else recipe.channels)):
                heard = clean[row, session]
                if channel != CLEAN:
                    luck = stream(recipe.seed, "channel", identity, session, channel)
                    behind = luck.permutation(others)[:BABBLERS]
                    babble = [clean[b, int(luck.integers(sessions))] for b in behind]
                    heard = transmit(heard, luck, babble)
                else:
                    heard = heard / max(1.0, float(np.abs(heard).max()))
                values = (to_int16(heard), identity, session, channel)
                values = (*values, channel == CLEAN, raised, effort[row, session])
                for column, value in zip(columns.values(), values, strict=True):
                    column.append(value)
    return Recordings(**{name: np.array(column) for name, column in columns.items()})


def shards_of(recipe: PopulationRecipe) -> dict[int, np.ndarray]:
    """Identities by shard; no shard holds both splits."""
    train = np.arange(recipe.identities)
    validation = np.arange(recipe.validation) + recipe.identities
    blocks = [
        part[i : i + SHARD] for part in (train, validation) for i in range(0, len(part), SHARD)
    ]
    return dict(enumerate(blocks))


def _path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.safetensors"


def described(path: Path) -> dict[str, Any]:
    """What dataset.json says, its recipe read.

    Raises:
        ValueError: it is damaged, or of another format.
    """
    try:
        told = json.loads(path.read_text())
        if told["format"] != FORMAT:
            raise ValueError(f"{path} has format {told['format']}; this version reads {FORMAT}")
        return {**told, "recipe": PopulationRecipe(**told["recipe"])}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} describes no population: {error}") from error


def _describe(folder: Path, recipe: PopulationRecipe) -> None:
    """Write people and description, or make sure that they are of this recipe."""
    description = folder / "dataset.json"
    if description.exists():
        told = content_of(described(description)["recipe"])
        other = {k: told[k] for k, v in content_of(recipe).items() if told[k] != v}
        if other:
            raise ValueError(
                f"{folder} holds a population with other {', '.join(other)} ({other}); "
                "choose another folder or that recipe"
            )
        return
    people = draw(recipe.identities + recipe.validation, recipe.seed, recipe.coupling)
    write_arrays(folder / "people.safetensors", people.arrays(), "people")
    split = {
        "train": [0, recipe.identities],
        "validation": [recipe.identities, recipe.identities + recipe.validation],
    }
    told = {
        "format": FORMAT,
        "recipe": asdict(recipe),
        "split": split,  # first and one past the last identity
        "shards": len(shards_of(recipe)),
        "samples": samples_of(recipe),
        "sample_rate": BLOCK * CONTROL_RATE,
    }
    write_json(description, told)


def _build(folder: Path, recipe: PopulationRecipe, shard: int) -> int:
    people = People(**read_arrays(folder / "people.safetensors"))
    recordings = build_shard(recipe, people, shards_of(recipe)[shard])
    arrays = {name: getattr(recordings, name) for name in Recordings.__dataclass_fields__}
    write_arrays(_path(folder, shard), arrays, "recordings")
    return shard


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `write_arrays` wrote.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({error}); remove it and run the command that made it again"
        ) from error


def write_arrays(path: Path, arrays: dict[str, np.ndarray], kind: str) -> None:
    """Write arrays whole or not at all; `kind` says what they are."""
    content = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    with aside(path) as unfinished:
        save_file(content, unfinished, {"kind": kind})

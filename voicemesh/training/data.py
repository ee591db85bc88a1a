"""Features of a population, computed once and kept beside it; crops of them for training."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int64, Shaped
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.evaluation.predictions import AT_ONCE, speech_of
from voicemesh.population.workers import each

from .kept import write_array

LABELS = ("identity", "session", "clean")


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Utterances of a population as features, mapped from disk; rows follow its shards."""

    shards: tuple[Float16[np.ndarray, "_ frames channels"], ...]
    identity: Int64[np.ndarray, " rows"]
    session: Int64[np.ndarray, " rows"]
    clean: Bool[np.ndarray, " rows"]  # without a channel; for contrast, never for selection

    @property
    def frames(self) -> int:
        """Frames of every utterance."""
        return self.shards[0].shape[1]

    def crops(
        self, rows: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Float[Tensor, "batch channels frames"]:
        """`frames` frames of each row from a random place, or from the start without `rng`.

        Raises:
            ValueError: the utterances are shorter.
        """
        if frames > self.frames:
            raise ValueError(f"Crops of {frames} frames from utterances of {self.frames}")
        free = self.frames - frames + 1
        starts = rng.integers(free, size=len(rows)) if rng else np.zeros(len(rows), np.int64)
        sizes = np.cumsum([0, *(len(shard) for shard in self.shards)])
        shards = np.searchsorted(sizes, rows, side="right") - 1
        parts = [
            self.shards[shard][row - sizes[shard], start : start + frames]
            for shard, row, start in zip(shards, rows, starts, strict=True)
        ]
        return torch.from_numpy(np.stack(parts)).transpose(1, 2).contiguous().float()


def heard_of(
    people: Int64[np.ndarray, " people"],
    identity: Int64[np.ndarray, " rows"],
    clean: Bool[np.ndarray, " rows"],
) -> list[Int64[np.ndarray, " _"]]:
    """The recordings of each of these people through their channels, ascending."""
    kept = np.flatnonzero(~clean)
    return [kept[rows] for rows in grouped(identity[kept], people)]


def grouped(
    owners: Int64[np.ndarray, " rows"], people: Int64[np.ndarray, " people"]
) -> list[Int64[np.ndarray, " _"]]:
    """The rows of each of `people`."""
    order = np.argsort(owners, kind="stable")
    ordered = owners[order]
    starts, ends = (np.searchsorted(ordered, people, side) for side in ("left", "right"))
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


class PairSampler:
    """Batches of persons with two recordings each, of two sessions where there are two."""

    def __init__(
        self, identity: Int64[np.ndarray, " rows"], session: Int64[np.ndarray, " rows"]
    ) -> None:
        order = np.lexsort((session, identity))
        self._people, starts = np.unique(identity[order], return_index=True)
        self._rows = np.split(order, starts[1:])
        self._session = session

    def draw(self, pairs: int, rng: np.random.Generator) -> Int64[np.ndarray, " batch"]:
        """Rows of 2 * `pairs` recordings, the two of a person side by side."""
        people = rng.choice(len(self._rows), pairs, replace=pairs > len(self._rows))
        chosen = []
        for rows in (self._rows[person] for person in people):
            first = rng.choice(rows)
            others = rows[self._session[rows] != self._session[first]]
            chosen += [first, rng.choice(others if len(others) else rows)]
        return np.array(chosen)


def features(folder: Path, front_end: str, workers: int = 1) -> FeatureSet:
    """The features of a population's recordings; what is on disk is not computed again."""
    cache = folder / f"features-{front_end}"
    cache.mkdir(exist_ok=True)
    sources = sorted(folder.glob("shard-*.safetensors"))
    targets = [cache / f"{source.stem}.npy" for source in sources]
    jobs = [job for job in zip(sources, targets, strict=True) if not job[1].exists()]
    with tqdm(total=len(jobs), unit="shard", desc=cache.name, disable=None) as bar:
        for _ in each(partial(_write_features, front_end), jobs, workers):
            bar.update()
    labels = [_labels(source) for source in sources]
    return FeatureSet(
        shards=tuple(np.load(target, mmap_mode="r") for target in targets),
        **{name: np.concatenate([shard[name] for shard in labels]) for name in LABELS},
    )


def _labels(source: Path) -> dict[str, Shaped[np.ndarray, " rows"]]:
    with safe_open(source, "np") as file:
        return {name: file.get_tensor(name) for name in LABELS}


def _write_features(front_end: str, source: Path, target: Path) -> None:
    """One shard; a file that exists is complete."""
    torch.set_num_threads(1)
    with safe_open(source, "np") as file:
        waveforms = file.get_tensor("waveform")
    parts = []
    for start in range(0, len(waveforms), AT_ONCE):
        speech = torch.stack([speech_of(wave) for wave in waveforms[start : start + AT_ONCE]])
        parts.append(FRONT_ENDS[front_end](speech).transpose(1, 2).half().numpy())
    write_array(target, np.concatenate(parts))

"""What CMPC learns from without labels: videos, each a voice and a face that came together."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from voicemesh import images
from voicemesh.audio import association, recording
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.unpickle import array_file
from voicemesh.evaluation import lists
from voicemesh.evaluation.predictions import speech_of
from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.population.dataset import SPLITS, Population

from .data import FeatureSet, features

FACES, SCALE, VOICES = "unzippedFaces", "1.6", "wav"  # folders of the published data
THREADS = 8  # that read files of a batch


@runtime_checkable
class Videos(Protocol):
    """Videos by number. Without `rng` the choice is always the same."""

    learnt: Int64[np.ndarray, " some"]  # numbers of the videos to learn from
    held_out: Int64[np.ndarray, " others"]  # of other people, to measure on

    def voices(
        self, videos: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Float[Tensor, "batch channels frames"]: ...

    def pictures(
        self, videos: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> UInt8[Tensor, "batch side side 3"]: ...


@dataclass(frozen=True, eq=False)
class PopulationVideos:
    """Synthetic people: recordings through channels and portraits that came together.

    A video is a session of a person, with the portraits dealt out to the sessions in turn, or all
    sessions and portraits of a person.
    """

    learnt: Int64[np.ndarray, " some"]
    held_out: Int64[np.ndarray, " others"]
    person: Int64[np.ndarray, " videos"]  # known, but not to those who learn
    recordings: tuple[Int64[np.ndarray, " _"], ...]  # of each video: rows of the utterances
    portraits: tuple[Int64[np.ndarray, " _"], ...]  # and of the pixels
    utterances: FeatureSet
    pixels: UInt8[np.ndarray, "portraits side side 3"]

    def voices(
        self, videos: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Float[Tensor, "batch channels frames"]:
        """A crop of one recording of each."""
        rows = chosen([self.recordings[video] for video in videos], rng)
        return self.utterances.crops(rows, min(frames, self.utterances.frames), rng)

    def pictures(
        self, videos: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> UInt8[Tensor, "batch side side 3"]:
        """One portrait of each."""
        return torch.from_numpy(
            self.pixels[chosen([self.portraits[video] for video in videos], rng)]
        )


def population_videos(
    population: Population,
    front_end: str,
    side: int,
    held_out: int = 0,
    workers: int = 1,
    long: bool = False,
) -> PopulationVideos:
    """All sessions in a usual voice; the last `held_out` people to train on are kept to measure.

    `long` joins the sessions of a person to one video.

    Raises:
        ValueError: the population has no portraits, or too few people.
    """
    utterances = features(population.folder, front_end, workers)
    portraits = portraits_of(population)
    shards = [shard for split in SPLITS for shard in portraits.shards(split)]
    pixels = np.stack([squared(p, side) for shard in shards for p in shard.pixels])
    owner, number = (
        np.concatenate([getattr(s, name) for s in shards]) for name in ("identity", "picture")
    )
    sessions = population.recipe.sessions
    usual = np.flatnonzero(~utterances.clean & (utterances.session < sessions))
    parts = 1 if long else sessions
    heard = by_name(utterances.identity[usual] * parts + utterances.session[usual] % parts, usual)
    seen = by_name(owner * parts + number % parts, np.arange(len(owner)))
    names = sorted(heard.keys() & seen.keys())
    person = np.array(names, np.int64) // parts
    shown = np.unique(person[person < len(population.train)])
    last = shown[-held_out] if 0 < held_out < len(shown) else len(population.train) * (not held_out)
    if not (person < last).any():
        raise ValueError(
            f"{held_out} people cannot be held out: {len(shown)} to train on have voices and"
            " portraits; set held_out= to fewer"
        )
    return PopulationVideos(
        learnt=np.flatnonzero(person < last),
        held_out=np.flatnonzero(person >= last),
        person=person,
        recordings=tuple(heard[name] for name in names),
        portraits=tuple(seen[name] for name in names),
        utterances=utterances,
        pixels=pixels,
    )


@dataclass(frozen=True, eq=False)
class PublishedVideos:
    """The authors' folders: unzippedFaces/NAME/1.6/VIDEO/*.jpg and wav/ID/VIDEO/*.wav."""

    learnt: Int64[np.ndarray, " some"]
    held_out: Int64[np.ndarray, " others"]
    names: tuple[str, ...]  # NAME/1.6/VIDEO, as training.csv has them
    faces: tuple[Path, ...]  # folder of each video's pictures
    speech: tuple[Path, ...]  # and of its recordings
    front_end: str
    side: int

    def voices(
        self, videos: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Float[Tensor, "batch channels frames"]:
        """A random stretch of one recording of each; one that is too short is lengthened."""
        files = [drawn_file(self.speech[video], "*.wav", rng) for video in videos]
        luck = np.zeros(len(files)) if rng is None else rng.random(len(files))
        with ThreadPoolExecutor(THREADS) as pool:
            parts = pool.map(lambda *one: self._stretch(*one, frames), files, luck)
            return torch.stack(list(parts))

    def pictures(
        self, videos: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> UInt8[Tensor, "batch side side 3"]:
        """One picture of each."""
        files = [drawn_file(self.faces[video], "*.jpg", rng) for video in videos]
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda file: squared(images.read(file), self.side), files)
            return torch.from_numpy(np.stack(list(found)))

    def _stretch(self, file: Path, luck: float, frames: int) -> Float[Tensor, "channels frames"]:
        if self.front_end == "cmpc":
            whole = association.cmpc_padded(self._log_mel(file)[None], frames)[0]
        else:
            wave = recording.load(file).waveform
            speech = speech_of((32767 * wave).astype(np.int16))
            whole = FRONT_ENDS[self.front_end](speech[None])[0]
            whole = whole.repeat(1, -(-frames // whole.shape[1]))
        start = int(luck * (whole.shape[1] - frames + 1))
        return whole[:, start : start + frames]

    def _log_mel(self, file: Path) -> Float[Tensor, "64 frames"]:
        """As the authors' script left it beside the recording, or from the recording."""
        ready = file.with_suffix(".pkl")
        if ready.exists():
            return torch.from_numpy(np.asarray(array_file(ready), np.float32))
        return association.cmpc_log_mel(torch.from_numpy(recording.load(file).waveform)[None])[0]


def published_videos(
    root: Path, splits: Sequence[int], held_out: Sequence[int], front_end: str, side: int
) -> PublishedVideos:
    """All videos of the people of some SETs of identity_splits.txt that have voice and face.

    identity_splits.txt (NAME SET) and vox1_meta.csv lie in `root`, or in its Splits.

    Raises:
        ValueError: a list is missing, or nobody has both folders.
    """
    sets = dict(line.split() for line in lists.lines_of(found(root, "identity_splits.txt")))
    names, faces, speech, member = [], [], [], []
    for identity in lists.identity_table(found(root, "vox1_meta.csv")):
        number = int(sets.get(identity.vggface, 0))
        if number not in (*splits, *held_out):
            continue
        pictured, spoken = (
            root / FACES / identity.vggface / SCALE,
            root / VOICES / identity.voxceleb,
        )
        videos = sorted(set(folders(pictured)) & set(folders(spoken)))
        names += [f"{identity.vggface}/{SCALE}/{video}" for video in videos]
        faces += [pictured / video for video in videos]
        speech += [spoken / video for video in videos]
        member += [number] * len(videos)
    learnt, others = (np.flatnonzero(np.isin(member, wanted)) for wanted in (splits, held_out))
    if not len(learnt):
        raise ValueError(
            f"{root} has no videos of SET {', '.join(map(str, splits))} with both"
            f" {FACES}/NAME/{SCALE}/VIDEO and {VOICES}/ID/VIDEO"
        )
    return PublishedVideos(
        learnt, others, tuple(names), tuple(faces), tuple(speech), front_end, side
    )


def found(root: Path, name: str) -> Path:
    """A list in the folder, or in Splits of it."""
    for path in (root / name, root / "Splits" / name, root / "data" / "Splits" / name):
        if path.is_file():
            return path
    raise ValueError(f"{root} has no {name}; put it there, or into {root / 'Splits'}")


def folders(path: Path) -> list[str]:
    """Names of the folders in a folder; none if it is not there."""
    return [inside.name for inside in path.iterdir() if inside.is_dir()] if path.is_dir() else []


def drawn_file(folder: Path, pattern: str, rng: np.random.Generator | None) -> Path:
    """A random file of a folder, the first without `rng`."""
    files = sorted(folder.glob(pattern))
    if not files:
        raise ValueError(f"{folder} has no {pattern}")
    return files[0 if rng is None else int(rng.integers(len(files)))]


def squared(picture: UInt8[np.ndarray, "_ _ 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Stretched to the square as `images.scale` does, still bytes."""
    if picture.shape[:2] == (side, side):
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def chosen(
    choices: Sequence[Int64[np.ndarray, " _"]], rng: np.random.Generator | None
) -> Int64[np.ndarray, " batch"]:
    """One of each list; the first without `rng`."""
    luck = np.zeros(len(choices)) if rng is None else rng.random(len(choices))
    return np.array(
        [some[int(share * len(some))] for some, share in zip(choices, luck, strict=True)]
    )


def by_name(
    names: Int64[np.ndarray, " rows"], rows: Int64[np.ndarray, " rows"]
) -> dict[int, Int64[np.ndarray, " _"]]:
    """Rows by name."""
    order = np.argsort(names, kind="stable")
    unique, starts = np.unique(names[order], return_index=True)
    return dict(zip(unique.tolist(), np.split(rows[order], starts[1:]), strict=True))

"""The gallery of a population: its held-out people, whom no net has seen or heard.

One entry per person: the frontal portrait, a clean recording, the head's shape parameters, and in
every space the mean embedding of all portraits and of one recording a session.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16
from torch import Tensor
from tqdm import tqdm

from voicemesh.audio import vad
from voicemesh.audio.recording import Recording, UnusableRecording
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.media import picture_bytes, voice_bytes
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.appearance import styles
from voicemesh.population.dataset import (
    Population,
    PopulationRecipe,
    Recordings,
    build_shard,
)
from voicemesh.population.faces import shape_params
from voicemesh.population.law import People, draw
from voicemesh.population.portrait_set import PortraitRecipe, PortraitSet, PortraitShard, take_shard
from voicemesh.systems.association import VoiceFaceSpace

from .index import nets_of, spaces_of

log = logging.getLogger(__name__)

CHANNEL = 0  # of the recordings that are embedded
QUALITY = 92  # of the portraits, as WebP
LICENCE = "MIT"
FULL_SCALE = 32768.0  # of int16


@dataclass(frozen=True, eq=False)
class Group:
    """Some people of a population, their recordings and portraits."""

    seed: int
    people: People
    recordings: Recordings
    portraits: PortraitShard


def showcase(
    population: Population,
    portraits: PortraitSet,
    bundle: Bundle,
    out: Path,
    guests: Sequence[str] = (),
    title: str = "",
    device: torch.device | str | None = None,
) -> FolderGallery:
    """Embed the held-out people of a population whose portraits are there, and some others.

    Args:
        guests: identities SEED-PERSON of people of the same law, who are drawn anew.

    Raises:
        ValueError: the bundle has no fitting nets, a portrait or a recording is missing, or a
            guest's name is none.
    """
    spaces = spaces_of(bundle, device)
    nets = nets_of(bundle, list(spaces))
    writer = GalleryWriter(out, out.name, nets, title)
    if writer.before:
        raise ValueError(f"{out} is a finished gallery; choose another folder or remove it")
    groups: list[Group] = []
    for seed, persons in guests_by_seed(guests).items():
        groups.append(drawn(seed, persons, bundle.face_model()))
    keys = []
    total = len(groups) + len(portraits.files["validation"])
    with tqdm(total=total, unit="shard", desc=out.name, disable=None) as bar:
        for group in chain(groups, held_out(population, portraits)):
            content = hashlib.sha256(group.portraits.pixels.tobytes())
            content.update(group.recordings.waveform.tobytes())
            content.update(json.dumps([group.seed, nets]).encode())
            keys.append(content.hexdigest()[:24])
            if not writer.has(keys[-1]):
                writer.add(keys[-1], entries_of(group, spaces))
            bar.update()
    return writer.finish(keys)


def held_out(population: Population, portraits: PortraitSet) -> Iterator[Group]:
    """The validation shards of a population of which there are portraits."""
    shown = portraits.shards("validation")
    found = next(shown, None)
    for recordings in population.recordings("validation"):
        if found is not None and set(found.identity) == set(recordings.identity):
            yield Group(population.recipe.seed, population.people, recordings, found)
            found = next(shown, None)
    if found is not None:
        raise ValueError(
            f"{portraits.folder} has portraits of {sorted(set(found.identity))[:3]}..., of whom "
            f"{population.folder} has no recordings"
        )


def drawn(seed: int, persons: Sequence[int], face_model: MorphableModel) -> Group:
    """People of the law by their numbers, heard and pictured like a population's."""
    people = draw(max(persons) + 1, seed)
    recipe = PopulationRecipe(
        identities=0, validation=len(people), sessions=3, channels=1, seed=seed
    )
    identities = np.array(sorted(persons))
    heads = shape_params(people, face_model, seed).numpy()
    worn = styles(seed, people.mode, people.age).astype(np.float32)
    portraits = take_shard(people, heads, worn, face_model, PortraitRecipe(), identities)
    return Group(seed, people, build_shard(recipe, people, identities), portraits)


def guests_by_seed(guests: Sequence[str]) -> dict[int, list[int]]:
    """Identities `SEED-PERSON`, by seed.

    Raises:
        ValueError: one is not of this form.
    """
    found: dict[int, list[int]] = {}
    for guest in guests:
        seed, dash, person = guest.partition("-")
        if not (dash and seed.isdecimal() and person.isdecimal()):
            raise ValueError(f"{guest!r} is no identity of a population; write SEED-PERSON")
        found.setdefault(int(seed), []).append(int(person))
    return found


def entries_of(group: Group, spaces: Mapping[str, VoiceFaceSpace]) -> list[NewEntry]:
    """One entry for everyone in a group, in the order of their numbers."""
    return [entry_of(group, int(person), spaces) for person in np.unique(group.portraits.identity)]


def entry_of(group: Group, person: int, spaces: Mapping[str, VoiceFaceSpace]) -> NewEntry:
    """Everything of one person."""
    heard, shown = group.recordings, group.portraits
    spoken = heard.identity == person
    usual = np.flatnonzero(spoken & (heard.channel == CHANNEL) & ~heard.raised)
    clean = np.flatnonzero(spoken & heard.clean & ~heard.raised)
    rows = np.flatnonzero(shown.identity == person)
    front = rows[shown.picture[rows] == 0]
    if not len(usual) or not len(clean) or not len(front):
        raise ValueError(f"Person {person} lacks a recording or a frontal portrait")
    speech = [speech_of(heard.waveform[row]) for row in usual]
    singles, units = {}, {}
    for name, space in spaces.items():
        faces = space.embed_faces(list(shown.pixels[rows])).cpu().numpy()
        voices = np.stack([space.embed_voice(one).cpu().numpy() for one in speech])
        units |= {(name, "faces"): unit_mean(faces), (name, "voices"): unit_mean(voices)}
        singles |= {(name, "faces"): voices, (name, "voices"): faces}  # what is searched for there
    woman, years = bool(group.people.mode[person]), int(group.people.age[person])
    return NewEntry(
        identity=f"{group.seed}-{person}",
        label=f"{'Woman' if woman else 'Man'}, {years}",
        sex="female" if woman else "male",
        age=float(group.people.age[person]),
        source=f"synthetic person of voicemesh.population: seed {group.seed}, number {person}",
        licence=LICENCE,
        picture=picture_bytes(shown.pixels[front[0]], quality=QUALITY),
        voice=voice_bytes(heard.waveform[clean[0]].astype(np.float32) / FULL_SCALE),
        shape_params=shown.shape_params[front[0]],
        units=units,
        probes=singles,
    )


def speech_of(waveform: Int16[np.ndarray, " samples"]) -> Float[Tensor, " speech"]:
    """The speech in a recording, or all of it where none is detected."""
    samples = waveform.astype(np.float32) / FULL_SCALE
    try:
        samples, _ = vad.speech(Recording(samples, "recording"))
    except UnusableRecording as reason:
        log.info("Heard whole: %s", reason)
    return torch.from_numpy(np.ascontiguousarray(samples, np.float32))


def unit_mean(units: Float32[np.ndarray, "rows d"]) -> Float32[np.ndarray, " d"]:
    """The direction of the mean."""
    mean = units.mean(0)
    return mean / np.linalg.norm(mean)

"""Voice-face association on the people of a population that were held out: all figures at once.

Beside each system stand chance, one who knows the sex and nothing else, and the law's ceiling.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int16
from torch import Tensor
from tqdm import tqdm

from voicemesh.audio import vad
from voicemesh.population.dataset import Population
from voicemesh.population.law import People
from voicemesh.population.likelihood import LikelihoodRatio
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.association import VoiceFaceSpace

from .association import Side, evaluate, evaluate_scores, sex_oracle
from .association_table import COLUMNS, SIDES, table, way_to_ceiling
from .predictions import LEAST_SPEECH, speech_of

JOINED, SINGLE = "joined", "single"  # all sessions of a person in one piece, and one by one
ORACLE, CEILING, PICTURED = "sex oracle", "ceiling", "ceiling of pictures"
SPLIT, PORTRAITS = "validation", "portraits-*"


@dataclass(frozen=True, eq=False)
class Embedded:
    """What a system says of people's voices and pictures; `people` are rows of `who`."""

    who: Int[np.ndarray, " people"]  # rows of the population's people
    joined: Side
    single: Side
    faces: Side
    sessions: int  # recordings in a joined voice
    seconds: tuple[float, float]  # mean length of joined and of single voices


def portraits_of(population: Population) -> PortraitSet:
    """The largest portraits that lie beside a population, as many as there are so far.

    Raises:
        ValueError: there are none.
    """
    found = sorted(population.folder.glob(PORTRAITS), key=lambda p: int(p.name.split("-")[1]))
    if not found:
        raise ValueError(f"{population.folder} has no portraits; make them with `picture`")
    return PortraitSet.open(found[-1], partial=True)


def embed(space: VoiceFaceSpace, population: Population, portraits: PortraitSet) -> Embedded:
    """Hear and see everybody held out who has portraits.

    Voices are heard through their channels, none of them raised.
    """
    shown = portraits.gathered(SPLIT)
    who = np.unique(shown.identity)
    faces = space.embed_faces(list(shown.pixels)).cpu().numpy()
    joined, single, owners, seconds = [], [], [], []
    with tqdm(total=len(who), unit="identity", desc="listening", disable=None) as bar:
        for person, waveforms in voices_of(population, who):
            whole = together(waveforms)
            joined.append(space.embed_voice(whole).cpu().numpy())
            single += [space.embed_voice(speech_of(wave)).cpu().numpy() for wave in waveforms]
            owners += [person] * len(waveforms)
            seconds.append((len(whole) / 16_000, len(waveforms[0]) / 16_000))
            bar.update()
    long, short = np.mean(seconds, 0).tolist()
    return Embedded(
        who=who,
        joined=Side(np.stack(joined), np.arange(len(who))),
        single=Side(np.stack(single), np.searchsorted(who, owners)),
        faces=Side(faces, np.searchsorted(who, shown.identity)),
        sessions=population.recipe.sessions,
        seconds=(long, short),
    )


def voices_of(
    population: Population, who: Int[np.ndarray, " people"]
) -> Iterator[tuple[int, Int16[np.ndarray, "sessions samples"]]]:
    """Each person's usual recordings, one of every session, through its first channel."""
    for shard in population.recordings(SPLIT):
        usual = ~shard.raised & (shard.channel == 0)
        for person in np.intersect1d(shard.identity, who):
            yield int(person), shard.waveform[usual & (shard.identity == person)]


def together(waveforms: Int16[np.ndarray, "sessions samples"]) -> Float[Tensor, " _"]:
    """The detected speech of several recordings in one piece, each as loud as the others."""
    parts = []
    for waveform in waveforms:
        wave = waveform.astype(np.float32) / 32768
        kept = [wave[start:stop] for start, stop in vad.segments(wave)]
        speech = np.concatenate(kept) if kept else wave
        speech = wave if len(speech) < LEAST_SPEECH else speech
        parts.append(speech / max(1e-6, float(np.sqrt(np.mean(speech**2)))))
    whole = np.concatenate(parts)
    return torch.from_numpy(whole / np.abs(whole).max())


def evaluate_population(
    space: VoiceFaceSpace,
    population: Population,
    portraits: PortraitSet,
    seed: int = 0,
    resamples: int = 200,
) -> tuple[dict[str, Any], Embedded]:
    """All figures of a system on the people held out, and what it said of them."""
    embedded = embed(space, population, portraits)
    people = population.people.take(embedded.who)
    return measured(embedded, people, population.recipe.coupling, seed, resamples), embedded


def measured(
    embedded: Embedded, people: People, coupling: float, seed: int = 0, resamples: int = 200
) -> dict[str, Any]:
    """Figures by system: ours with joined and with single voices, the oracle and the ceilings.

    `people` are those that were embedded.
    """
    sex, age, faces = people.mode, people.age, embedded.faces
    everybody, asked = np.arange(len(people)), {"seed": seed, "resamples": resamples}
    results: dict[str, Any] = {}
    for name, voices in ((JOINED, embedded.joined), (SINGLE, embedded.single)):
        results[name] = evaluate(voices, faces, sex, age, **asked)
    scores = sex_oracle(everybody, faces.people, sex, seed)
    results[ORACLE] = evaluate_scores(scores, everybody, faces.people, sex, age, **asked)
    for name, measures in ((CEILING, "lengths"), (PICTURED, "picture")):
        ratio = LikelihoodRatio.fit(coupling, embedded.sessions, measures)
        scores = ratio.scores(people, people, seed)[:, faces.people]
        results[name] = evaluate_scores(scores, everybody, faces.people, sex, age, **asked)
    return {
        "systems": results,
        "people": len(people),
        "pictures": len(faces.people),
        "seconds": {JOINED: embedded.seconds[0], SINGLE: embedded.seconds[1]},
        "coupling": coupling,
    }


def report(results: dict[str, Any], system: str, data: str) -> str:
    """The table of `measured`, with the names that readers expect."""
    seconds = results["seconds"]
    ours = {name: f"{system}, {seconds[name]:.1f} s heard" for name in (JOINED, SINGLE)}
    named = {ours.get(name, name): found for name, found in results["systems"].items()}
    lines = [
        table(named, data, (CEILING, PICTURED), list(ours.values())),
        f"{results['people']} people held out, {results['pictures']} pictures; 95 % intervals over"
        " people. U: anybody; G: the same sex; GA: the same sex, at most 5 years apart.",
        "Ceiling: the law's own likelihood ratio of the true voice and the true face, its lengths"
        " and age; of pictures: of what they show of it, which has no scale.",
        reachable(results["systems"]),
    ]
    return "\n".join(lines)


def reachable(found: dict[str, Any]) -> str:
    """In words: how far towards the ceiling anybody gets who sees pictures."""
    columns = [heading for *_, heading in COLUMNS]
    parts = []
    for direction, side in SIDES.items():
        way = way_to_ceiling(found[PICTURED][direction], found[CEILING][direction])
        told = [
            f"{100 * way[columns.index(name)]:.0f} % in {name.split()[1]}"
            for name in ("1:2 U", "1:2 G")
            if way[columns.index(name)] is not None
        ]
        parts.append(f"{side} {' and '.join(told)}" if told else f"{side} nothing to reach")
    return (
        "Of the way from chance to the ceiling, the proportions and the grey hair of pictures allow"
        f" {', '.join(parts)} (1:2), and that with everybody's sex told, which a picture does not"
        " always show."
    )

"""Voice-face association on the people of a population that were held out: all figures at once.

Beside each system stand chance, one who knows the sex and nothing else, and the law's ceiling. All
that is by how much is heard of a voice: one recording, two, and all that there are, each of
another day; the ceiling hears as many days.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from .association_table import COLUMNS, SIDES, brief_of, table, way_to_ceiling
from .predictions import LEAST_SPEECH, speech_of

JOINED = "joined"  # all recordings of a person
FEWER = {1: "single", 2: "two"}  # recordings of a person
ORACLE, CEILING, PICTURED = "sex oracle", "ceiling", "ceiling of pictures"
SPLIT, PORTRAITS = "validation", "portraits-*"
RATE = 16_000


@dataclass(frozen=True, eq=False)
class Embedded:
    """What a system says of people's voices and pictures; `people` are rows of `who`."""

    who: Int[np.ndarray, " people"]  # rows of the population's people
    voices: Mapping[int, Side]  # by recordings of a person that make one voice; the last: all
    faces: Side
    seconds: Mapping[int, float]  # of speech in a voice, on average

    @property
    def joined(self) -> Side:
        """Voices of all recordings of a person."""
        return self.voices[max(self.voices)]

    def names(self) -> dict[int, str]:
        """What voices of so many recordings are called in results."""
        return {count: FEWER[count] for count in self.voices if count in FEWER} | {
            max(self.voices): JOINED
        }


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
    told, lengths, everybody = [], [], []
    with tqdm(total=len(who), unit="identity", desc="listening", disable=None) as bar:
        for person, waveforms in voices_of(population, who):
            speech = [speech_of(waveform) for waveform in waveforms]
            told.append(torch.stack([space.told(one) for one in speech]))
            lengths.append([len(one) / RATE for one in speech])
            everybody.append(person)
            bar.update()
    recordings, place = min(map(len, told)), np.searchsorted(who, everybody)
    voices, seconds = {}, {}
    for count in sorted({1, min(2, recordings), recordings}):
        voices[count] = averaged(space, told, place, count)
        seconds[count] = count * float(np.mean([own[:recordings] for own in lengths]))
    return Embedded(who, voices, Side(faces, np.searchsorted(who, shown.identity)), seconds=seconds)


def averaged(
    space: VoiceFaceSpace,
    told: Sequence[Float[Tensor, "_ told"]],
    place: Int[np.ndarray, " people"],
    count: int,
) -> Side:
    """Voices of `count` recordings each, as many as everybody's recordings make.

    `told` is what each person's recordings tell.
    """
    units = [
        [space.of_told(part).cpu().numpy() for part in own.split(count) if len(part) == count]
        for own in told
    ]
    return Side(np.concatenate(units), np.repeat(place, [len(own) for own in units]))


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
    """Figures by system: ours by how much is heard, the oracle, and the ceilings of as much.

    `people` are those that were embedded.
    """
    sex, age, faces = people.mode, people.age, embedded.faces
    everybody, asked = np.arange(len(people)), {"seed": seed, "resamples": resamples}
    names = embedded.names()
    results: dict[str, Any] = {
        name: evaluate(embedded.voices[count], faces, sex, age, **asked)
        for count, name in names.items()
    }
    scores = sex_oracle(everybody, faces.people, sex, seed)
    results[ORACLE] = evaluate_scores(scores, everybody, faces.people, sex, age, **asked)
    for count, name in names.items():
        for kind, measures in ((CEILING, "lengths"), (PICTURED, "picture")):
            ratio = LikelihoodRatio.fit(coupling, count, measures)
            scores = ratio.scores(people, people, seed)[:, faces.people]
            found = evaluate_scores(scores, everybody, faces.people, sex, age, **asked)
            results[ceiling_of(kind, name)] = found
    return {
        "systems": results,
        "people": len(people),
        "pictures": len(faces.people),
        "recordings": {name: count for count, name in names.items()},
        "seconds": {name: embedded.seconds[count] for count, name in names.items()},
        "coupling": coupling,
    }


def ceiling_of(kind: str, voices: str) -> str:
    """What a ceiling is called that hears as many days as these voices."""
    return kind if voices == JOINED else f"{kind}, {voices}"


def brief(results: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was measured, what a bundle tells: of every system, values and intervals."""
    return {
        **{name: results[name] for name in ("people", "pictures", "recordings", "seconds")},
        "systems": {
            name: {direction: brief_of(told) for direction, told in found.items()}
            for name, found in results["systems"].items()
        },
    }


def report(results: dict[str, Any], system: str, data: str) -> str:
    """The table of `measured`, with the names that readers expect."""
    counts, seconds = results["recordings"], results["seconds"]
    days = {name: f"{count} heard" for name, count in counts.items()}
    ours = {name: f"{system}, {days[name]} ({seconds[name]:.1f} s)" for name in counts}
    best = {
        ceiling_of(kind, name): f"{kind}, {days[name]}"
        for name in counts
        for kind in (CEILING, PICTURED)
    }
    named = {(ours | best).get(name, name): found for name, found in results["systems"].items()}
    against = {
        ours[name]: [best[ceiling_of(kind, name)] for kind in (CEILING, PICTURED)]
        for name in counts
    }
    lines = [
        table(named, data, against),
        f"{results['people']} people held out, {results['pictures']} pictures; 95 % intervals over"
        " people. U: anybody; G: the same sex; GA: the same sex, at most 5 years apart.",
        "Ceiling: the law's own likelihood ratio of the true voice and the true face, its lengths"
        " and age, as many days heard; of pictures: of what they show of it, which has no scale.",
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

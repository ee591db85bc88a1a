"""The ceiling: what the best possible predictor would reach on this population.

Every result of a trained network is to be read against it. The predictor is the law's own
conditional expectation, given the true voice parameters of every person plus the day-to-day noise
of as many recordings as the network hears; nobody can hear better than that.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from voicemesh.mesh.landmarks import LENGTHS

from .law import People, draw
from .reader import Reader, explained, heard_voices
from .streams import stream

BODY = ("height", "age", "log_f0", "log_vtl")  # told besides the lengths


@dataclass(frozen=True)
class Ceiling:
    """Figures of the best reader; shares of variance lie between 0 and 1."""

    explained: dict[str, float]  # over both modes, by length and BODY
    explained_large: dict[str, float]  # within the large mode
    explained_small: dict[str, float]  # within the small mode
    sex_accuracy: float
    matching: dict[str, float]  # which of two heads: free, same mode, same mode and age
    coupling: float
    sessions: int


def ceiling(
    coupling: float = 0.8, sessions: int = 1, count: int = 60_000, seed: int = 2026
) -> Ceiling:
    """Draw `count` people of the law, fit the best reader on half of them, score the others.

    `sessions` is the number of recordings heard per person. Deterministic; standard errors are
    about 0.006 for shares of variance and 0.003 for accuracies at the default count.
    """
    people = draw(count, seed, coupling)
    x, y = heard_voices(people.voice, sessions, seed), _targets(people)
    fitted, scored = slice(0, count // 2), slice(count // 2, count)
    reader = Reader.fit(x[fitted], y[fitted], people.mode[fitted])
    x, y, mode = x[scored], y[scored], people.mode[scored]
    predicted = reader.predict(x)
    large, small = mode == 0, mode == 1
    names = (*LENGTHS, *BODY)
    shares = [explained(y, predicted, rows) for rows in (None, large, small)]
    whole, in_large, in_small = (
        {name: float(max(value, 0.0)) for name, value in zip(names, values, strict=True)}
        for values in shares
    )
    return Ceiling(
        explained=whole,
        explained_large=in_large,
        explained_small=in_small,
        sex_accuracy=float(np.mean((reader.small(x) > 0.5) == small)),
        matching=matching(people, sessions, seed),
        coupling=coupling,
        sessions=sessions,
    )


def matching(people: People, sessions: int = 1, seed: int = 2026) -> dict[str, float]:
    """How often the best reader picks the right of two heads for a voice, by kind of decoy.

    Half of the people fit the reader, the others are matched; a head is its 18 lengths.
    """
    half = len(people) // 2
    x = heard_voices(people.voice, sessions, seed)
    reader = Reader.fit(x[:half], people.lengths[:half], people.mode[:half])
    probes = people.take(np.arange(half, len(people)))
    x, y = x[half:], probes.lengths
    right = reader.evidence(x, y)
    return {
        kind: float(np.mean(right > reader.evidence(x, y[rows])))
        for kind, rows in decoys(probes, seed).items()
    }


def decoys(people: People, seed: int) -> dict[str, Int[np.ndarray, " people"]]:
    """For every person another one: anybody, one of the mode, one of the mode and about the age."""
    everybody = np.arange(len(people))
    luck = stream(seed, "decoys")
    free, same_mode, same_age = np.zeros((3, len(people)), int)
    order = luck.permutation(everybody)
    free[order] = np.roll(order, -1)
    for mode in (0, 1):
        group = luck.permutation(everybody[people.mode == mode])
        same_mode[group] = np.roll(group, -1)
        by_age = group[np.argsort(people.age[group], kind="stable")]
        same_age[by_age] = np.roll(by_age, -1)
    return {"free": free, "same mode": same_mode, "same mode and age": same_age}


def _targets(people: People) -> Float[np.ndarray, "people 22"]:
    habits = [people.column(name) for name in BODY[2:]]
    return np.column_stack([people.lengths, people.height, people.age, *habits])

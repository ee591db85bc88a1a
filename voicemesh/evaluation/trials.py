"""Who stands against whom: the trials of matching and verification among any set of people."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer

KINDS = ("free", "same sex", "same sex and age")  # what the wrong candidate shares with the probe
YEARS = 5.0  # between people of the same age, at most


@dataclass(frozen=True, eq=False)
class Choices:
    """A list of numbers for everybody, to draw from; it may be empty for some."""

    numbers: Int[np.ndarray, " all"]
    counts: Int[np.ndarray, " people"]

    def draw(
        self, people: Integer[np.ndarray, " draws"], rng: np.random.Generator
    ) -> Int[np.ndarray, " draws"]:
        """One number from the list of each of `people`."""
        starts = np.cumsum(self.counts) - self.counts
        luck = (rng.random(len(people)) * self.counts[people]).astype(int)
        return self.numbers[starts[people] + luck]


def items_of(owners: Integer[np.ndarray, " items"], people: int) -> Choices:
    """Everybody's own items."""
    return Choices(np.argsort(owners, kind="stable"), np.bincount(owners, minlength=people))


def rivals_of(
    sex: Integer[np.ndarray, " people"], age: Float[np.ndarray, " people"], kind: str
) -> Choices:
    """The people who may stand against each one; nobody where none is of the age.

    Raises:
        ValueError: somebody is the only one, or the only one of the sex.
    """
    chosen = []
    for person in range(len(sex)):
        alike = np.full(len(sex), True) if kind == "free" else sex == sex[person]
        alike[person] = False
        if not alike.any():
            raise ValueError(f"Person {person} has nobody to be told apart from ({kind})")
        if kind == "same sex and age":
            alike &= np.abs(age - age[person]) <= YEARS
        chosen.append(np.flatnonzero(alike))
    return Choices(np.concatenate(chosen), np.array([len(pool) for pool in chosen]))


def drawn(
    probes: Integer[np.ndarray, " probes"],
    gallery: Integer[np.ndarray, " gallery"],
    rivals: Choices,
    rng: np.random.Generator,
    negatives: int,
) -> Int[np.ndarray, "trials 3"]:
    """Rows (probe, right item, wrong item), `negatives` of them for every probe that has a rival.

    `probes` and `gallery` say whose each item is; the right and the wrong item are any of theirs.
    """
    items = items_of(gallery, len(rivals.counts))
    able = np.flatnonzero(rivals.counts[probes])
    probe = np.repeat(able, negatives)
    person = probes[probe]
    wrong = rivals.draw(person, rng)
    return np.stack([probe, items.draw(person, rng), items.draw(wrong, rng)], 1)

"""Voice-face association by both papers' protocols, on queries drawn from any set of people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer, Shaped

from . import matching, retrieval, verification
from .bootstrap import Estimate, identity_means, mean, resampled

KINDS = ("free", "same sex", "same sex and age")  # what the wrong candidate shares with the probe
NEAREST = 5  # people of the sex, nearest in age, one of whom is the wrong one of the last kind
DIRECTIONS = ("voice to face", "face to voice")
COLUMNS = (  # of the table: measure, kind, heading
    ("matching", "free", "1:2 U"),
    ("matching", "same sex", "1:2 G"),
    ("matching", "same sex and age", "1:2 GA"),
    ("verification", "free", "AUC U"),
    ("verification", "same sex", "AUC G"),
    ("retrieval", "", "mAP"),
)


@dataclass(frozen=True, eq=False)
class Side:
    """What one modality gave: an embedding per recording or picture, and whose it is."""

    embeddings: Float[np.ndarray, "items embedding"]
    people: Integer[np.ndarray, " items"]  # rows of the table of people


@dataclass(frozen=True)
class Published:
    """Figures of a paper, in percent; None where it gives none. Of its own lists only."""

    system: str
    data: str
    direction: str
    figures: tuple[float | None, ...]  # in the order of COLUMNS


VOXCELEB = "VoxCeleb1, SSS's lists"
PUBLISHED = (
    Published("SSS (Wen 2021)", VOXCELEB, DIRECTIONS[0], (87.2, 77.7, None, 87.2, 77.5, 5.5)),
    Published("SSS (Wen 2021)", VOXCELEB, DIRECTIONS[1], (86.5, 75.3, None, 87.0, 76.1, 5.8)),
)


def evaluate(
    voices: Side,
    faces: Side,
    sex: Integer[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
    seed: int = 0,
    negatives: int = 3,
    resamples: int = 200,
) -> dict[str, Any]:
    """Matching 1:2, verification and retrieval, both ways, with 95 % intervals over people.

    Every item is a probe; its right candidate is any item of the other side of the same person,
    and each of `negatives` wrong ones any item of another person of the kind. Verification takes
    the same pairs. The interval resamples the probes' people.

    Raises:
        ValueError: somebody has items on one side only, or nobody else to be told from.
    """
    check(voices, faces, sex)
    results: dict[str, Any] = {}
    for direction, (probes, gallery) in zip(
        DIRECTIONS, ((voices, faces), (faces, voices)), strict=True
    ):
        rng = np.random.default_rng([seed, DIRECTIONS.index(direction)])
        weights = resampled(len(sex), rng, resamples)
        found: dict[str, Any] = {"matching": {}, "verification": {}, "equal error rate": {}}
        for kind in KINDS:
            trials = drawn(probes, gallery, rivals_of(sex, age, kind), rng, negatives)
            right = matching.hits(probes.embeddings, gallery.embeddings, trials)
            owner = np.repeat(probes.people, negatives)
            found["matching"][kind] = asdict(mean(person_means(right, owner), weights))
            pairs = np.concatenate([trials[:, [0, 1]], trials[:, [0, 2]]])
            labels = np.arange(len(pairs)) < len(trials)
            values = verification.scores(probes.embeddings, gallery.embeddings, pairs)
            area = area_estimate(values, labels, np.tile(owner, 2), weights)
            found["verification"][kind] = asdict(area)
            found["equal error rate"][kind] = verification.equal_error_rate(values, labels)
        precisions = retrieval.average_precisions(
            probes.embeddings, gallery.embeddings, probes.people, gallery.people
        )
        found["retrieval"] = asdict(mean(person_means(precisions, probes.people), weights))
        found["retrieval chance"] = retrieval.chance(probes.people, gallery.people)
        results[direction] = found
    return results


def sex_oracle(side: Side, sex: Integer[np.ndarray, " people"]) -> Side:
    """The side as one who knows the sex perfectly, and nothing else, would embed it."""
    return Side(np.eye(sex.max() + 1)[sex[side.people]], side.people)


@dataclass(frozen=True, eq=False)
class Choices:
    """A list of numbers for everybody, to draw from."""

    numbers: Int[np.ndarray, " all"]
    counts: Int[np.ndarray, " people"]

    def draw(
        self, people: Integer[np.ndarray, " draws"], rng: np.random.Generator
    ) -> Int[np.ndarray, " draws"]:
        """One number from the list of each of `people`."""
        starts = np.cumsum(self.counts) - self.counts
        luck = (rng.random(len(people)) * self.counts[people]).astype(int)
        return self.numbers[starts[people] + luck]


def drawn(
    probes: Side, gallery: Side, rivals: Choices, rng: np.random.Generator, negatives: int
) -> Int[np.ndarray, "trials 3"]:
    """Rows (probe, right item, wrong item), `negatives` of them for every probe."""
    people = len(rivals.counts)
    items = Choices(
        np.argsort(gallery.people, kind="stable"), np.bincount(gallery.people, minlength=people)
    )
    probe = np.repeat(np.arange(len(probes.people)), negatives)
    person = probes.people[probe]
    wrong = rivals.draw(person, rng)
    return np.stack([probe, items.draw(person, rng), items.draw(wrong, rng)], 1)


def rivals_of(
    sex: Integer[np.ndarray, " people"], age: Float[np.ndarray, " people"], kind: str
) -> Choices:
    """The people who may stand against each one.

    Raises:
        ValueError: somebody is the only one of the sex.
    """
    chosen = []
    for person in range(len(sex)):
        alike = np.full(len(sex), True) if kind == "free" else sex == sex[person]
        alike[person] = False
        pool = np.flatnonzero(alike)
        if not len(pool):
            raise ValueError(f"Person {person} has nobody to be told apart from ({kind})")
        if kind == "same sex and age":
            pool = pool[np.argsort(np.abs(age[pool] - age[person]), kind="stable")[:NEAREST]]
        chosen.append(pool)
    return Choices(np.concatenate(chosen), np.array([len(pool) for pool in chosen]))


def person_means(
    values: Float[np.ndarray, " rows"], people: Integer[np.ndarray, " rows"]
) -> Float[np.ndarray, " people"]:
    """The mean of each person's values."""
    return identity_means(values[:, None], people.astype(np.int64))[:, 0]


def area_estimate(
    values: Float[np.ndarray, " pairs"],
    labels: Shaped[np.ndarray, " pairs"],
    owner: Integer[np.ndarray, " pairs"],
    weights: Float[np.ndarray, "resamples people"],
) -> Estimate:
    """Area under the ROC, its interval by drawing the probes' people anew."""
    order = np.argsort(values, kind="stable")
    ties = np.r_[0, np.flatnonzero(np.diff(values[order])) + 1]
    true, person = labels[order], owner[order]
    samples = []
    for weight in weights:
        share = weight[person]
        above = np.add.reduceat(np.where(true, share, 0), ties)
        below = np.add.reduceat(np.where(true, 0, share), ties)
        beaten = np.cumsum(below) - below / 2
        samples.append((above @ beaten) / (above.sum() * below.sum()))
    low, high = np.quantile(samples, [0.025, 0.975])
    return Estimate(verification.auc(values, labels), float(low), float(high))


def check(voices: Side, faces: Side, sex: Integer[np.ndarray, " people"]) -> None:
    """Refuse people without a voice or without a face."""
    for side, name in ((voices, "voice"), (faces, "face")):
        lacking = np.setdiff1d(np.arange(len(sex)), side.people)
        if len(lacking):
            raise ValueError(
                f"{len(lacking)} of {len(sex)} people have no {name}, such as"
                f" {lacking[:3].tolist()}; leave them out"
            )


def table(results: Mapping[str, Mapping[str, Any]], data: str) -> str:
    """Systems measured on `data`, chance, and published figures, in percent with intervals."""
    heads = "".join(f"{heading:>19}" for _, _, heading in COLUMNS)
    lines = [f"{'':<14}{'system':<18}{'data':<24}{heads}"]
    for direction in DIRECTIONS:
        for system, found in results.items():
            row = [found[direction][measure] for measure, _, _ in COLUMNS]
            row = [
                entry[kind] if kind else entry
                for entry, (_, kind, _) in zip(row, COLUMNS, strict=True)
            ]
            lines.append(line(direction, system, data, [percent(**entry) for entry in row]))
        first = next(iter(results.values()))
        chance = [*(["50.0"] * 5), f"{100 * first[direction]['retrieval chance']:.1f}"]
        lines.append(line(direction, "chance", data, chance))
        for paper in PUBLISHED:
            if paper.direction == direction:
                shown = ["-" if figure is None else f"{figure:.1f}" for figure in paper.figures]
                lines.append(line(direction, paper.system, paper.data, shown))
    return "\n".join(lines)


def percent(value: float, low: float, high: float) -> str:
    """An estimate in percent."""
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def line(direction: str, system: str, data: str, shown: list[str]) -> str:
    """One row of the table."""
    return f"{direction:<14}{system:<18}{data:<24}" + "".join(f"{entry:>19}" for entry in shown)

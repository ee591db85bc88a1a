"""The search among the embeddings of one side of a space: exact, or through cells."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64, UInt8

from .approximate import AT_ONCE, CellIndex, Recall, similarities, wider

EXACT_LIMIT = 100_000  # rows up to which all are compared


@dataclass(frozen=True, eq=False)
class Matches:
    """The most similar people of a gallery, best first; entry i of every array is match i.

    A person with several pictures or recordings counts once, by the most similar of them.
    """

    numbers: Int64[np.ndarray, " matches"]  # of entries
    similarity: Float32[np.ndarray, " matches"]  # cosine
    rank: Int64[np.ndarray, " matches"]  # 1 for the best
    percentile: Float64[np.ndarray, " matches"]  # of the other people, % that are less similar
    unusual: Float64[np.ndarray, " matches"] | None  # share of strangers whose best is less similar
    people: int  # who were compared
    chance: float  # that any given one is among the matches if the embedding tells nothing

    def __len__(self) -> int:
        return len(self.numbers)


def matches(
    numbers: Int64[np.ndarray, " matches"],
    similarity: Float32[np.ndarray, " matches"],
    less: Int64[np.ndarray, " matches"],
    people: int,
    strangers: Float32[np.ndarray, " strangers"] | None,
) -> Matches:
    """Matches in order, from how many people are `less` similar and what strangers reach."""
    unusual = None
    if strangers is not None:
        unusual = np.searchsorted(strangers, similarity) / len(strangers)
    others = max(1, people - 1)
    return Matches(
        numbers=numbers,
        similarity=similarity,
        rank=np.arange(1, len(numbers) + 1),
        percentile=100.0 * less / others if people > 1 else np.full(len(numbers), 100.0),
        unusual=unusual,
        people=people,
        chance=len(numbers) / people if people else 0.0,
    )


class Side:
    """The faces or the voices of a space: a unit vector per row, each of an entry of a person."""

    def __init__(
        self,
        vectors: Float[np.ndarray, "rows d"],
        entries: Int32[np.ndarray, " rows"],
        person: Int32[np.ndarray, " rows"],
        sex: UInt8[np.ndarray, " rows"],
        index: CellIndex | None = None,
        recall: Recall | None = None,
    ) -> None:
        """Rows in ascending order of their entries.

        Args:
            sex: a number; whom the filter of the same number keeps.
            index: of the same rows, for galleries that are too large to compare all.
        """
        self.vectors, self.entries, self.person, self.sex = vectors, entries, person, sex
        self.index, self.recall = index, recall

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def _grouped(self) -> tuple[Int64[np.ndarray, " rows"], Int64[np.ndarray, " people"]]:
        """The rows person by person, and where each person's begin."""
        order = np.argsort(self.person, kind="stable")
        grouped = self.person[order]
        return order, np.flatnonzero(np.diff(grouped, prepend=-1))

    @cached_property
    def people(self) -> Int32[np.ndarray, " people"]:
        """Who is on this side, ascending."""
        order, starts = self._grouped
        return self.person[order[starts]]

    @cached_property
    def _kept(self) -> dict[int | None, Bool[np.ndarray, " people"]]:
        order, starts = self._grouped
        sex = self.sex[order[starts]]
        return {None: np.ones(len(sex), bool)} | {int(n): sex == n for n in np.unique(sex)}

    def allowed(self, sex: int | None) -> Bool[np.ndarray, " people"]:
        """Whom a filter keeps, by their first row."""
        return self._kept.get(sex, np.zeros(len(self.people), bool))

    @cached_property
    def _counts(self) -> dict[int | None, int]:
        return {sex: int(kept.sum()) for sex, kept in self._kept.items()}

    def count(self, sex: int | None) -> int:
        """How many people a filter keeps."""
        return self._counts.get(sex, 0)

    def scores(self, unit: Float[np.ndarray, " d"]) -> Float32[np.ndarray, " rows"]:
        """The cosine of every row with a probe, computed in float32."""
        probe = np.asarray(unit, np.float32)
        if self.vectors.dtype == np.float32:
            return self.vectors @ probe
        parts = range(0, len(self), AT_ONCE)
        found = [self.vectors[p : p + AT_ONCE].astype(np.float32) @ probe for p in parts]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def best(self, scores: Float32[np.ndarray, " rows"]) -> Float32[np.ndarray, " people"]:
        """The highest of each person's scores."""
        order, starts = self._grouped
        if len(starts) == len(scores):
            return scores[order]
        return np.maximum.reduceat(scores[order], starts)

    def row(self, place: int, scores: Float32[np.ndarray, " rows"]) -> int:
        """The best row of the person at this place of `people`; of equals the first."""
        order, starts = self._grouped
        end = starts[place + 1] if place + 1 < len(starts) else len(order)
        rows = order[starts[place] : end]
        return int(rows[scores[rows].argmax()])

    def search(
        self,
        unit: Float[np.ndarray, " d"],
        count: int,
        sex: int | None,
        strangers: Float32[np.ndarray, " strangers"] | None = None,
    ) -> Matches:
        """The `count` people most similar to a probe; equals by the number of their entry."""
        people = self.count(sex)
        count = min(count, people)
        if self.index is not None:
            rows, similarity = self._through_cells(unit, count, sex)
            less = people - np.arange(1, len(rows) + 1)
            return matches(self.entries[rows].astype(np.int64), similarity, less, people, strangers)
        scores = self.scores(unit)
        best, places = self.best(scores), np.flatnonzero(self.allowed(sex))
        values = best[places]
        if count < len(values):
            places = places[values >= np.partition(values, -count)[-count]] if count else places[:0]
        rows = np.array([self.row(int(place), scores) for place in places], np.int64)
        rows = rows[np.lexsort((rows, -scores[rows]))][:count]
        less = np.searchsorted(np.sort(values), scores[rows])
        return matches(self.entries[rows].astype(np.int64), scores[rows], less, people, strangers)

    def rank(
        self, unit: Float[np.ndarray, " d"], person: int, sex: int | None
    ) -> tuple[int, int] | None:
        """A person's place among all, found by comparing all; None if the filter drops them."""
        allowed = self.allowed(sex)
        place = int(np.searchsorted(self.people, person))
        if place == len(allowed) or self.people[place] != person or not allowed[place]:
            return None
        scores = self.scores(unit)
        best = self.best(scores)
        own, number = best[place], self.row(place, scores)
        level = np.flatnonzero((best == own) & allowed)
        before = sum(self.row(int(other), scores) < number for other in level)
        return int((best[allowed] > own).sum()) + before + 1, len(allowed[allowed])

    def _through_cells(
        self, unit: Float[np.ndarray, " d"], count: int, sex: int | None
    ) -> tuple[Int64[np.ndarray, " found"], Float32[np.ndarray, " found"]]:
        """Rows of the most similar people, from the cells near the probe."""
        wanted, visited = wider(count), self.index.visited
        allowed = None if sex is None else self.sex == sex
        while True:
            rows = self.index.nearest(unit[None], min(wanted, len(self)), allowed, visited)[0]
            rows = rows[rows >= 0]
            scores = similarities(self.vectors, rows, unit)
            order = np.lexsort((rows, -scores))
            rows, scores = rows[order], scores[order]
            _, first = np.unique(self.person[rows], return_index=True)
            first = np.sort(first)[:count]  # of each person the best row
            short = len(rows) < wanted
            if len(first) == count or (short and visited == self.index.cells):
                return rows[first], scores[first]
            if short:
                visited = self.index.cells  # those near by hold too few whom the filter keeps
            wanted *= 4

"""Whose face fits a voice, whose voice fits a face: the nearest people of a bundle's gallery."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.gallery import SEXES, SIDES, Entry, Gallery
from voicemesh.gallery.leaning import SexAxis
from voicemesh.gallery.search import EXACT_LIMIT
from voicemesh.systems import spaces
from voicemesh.systems.association import VoiceFaceSpace

from .plain import rounded

COUNT = 8  # matches that are shown
BINS = 48  # of the histogram of all similarities


@dataclass(frozen=True, eq=False)
class Match:
    """One person of the gallery."""

    entry: Entry
    similarity: float  # cosine
    percentile: float  # of the other people, % that are less similar
    unusual: float | None  # share of strangers whose best match is less similar than this


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many people of the gallery are how similar."""

    edges: Float[np.ndarray, " edges"]
    counts: Int64[np.ndarray, " bins"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The people nearest to a voice or a face, beside what no knowledge at all would give."""

    space: str
    side: str  # "faces" or "voices": of what the gallery was searched
    sex: str | None  # the people of one sex alone, or None for all
    matches: tuple[Match, ...]
    people: int  # who were compared
    alike: int | None  # people of the probe's sex among them, where it is known
    histogram: Histogram | None = field(repr=False)
    true_identity: str | None = None
    truth: tuple[int, int] | None = None  # the true person's place, and among how many
    true_similarity: float | None = None
    supposed: str = ""  # the sex that the probe sounds or looks like to the mesh's nets
    leaning: bool = False  # the space heard the other sex, and was led to the supposed one

    @property
    def contrary(self) -> bool:
        """Are most of the matches of the other sex than the mesh?"""
        sexes = [match.entry.sex for match in self.matches]
        other = sum(bool(sex) and sex != self.supposed for sex in sexes)
        return bool(self.supposed) and 2 * other > len(sexes)

    @property
    def chance(self) -> float:
        """How often the right person, if there, is among so many people drawn blindly."""
        return len(self.matches) / self.people if self.people else 0.0

    @property
    def sex_alone(self) -> float | None:
        """The same for someone who knows the sex, and nothing else."""
        return min(1.0, len(self.matches) / self.alike) if self.alike else None

    def report(self) -> dict[str, Any]:
        """All but the media, as plain data."""
        found = [
            {
                "identity": match.entry.identity,
                "label": match.entry.label,
                "similarity": match.similarity,
                "percentile": match.percentile,
                "unusual": match.unusual,
            }
            for match in self.matches
        ]
        return rounded(
            {
                "space": self.space,
                "of": self.side,
                "sex": self.sex,
                "people": self.people,
                "chance": self.chance,
                "sex_alone": self.sex_alone,
                "true_rank": self.truth and self.truth[0],
                "contrary_sex": self.contrary,
                "led_to_sex": self.leaning,
                "matches": found,
            }
        )


class Matcher:
    """The gallery of a bundle, and the nets that compare voices and faces with it."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        """Open the gallery; the nets are loaded when they are first asked.

        Raises:
            ValueError: the gallery is damaged, or was embedded by other nets.
        """
        self.bundle, self.device = bundle, device
        self.gallery = Gallery.open(bundle.gallery_folder)
        self.gallery.check({name: part.sha256 for name, part in bundle.parts.items()})
        self._axes: dict[str, SexAxis | None] = {}
        self.names = [name for name in spaces.named_in(bundle) if name in self.gallery.spaces]

    @cached_property
    def spaces(self) -> dict[str, VoiceFaceSpace]:
        """The nets by system."""
        return spaces.spaces_in(self.bundle, self.device)

    def sides(self, space: str) -> tuple[str, ...]:
        """Which sides of the gallery a system can search."""
        return self.gallery.spaces[space].sides

    def of_voice(
        self,
        speech: Float[np.ndarray, " speech"],
        space: str,
        sex: str | None = None,
        heard: str = "",
        identity: str | None = None,
        count: int = COUNT,
    ) -> Ranking:
        """The people whose faces fit speech (16 kHz); `heard` is the sex that it sounds like.

        A space that hears the other sex is led to it: the mesh's reader knows raised voices.
        """
        told = self.spaces[space].embed_voice(torch.from_numpy(speech)).cpu().numpy()
        axis = None if sex or not heard else self.axis(space)
        probe = axis.led(told, heard) if axis else told
        found = self.ranking(probe, space, "faces", sex, heard, identity, count)
        return replace(found, leaning=probe is not told)

    def of_face(
        self,
        crop: UInt8[np.ndarray, "_ _ 3"],
        space: str,
        sex: str | None = None,
        seen: str = "",
        count: int = COUNT,
    ) -> Ranking:
        """The people whose voices fit a face crop; `seen` is the sex that it looks like."""
        probe = self.spaces[space].embed_faces([crop])[0]
        return self.ranking(probe.cpu().numpy(), space, "voices", sex, seen, None, count)

    def ranking(
        self,
        probe: Float[np.ndarray, " d"],
        space: str,
        side: str,
        sex: str | None,
        supposed: str,
        identity: str | None,
        count: int,
    ) -> Ranking:
        """The people nearest to a probe on one side of a space."""
        found = self.gallery.search(probe, space, side, count, sex)
        matches = tuple(
            Match(
                entry=self.gallery.entry(int(number)),
                similarity=float(found.similarity[at]),
                percentile=float(found.percentile[at]),
                unusual=None if found.unusual is None else float(found.unusual[at]),
            )
            for at, number in enumerate(found.numbers)
        )
        scores = self.scores(probe, space, side, sex)
        truth = own = None
        if identity and (entries := self.gallery.numbers(identity)):
            if sex in (None, self.gallery.entry(entries[0]).sex):
                truth = self.gallery.rank(probe, space, side, identity, sex)
                if scores is not None:
                    own = float(np.sort(scores)[-truth[0]])
        return Ranking(
            space=space,
            side=side,
            sex=sex,
            matches=matches,
            people=found.people,
            alike=self.alike(space, side, sex or supposed),
            histogram=None if scores is None else histogram(scores),
            true_identity=identity,
            truth=truth,
            true_similarity=own,
            supposed=supposed,
        )

    def scores(
        self, probe: Float[np.ndarray, " d"], space: str, side: str, sex: str | None
    ) -> Float[np.ndarray, " people"] | None:
        """Everybody's similarity, where there are not too many and they are here."""
        if not isinstance(self.gallery, FolderGallery) or len(self.gallery) > EXACT_LIMIT:
            return None
        rows = self.gallery.side(space, side)
        return rows.best(rows.scores(probe))[rows.allowed(SEXES.index(sex) if sex else None)]

    def axis(self, space: str) -> SexAxis | None:
        """Where the sexes lie for voices that ask for faces; None where that is not known."""
        if space not in self._axes:
            here = isinstance(self.gallery, FolderGallery) and set(SIDES) <= set(self.sides(space))
            sides = [self.gallery.side(space, side) for side in SIDES] if here else []
            self._axes[space] = SexAxis.of(*sides) if here else None
        return self._axes[space]

    def alike(self, space: str, side: str, sex: str) -> int | None:
        """How many people of a sex are on a side; None where it is not known."""
        if not sex or not isinstance(self.gallery, FolderGallery):
            return None
        return self.gallery.side(space, side).count(SEXES.index(sex)) or None


def histogram(scores: Float[np.ndarray, " people"]) -> Histogram:
    """The scores in equal bins from the lowest to the highest."""
    counts, edges = np.histogram(scores, min(BINS, max(4, len(scores) // 2)))
    return Histogram(edges, counts.astype(np.int64))

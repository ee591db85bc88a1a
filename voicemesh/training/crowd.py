"""Several populations to learn from as one: their people in a row, each keeping a number."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from voicemesh.evaluation.targets import Targets, people_targets
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.dataset import Population
from voicemesh.population.law import People
from voicemesh.population.recipe import PopulationRecipe

from .data import FeatureSet, features


@dataclass(frozen=True, eq=False)
class Crowd:
    """Populations of one law; a person is a row of `people`. It stands for a `Population`."""

    populations: tuple[Population, ...]

    @classmethod
    def open(cls, data: str | Path, more: Sequence[str | Path] = ()) -> "Crowd":
        """The population in `data` and those in further folders.

        Raises:
            ValueError: one of the folders holds no whole population, their voices are tied to
                bodies in different ways, or two hold the same people.
        """
        populations = tuple(Population.open(folder) for folder in (data, *more))
        first, seeds = populations[0], {}
        for one in populations:
            if one.recipe.coupling != first.recipe.coupling:
                raise ValueError(
                    f"{one.folder} has the coupling {one.recipe.coupling}, {first.folder}"
                    f" {first.recipe.coupling}; learn from populations of one coupling"
                )
            other = seeds.setdefault(one.recipe.seed, one.folder)
            if other is not one.folder:
                raise ValueError(
                    f"{other} and {one.folder} have the seed {one.recipe.seed} and so the same"
                    " people; build one of them with another seed"
                )
        return cls(populations)

    @property
    def folder(self) -> Path:
        """Where the first population lies."""
        return self.populations[0].folder

    @property
    def recipe(self) -> PopulationRecipe:
        """How the first population was made; all have its coupling."""
        return self.populations[0].recipe

    @cached_property
    def people(self) -> People:
        """Everyone, population after population."""
        if len(self.populations) == 1:
            return self.populations[0].people
        parts = [one.people for one in self.populations]
        columns = ([getattr(part, field.name) for part in parts] for field in fields(People))
        return People(*map(np.concatenate, columns))

    @cached_property
    def starts(self) -> Int64[np.ndarray, " populations"]:
        """The number of the first person of each population."""
        return np.cumsum([0, *(len(one.people) for one in self.populations[:-1])])

    @property
    def train(self) -> Int64[np.ndarray, " some"]:
        """The people to train on, of all populations."""
        return self._rows("train")

    @property
    def validation(self) -> Int64[np.ndarray, " others"]:
        """The people never trained on, of all populations."""
        return self._rows("validation")

    def targets(self, face_model: MorphableModel) -> Targets:
        """The truth about everyone; heads are those of each population, which number them."""
        parts = [people_targets(one.people, face_model) for one in self.populations]
        columns = ([getattr(part, field.name) for part in parts] for field in fields(Targets))
        return Targets(*map(torch.cat, columns))

    def features(self, front_end: str, workers: int = 1) -> FeatureSet:
        """All recordings as features, kept beside each population.

        Raises:
            ValueError: the populations' recordings differ in length.
        """
        sets = [features(one.folder, front_end, workers) for one in self.populations]
        lengths = [own.frames for own in sets]
        if len(set(lengths)) > 1:
            told = ", ".join(map(str, lengths))
            raise ValueError(
                f"Recordings of {told} frames; learn from populations of the same seconds"
            )
        return FeatureSet(
            shards=tuple(shard for own in sets for shard in own.shards),
            identity=np.concatenate(
                [own.identity + start for own, start in zip(sets, self.starts, strict=True)]
            ),
            session=np.concatenate([own.session for own in sets]),
            clean=np.concatenate([own.clean for own in sets]),
        )

    def home(
        self, person: Int64[np.ndarray, " rows"]
    ) -> tuple[Int64[np.ndarray, " rows"], Int64[np.ndarray, " rows"]]:
        """The population of each of some people, and the person's number in it."""
        number = np.searchsorted(self.starts, person, side="right") - 1
        return number, person - self.starts[number]

    def _rows(self, split: str) -> Int64[np.ndarray, " some"]:
        parts = zip(self.populations, self.starts, strict=True)
        return np.concatenate([getattr(one, split) + start for one, start in parts])

"""The voice of every recording on its own day, and what the law lets expect of it.

A net hears one day and not the habit: targets of the day itself leave less to chance.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from voicemesh.evaluation.expectation import Expectation
from voicemesh.evaluation.targets import TRAIT_SCALES
from voicemesh.population.recipe import effort_of
from voicemesh.population.streams import stream
from voicemesh.population.tables import VOICE
from voicemesh.population.voices import daily_change

from .crowd import Crowd
from .data import FeatureSet

EFFORT_SCALE = 2.5  # semitones


@dataclass(frozen=True, eq=False)
class Days:
    """One row per person and session."""

    of_row: Int64[np.ndarray, " rows"]  # the day of every recording
    identity: Int64[np.ndarray, " days"]
    voice: Float[np.ndarray, "days quantities"]  # before any vocal effort
    effort: Float[np.ndarray, " days"]  # semitones
    strong: Bool[np.ndarray, " days"]  # was it strong?

    @classmethod
    def of(cls, crowd: Crowd, utterances: FeatureSet) -> "Days":
        """As the populations drew them when their recordings were made."""
        pairs = np.stack([utterances.identity, utterances.session], 1)
        days, of_row = np.unique(pairs, axis=0, return_inverse=True)
        homes, own = crowd.home(days[:, 0])
        voice, modes = crowd.people.voice[days[:, 0]], crowd.people.mode[days[:, 0]]
        effort, strong = np.empty(len(days)), np.empty(len(days), bool)
        for row, (home, person, session) in enumerate(
            zip(homes.tolist(), own.tolist(), days[:, 1].tolist(), strict=True)
        ):
            recipe = crowd.populations[home].recipe
            voice[row] += daily_change(stream(recipe.seed, "session", person, session))
            effort[row], strong[row] = effort_of(recipe, person, session, int(modes[row]))
        return cls(of_row.ravel(), days[:, 0], voice, effort, strong)


@dataclass(frozen=True, eq=False)
class DayTargets:
    """What a net is asked of every day."""

    shape_params: Float[Tensor, "days s"]
    age: Float[Tensor, " days"]  # z-score
    measures: Float[Tensor, "days 19"]  # lengths and age, of deviation 1 within a sex
    habits: Float[Tensor, "days quantities"]  # the voice itself, of deviation 1 within a sex
    effort: Float[Tensor, "days 2"]  # in units of EFFORT_SCALE; z-score of the pitch raised by it

    @classmethod
    def of(cls, days: Days, crowd: Crowd, shape_params: Float[Tensor, "people s"]) -> "DayTargets":
        """Expectations of the law given every day's voice."""
        people, train = crowd.people, crowd.train
        sex, learnt = people.mode[days.identity], np.isin(days.identity, train)
        expectation = Expectation.of_law(crowd.recipe.coupling, sessions=1)
        told = expectation.measures(days.voice, sex)
        mean, deviation = TRAIT_SCALES["age"]
        usual_pitch, spread = TRAIT_SCALES["log_f0"]
        raised = days.voice[:, VOICE.index("log_f0")] + days.effort * np.log(2) / 12
        effort = np.stack([days.effort / EFFORT_SCALE, (raised - usual_pitch) / spread], 1)
        return cls(
            expectation.shapes(days.voice, people, shape_params, train),
            torch.from_numpy((told[:, -1] - mean) / deviation).float(),
            *(within_sex(values, sex, learnt) for values in (told, days.voice)),
            torch.from_numpy(effort).float(),
        )


def within_sex(
    values: Float[np.ndarray, "days k"],
    sex: Int64[np.ndarray, " days"],
    learnt: np.ndarray,
) -> Float[Tensor, "days k"]:
    """z-scores within each sex, by the mean and deviation of the rows `learnt`."""
    scores = np.empty_like(values)
    for mode in (0, 1):
        own = sex == mode
        known = values[own & learnt]
        scores[own] = (values[own] - known.mean(0)) / (known.std(0) + 1e-9)
    return torch.from_numpy(scores).float()

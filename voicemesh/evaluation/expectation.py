"""The best possible answer: what the law lets expect of a voice."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voicemesh.population.law import People, draw
from voicemesh.population.reader import Reader, heard_voices

DRAWN = 100_000  # people that the reader is fitted on
SEED = 20_260_101  # apart from the seeds of populations


@dataclass(frozen=True, eq=False)
class Expectation:
    """Lengths and age given a voice, from a large draw of the law."""

    reader: Reader

    @classmethod
    def of_law(cls, coupling: float, sessions: int | None = None) -> "Expectation":
        """Of voices heard in so many recordings, each on another day; None: of habitual voices."""
        drawn = draw(DRAWN, SEED, coupling)
        known = drawn.voice if sessions is None else heard_voices(drawn.voice, sessions, SEED)
        told = np.column_stack([drawn.lengths, drawn.age])
        return cls(Reader.fit(known, told, drawn.mode))

    def measures(
        self, heard: Float[np.ndarray, "voices quantities"], sex: Int[np.ndarray, " voices"]
    ) -> Float[np.ndarray, "voices 19"]:
        """Expected lengths in mm, then the age, of voices whose sex is known."""
        told = np.stack([self.reader.within(heard, mode)[0] for mode in (0, 1)])
        return told[sex, np.arange(len(sex))]

    def shapes(
        self,
        heard: Float[np.ndarray, "voices quantities"],
        people: People,
        shape_params: Float[Tensor, "people s"],
        fitted: Int[np.ndarray, " some"],
    ) -> Float[Tensor, "voices s"]:
        """Expected shape parameters given the voices and nothing else.

        Shape parameters given lengths are learnt from the people in the rows `fitted`.
        """
        small = self.reader.small(heard)[:, None]
        men, women = self.shapes_within(heard, people, shape_params, fitted)
        return torch.from_numpy((1 - small) * men + small * women).float()

    def shapes_within(
        self,
        heard: Float[np.ndarray, "voices quantities"],
        people: People,
        shape_params: Float[Tensor, "people s"],
        fitted: Int[np.ndarray, " some"],
    ) -> Float[np.ndarray, "2 voices s"]:
        """Expected shape parameters given the voices, if they are men's and if they are women's."""
        answers = []
        for mode in (0, 1):
            rows = fitted[people.mode[fitted] == mode]
            lengths = self.reader.within(heard, mode)[0][:, : people.lengths.shape[1]]
            answers.append(_shape_of(lengths, people.lengths[rows], shape_params[rows].numpy()))
        return np.stack(answers)


def expected_shape(
    people: People,
    shape_params: Float[Tensor, "people s"],
    fitted: Int[np.ndarray, " some"],
    coupling: float,
    sessions: int | None = None,
) -> Float[Tensor, "people s"]:
    """Shape parameters expected given everyone's voice, and nothing else.

    The voice is heard in so many recordings, each on another day; None is the habitual voice
    itself.
    """
    heard = people.voice if sessions is None else heard_voices(people.voice, sessions, SEED)
    return Expectation.of_law(coupling, sessions).shapes(heard, people, shape_params, fitted)


def _shape_of(
    lengths: Float[np.ndarray, "people lengths"],
    known_lengths: Float[np.ndarray, "some lengths"],
    known_params: Float[np.ndarray, "some s"],
) -> Float[np.ndarray, "people s"]:
    """Least squares from lengths to shape parameters, learnt from some people."""
    centre, level = known_lengths.mean(0), known_params.mean(0)
    slope = np.linalg.lstsq(known_lengths - centre, known_params - level, rcond=None)[0]
    return level + (lengths - centre) @ slope

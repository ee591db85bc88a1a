"""The best possible answer: the shape that the law lets expect of a voice."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voicemesh.population.law import People, draw
from voicemesh.population.reader import Reader, heard_voices

DRAWN = 100_000  # people that the reader is fitted on
SEED = 20_260_101  # apart from the seeds of populations


def expected_shape(
    people: People,
    shape_params: Float[Tensor, "people s"],
    fitted: Int[np.ndarray, " some"],
    coupling: float,
    sessions: int | None = None,
) -> Float[Tensor, "people s"]:
    """Shape parameters expected given everyone's voice, and nothing else.

    The voice is heard in so many recordings, each on another day; None is the habitual voice
    itself. Lengths given the voice come from a large draw of the law, shape parameters given
    lengths from the people in the rows `fitted`.
    """
    drawn = draw(DRAWN, SEED, coupling)
    if sessions is None:
        known, heard = drawn.voice, people.voice
    else:
        known, heard = (heard_voices(some.voice, sessions, SEED) for some in (drawn, people))
    reader = Reader.fit(known, drawn.lengths, drawn.mode)
    small = reader.small(heard)[:, None]
    answers = []
    for mode in (0, 1):
        rows = fitted[people.mode[fitted] == mode]
        lengths, _ = reader.within(heard, mode)
        answers.append(_shape_of(lengths, people.lengths[rows], shape_params[rows].numpy()))
    return torch.from_numpy((1 - small) * answers[0] + small * answers[1]).float()


def _shape_of(
    lengths: Float[np.ndarray, "people lengths"],
    known_lengths: Float[np.ndarray, "some lengths"],
    known_params: Float[np.ndarray, "some s"],
) -> Float[np.ndarray, "people s"]:
    """Least squares from lengths to shape parameters, learnt from some people."""
    centre, level = known_lengths.mean(0), known_params.mean(0)
    slope = np.linalg.lstsq(known_lengths - centre, known_params - level, rcond=None)[0]
    return level + (lengths - centre) @ slope

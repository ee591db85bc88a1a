"""The law's own verdict on a voice and a face: how much likelier together than as strangers.

No system can score pairs better than by this ratio: it knows the voice's true parameters, heard
with the noise of as many days as there are recordings, and the true measures of the face.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .law import People, draw
from .reader import heard_voices, log_normal

DRAWN = 200_000  # people that it is fitted on
SEED = 20_260_102  # apart from the seeds of populations
MEASURES = ("lengths", "picture")  # what is known of a face, besides the sex
GREY = 0.03, 0.97  # share of grey hair between which a picture tells the age by it
AGES = 64  # of the sum over the ages that a stranger may have
BLOCK = 256  # voices whose scores are held at once, with a column for each face


@dataclass(frozen=True, eq=False)
class LikelihoodRatio:
    """Voices given measures, sex and age are normal: a line and a covariance for each sex."""

    slope: Float[np.ndarray, "2 known quantities"]  # on `known_of` a face
    covariance: Float[np.ndarray, "2 quantities quantities"]  # left, given the face
    base: Float[np.ndarray, "2 curve quantities"]  # the expected voice of a sex and age
    spread: Float[np.ndarray, "2 quantities quantities"]  # left, given sex and age
    ages: Float[np.ndarray, " ages"]  # equally likely
    measures: str
    sessions: int

    @classmethod
    def fit(
        cls,
        coupling: float,
        sessions: int = 1,
        measures: str = "lengths",
        count: int = DRAWN,
        seed: int = SEED,
    ) -> "LikelihoodRatio":
        """From `count` people of the law.

        Args:
            sessions: recordings heard of each voice, each on another day.
            measures: "lengths" in mm with the age; or what a perfect eye sees on a "picture",
                which has no scale: proportions, and the age as far as grey hair tells it.

        Raises:
            ValueError: unknown measures.
        """
        if measures not in MEASURES:
            raise ValueError(f"no measures {measures!r}; there are {', '.join(MEASURES)}")
        people = draw(count, seed, coupling)
        heard = heard_voices(people.voice, sessions, seed)
        fitted = []
        for mode in (0, 1):
            rows = np.flatnonzero(people.mode == mode)
            some, voice = people.take(rows), heard[rows]
            for known in (known_of(some, measures), curve(some.age)):
                slope = np.linalg.lstsq(known, voice, rcond=None)[0]
                fitted.append((slope, np.cov(voice - known @ slope, rowvar=False)))
        (slope, covariance), (base, spread) = (
            [np.stack(parts) for parts in zip(*fitted[kind::2], strict=True)] for kind in (0, 1)
        )
        shares = (np.arange(AGES) + 0.5) / AGES
        ages = np.quantile(people.age, shares)
        return cls(slope, covariance, base, spread, ages, measures, sessions)

    def scores(self, voices: People, faces: People, seed: int) -> Float[np.ndarray, "voices faces"]:
        """Natural logarithm of the ratio for each pair; `seed` draws the days of the voices."""
        heard = heard_voices(voices.voice, self.sessions, seed)
        told = np.zeros((len(voices), len(faces)), np.float32)
        for mode in (0, 1):
            rows = np.flatnonzero(faces.mode == mode)
            expected = known_of(faces.take(rows), self.measures) @ self.slope[mode]
            root = np.linalg.cholesky(self.covariance[mode])
            x, y = (np.linalg.solve(root, values.T).T for values in (heard, expected))
            level = np.log(np.diag(root)).sum() + heard.shape[1] / 2 * np.log(2 * np.pi)
            for start in range(0, len(x), BLOCK):
                part = slice(start, start + BLOCK)
                apart = (x[part] ** 2).sum(1)[:, None] + (y**2).sum(1) - 2 * x[part] @ y.T
                told[part, rows] = -apart / 2 - level
        return told - self.of_stranger(heard)[:, None].astype(np.float32)

    def of_stranger(
        self, heard: Float[np.ndarray, "voices quantities"]
    ) -> Float[np.ndarray, " voices"]:
        """Log density of a voice when nothing is known of the face."""
        parts = [
            log_normal(heard, centre, self.spread[mode])
            for mode in (0, 1)
            for centre in curve(self.ages) @ self.base[mode]
        ]
        return np.logaddexp.reduce(parts, 0) - np.log(len(parts))


def known_of(people: People, measures: str) -> Float[np.ndarray, "people known"]:
    """What is known of faces and voices may depend on: their measures, and the age."""
    if measures == "lengths":
        return np.concatenate([people.lengths, curve(people.age)], 1)
    return np.concatenate([proportions(people), curve(age_by_hair(people))], 1)


def proportions(people: People) -> Float[np.ndarray, "people measures"]:
    """Logarithms of lengths around their own mean, which know no scale."""
    logs = np.log(people.lengths)
    return (logs - logs.mean(1, keepdims=True))[:, 1:]  # one follows from the others


def age_by_hair(people: People) -> Float[np.ndarray, " people"]:
    """The age of which so much grey hair is usual: eight years off on average, or more."""
    grey = np.clip(people.column("grey"), *GREY)
    return 50 + 8 * np.log(grey / (1 - grey))


def curve(age: Float[np.ndarray, " people"]) -> Float[np.ndarray, "people curve"]:
    """A constant, and lines over age with the bends that the law's voices have."""
    bends = [np.maximum(age - bend, 0) for bend in (45, 55, 70)]
    return np.stack([np.ones_like(age), age, *bends], 1)

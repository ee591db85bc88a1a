"""The best reader of a voice: what the law itself expects, given measured voice parameters.

Within a mode voices and bodies are close to jointly normal, so the expectation is linear; over
both modes it is the mean of the two, weighted by how likely each mode is for this voice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from .streams import stream
from .tables import VOICE, VOICE_LAW


@dataclass(frozen=True, eq=False)
class Reader:
    """Means and covariances of observations x and targets y in each of the two modes."""

    mean: Float[np.ndarray, "2 both"]  # x, then y
    covariance: Float[np.ndarray, "2 both both"]
    observed: int  # columns of x

    @classmethod
    def fit(
        cls,
        x: Float[np.ndarray, "people observed"],
        y: Float[np.ndarray, "people targets"],
        mode: Int[np.ndarray, " people"],
    ) -> "Reader":
        """Estimate both modes from people whose mode is known."""
        both = np.concatenate([x, y], axis=1)
        groups = [both[mode == m] for m in (0, 1)]
        for m, group in enumerate(groups):
            if len(group) <= both.shape[1]:
                raise ValueError(
                    f"{len(group)} people of mode {m} for {both.shape[1]} columns; draw more"
                )
        mean = np.stack([group.mean(0) for group in groups])
        covariance = np.stack([np.cov(group, rowvar=False) for group in groups])
        return cls(mean, covariance, x.shape[1])

    def small(self, x: Float[np.ndarray, "people observed"]) -> Float[np.ndarray, " people"]:
        """Probability of the small mode."""
        n = self.observed
        large, small = (log_normal(x, self.mean[m, :n], self.covariance[m, :n, :n]) for m in (0, 1))
        return 1 / (1 + np.exp(np.clip(large - small, -500, 500)))

    def within(
        self, x: Float[np.ndarray, "people observed"], mode: int
    ) -> tuple[Float[np.ndarray, "people targets"], Float[np.ndarray, "targets targets"]]:
        """Expected targets, and the covariance that is left, if the mode is known."""
        n, mean, full = self.observed, self.mean[mode], self.covariance[mode]
        gain = np.linalg.solve(full[:n, :n], full[:n, n:])
        return mean[n:] + (x - mean[:n]) @ gain, full[n:, n:] - full[n:, :n] @ gain

    def predict(
        self, x: Float[np.ndarray, "people observed"]
    ) -> Float[np.ndarray, "people targets"]:
        """Expected targets."""
        small = self.small(x)[:, None]
        return (1 - small) * self.within(x, 0)[0] + small * self.within(x, 1)[0]

    def evidence(
        self, x: Float[np.ndarray, "people observed"], y: Float[np.ndarray, "people targets"]
    ) -> Float[np.ndarray, " people"]:
        """Log likelihood ratio: the targets belong to this voice, against to anybody's."""
        n, small = self.observed, np.clip(self.small(x), 1e-300, 1 - 1e-16)
        told, prior = [], []
        for mode, share in enumerate((1 - small, small)):
            expected, left = self.within(x, mode)
            told.append(np.log(share) + log_normal(y - expected, np.zeros(y.shape[1]), left))
            prior.append(log_normal(y, self.mean[mode, n:], self.covariance[mode, n:, n:]))
        return np.logaddexp(*told) - np.logaddexp(*prior) + np.log(2)


def heard_voices(
    voice: Float[np.ndarray, "people quantities"], sessions: int, seed: int
) -> Float[np.ndarray, "people quantities"]:
    """Habitual voices as the mean over a number of recordings shows them."""
    daily = np.array([VOICE_LAW[name].session for name in VOICE])
    noise = stream(seed, "heard voices").standard_normal(voice.shape)
    return voice + daily / np.sqrt(sessions) * noise


def log_normal(
    x: Float[np.ndarray, "people columns"],
    mean: Float[np.ndarray, " columns"],
    covariance: Float[np.ndarray, "columns columns"],
) -> Float[np.ndarray, " people"]:
    """Logarithm of the normal density."""
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (x - mean).T)
    return -0.5 * ((z**2).sum(0) + len(mean) * np.log(2 * np.pi)) - np.log(np.diag(root)).sum()


def explained(
    target: Float[np.ndarray, "people columns"],
    predicted: Float[np.ndarray, "people columns"],
    rows: Bool[np.ndarray, " people"] | None = None,
) -> Float[np.ndarray, " columns"]:
    """Share of the variance of each column that a prediction explains, among the rows."""
    if rows is not None:
        target, predicted = target[rows], predicted[rows]
    return 1 - ((target - predicted) ** 2).mean(0) / target.var(0)

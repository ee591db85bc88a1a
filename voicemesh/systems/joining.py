"""What several recordings of one voice let expect together.

Within a sex, what an embedding holds of a person and what the day adds to it are told apart: the
mean of n embeddings is drawn to the usual voice of the sex by as much as the day still moves it,
and no more (Spearman, Brown: a mean of many deserves more trust than one). The log odds of the
sex add up, less by what the recordings of one person share. The answer is the mean of what either
sex lets expect, weighted by these odds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

PREFIX = "joining_"  # of tensors in a bundle's part
HEARD = ("log_f0", "log_vtl", "age")  # z-scores, behind the shape parameters in what is told


@dataclass(frozen=True, eq=False)
class Joining:
    """Moments of embeddings and of what is told of people, by sex (men, women)."""

    usual: Float[Tensor, "2 e"]  # embeddings
    person: Float[Tensor, "2 e e"]  # covariance of what stays of people
    session: Float[Tensor, "2 e e"]  # of what a day adds
    told: Float[Tensor, "2 k"]  # shape parameters, then HEARD
    ties: Float[Tensor, "2 e k"]  # covariance of what stays with what is told
    evidence: Float[Tensor, "3"]  # slope and offset of one recording's log odds; what they share
    doubts: Float[Tensor, " counts"]  # mean p (1 - p) of the sex after 1, 2, ... recordings

    @classmethod
    def of(cls, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> "Joining | None":
        """From the tensors of a bundle's part; None where they tell nothing of joining."""
        names = [field.name for field in fields(cls)]
        if not all(f"{PREFIX}{name}" in tensors for name in names):
            return None
        return cls(*(tensors[f"{PREFIX}{name}"] for name in names))

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """What `of` reads."""
        return {f"{PREFIX}{name}": value for name, value in vars(self).items()}

    def to(self, device: torch.device | str) -> "Joining":
        """The same on another device."""
        return Joining(*(value.to(device) for value in vars(self).values()))

    def slopes(self, count: int) -> Float[Tensor, "2 e k"]:
        """What is told per unit of the mean of `count` embeddings, by sex."""
        spread = self.person.double() + self.session.double() / count
        return torch.linalg.solve(spread, self.ties.double())

    def log_odds(self, mean: Float[Tensor, " people"], count: int) -> Float[Tensor, " people"]:
        """That the voice is a woman's, from the mean of the log odds of `count` recordings."""
        slope, offset, shared = self.evidence.unbind()
        return mean * slope * count / (1 + (count - 1) * shared) + offset

    def expect(
        self,
        embedding: Float[Tensor, "people e"],
        odds: Float[Tensor, " people"],
        count: int,
    ) -> tuple[Float[Tensor, " people"], Float[Tensor, "people k"]]:
        """Log odds and expectations, from means over `count` recordings.

        The embeddings are those of unit length, their mean is shorter.
        """
        away = embedding.double()[None] - self.usual.double()[:, None]
        men, women = self.told.double()[:, None] + away @ self.slopes(count)
        joint = self.log_odds(odds.double(), count)
        chance = torch.sigmoid(joint)[:, None]
        return joint.float(), ((1 - chance) * men + chance * women).float()

    def gained(self, count: int) -> Float[Tensor, "k k"]:
        """Covariance that `count` recordings explain more than one does."""
        ties = self.ties.double().mT
        more = (ties @ (self.slopes(count) - self.slopes(1))).mean(0)
        apart = (self.told[1] - self.told[0]).double()
        doubt = self.doubts[0] - self.doubts[min(count, len(self.doubts)) - 1]
        return (more + more.mT) / 2 + doubt * torch.outer(apart, apart)

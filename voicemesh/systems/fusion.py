"""How much surer several recordings of one voice make, and their plain mean.

A reading of a voice is what stays of the person, plus what the session adds: mood, microphone,
room. Several recordings take away the session's share and nothing else, so the intervals shrink
towards those of a voice known for ever, never to zero. Where a bundle knows nothing better
(`joining`), their readings are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from .cmp import CrossModalPerceptionist, Perception

TRAITS = "traits_"  # before the names of what is known of traits; before those of shapes nothing


@dataclass(frozen=True, eq=False)
class Repeats:
    """How readings of one voice vary between sessions, and between people.

    A reading is whatever a system says of one recording: shape parameters, or traits.
    """

    session: Float[Tensor, "k k"]  # covariance of a person's readings about their own mean
    person: Float[Tensor, "k k"]  # of what stays of people

    @classmethod
    def of(cls, statistics: Mapping[str, Shaped[Tensor, "..."]], prefix: str = "") -> "Repeats":
        """From the tensors of a bundle's part."""
        return cls(*(statistics[f"{prefix}{name}_covariance"] for name in ("session", "person")))

    @classmethod
    def measured(
        cls, readings: Float[Tensor, "rows k"], person: Shaped[Tensor, " rows"]
    ) -> "Repeats":
        """From readings of people with several recordings each."""
        people, member, counts = person.unique(return_inverse=True, return_counts=True)
        values, counts = readings.double(), counts.double()
        sums = values.new_zeros(len(people), values.shape[1]).index_add(0, member, values)
        means = sums / counts[:, None]
        away = values - means[member]
        session = away.T @ away / (len(values) - len(people))
        between = torch.cov(means.T) - session * (1 / counts).mean()  # means still hold sessions
        return cls(session.float(), without_negatives(between).float())

    def tensors(self, prefix: str = "") -> dict[str, Shaped[Tensor, "..."]]:
        """What `of` reads."""
        return {
            f"{prefix}session_covariance": self.session,
            f"{prefix}person_covariance": self.person,
        }

    def gained(self, count: int) -> Float[Tensor, "k k"]:
        """Covariance that the mean of `count` recordings takes away of the errors of one."""
        return (1 - 1 / count) * self.session.double()


def together(system: CrossModalPerceptionist, heard: Sequence[Perception]) -> Perception:
    """What several recordings of one voice tell together, as well as the system knows."""
    if system.joining is None:
        return mean_of(heard)
    return system.perceive_several(torch.stack([one.embedding for one in heard]))


def mean_of(heard: Sequence[Perception]) -> Perception:
    """What was heard in several recordings of one voice; pitch and tract by their logarithms."""

    def mean(name: str, logarithm: bool = False) -> Float[Tensor, "..."] | None:
        values = [getattr(one, name) for one in heard]
        if any(value is None for value in values):
            return None
        whole = torch.stack(values)
        return whole.log().mean(0).exp() if logarithm else whole.mean(0)

    return Perception(
        embedding=functional.normalize(mean("embedding")),
        **{
            name: mean(name)
            for name in ("parameters", "shape_params", "expression_params", "traits", "age")
        },
        pitch_hz=mean("pitch_hz", logarithm=True),
        tract_cm=mean("tract_cm", logarithm=True),
    )


def left_after(
    gained: Float[Tensor, "k k"], residual: Float[Tensor, "k k"]
) -> Float[Tensor, "k k"]:
    """Covariance of the errors once so much of it is taken away."""
    return without_negatives(residual.double() - gained).to(residual)


def without_negatives(covariance: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    """The nearest matrix that can be a covariance."""
    variances, axes = torch.linalg.eigh(covariance)
    return axes * variances.clamp(min=0) @ axes.mT


def interval_shares(
    jacobian: Float[Tensor, "m k"], before: Float[Tensor, "k k"], after: Float[Tensor, "k k"]
) -> Float[Tensor, " m"]:
    """Standard deviations of lengths, under the covariance `after` over those under `before`."""

    def variances(covariance: Float[Tensor, "k k"]) -> Float[Tensor, " m"]:
        return ((jacobian @ covariance) * jacobian).sum(1).clamp(min=1e-12)

    return (variances(after) / variances(before)).sqrt()

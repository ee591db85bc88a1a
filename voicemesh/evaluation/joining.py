"""How recordings of one voice are to be joined: measured on people, for `systems.joining`."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.optimize import minimize
from torch import Tensor

from voicemesh.population.law import People
from voicemesh.systems.joining import HEARD, Joining

from .expectation import Expectation
from .predictions import Predictions
from .targets import TRAIT_SCALES, Targets

RIDGE = 0.01  # of the mean variance of an embedding's entry: most directions are next to empty
DRAWS = 4  # of the recordings of everyone, for the evidence of the sex


def fit(
    embedding: Float[Tensor, "rows e"],
    identity: Int64[np.ndarray, " rows"],
    people: People,
    targets: Targets,
    coupling: float,
    judged: Predictions,
    judges: Targets,
) -> Joining:
    """From embeddings of `people`, two or more of everyone, each of another day.

    What is told of them is what the law expects of their voices, which varies less than faces do.
    The evidence of the sex is that of what was `judged` of other people, the `judges`.
    """
    known = _expected(people, targets, coupling, np.unique(identity))
    moments = []
    for mode in (0, 1):
        own = people.mode[identity] == mode
        rows, member = np.unique(identity[own], return_inverse=True)
        moments.append(_moments(embedding[own].double(), member, known[mode, rows]))
    usual, person, session, told, ties = (
        torch.stack(parts) for parts in zip(*moments, strict=True)
    )
    evidence, doubts = sex_evidence(judged, judges)
    parts = usual, person, session, told, ties, evidence, doubts
    return Joining(*(part.float() for part in parts))


def _expected(
    people: People,
    targets: Targets,
    coupling: float,
    some: Int64[np.ndarray, " some"],
) -> Float[Tensor, "2 people k"]:
    """Shape parameters and z-scores of HEARD of everyone's habitual voice, were it of each sex."""
    expectation = Expectation.of_law(coupling)
    shapes = expectation.shapes_within(people.voice, people, targets.shape_params, some)
    age = np.stack([expectation.reader.within(people.voice, mode)[0][:, -1] for mode in (0, 1)])
    mean, deviation = TRAIT_SCALES["age"]
    heard = targets.traits[:, 1 : 1 + len(HEARD)].double().expand(2, -1, -1).clone()
    heard[:, :, HEARD.index("age")] = torch.from_numpy((age - mean) / deviation)
    return torch.cat([torch.from_numpy(shapes).double(), heard], 2)


def _moments(
    embedding: Float[Tensor, "rows e"],
    member: Int64[np.ndarray, " rows"],
    told: Float[Tensor, "people k"],
) -> tuple[Float[Tensor, "..."], ...]:
    """Of one sex: mean, covariances of people and of days, mean of what is told, ties."""
    who = torch.from_numpy(member)
    people, counts = len(told), torch.bincount(who)[:, None]
    sums = embedding.new_zeros(people, embedding.shape[1]).index_add(0, who, embedding)
    means = sums / counts
    away = embedding - means[who]
    session = away.T @ away / (len(who) - people)
    apart = means - means.mean(0)
    person = apart.T @ apart / (people - 1) - session * (1 / counts).mean()
    ties = apart.T @ (told - told.mean(0)) / (people - 1)
    ridge = RIDGE * person.diagonal().mean() * torch.eye(len(person)).double()
    return means.mean(0), person + ridge, session + ridge, told.mean(0), ties


def sex_evidence(
    judged: Predictions, judges: Targets, seed: int = 0
) -> tuple[Float[Tensor, "3"], Float[Tensor, " counts"]]:
    """`Joining.evidence` by the greatest likelihood, and `Joining.doubts` by the mean square."""
    rng, counts = np.random.default_rng(seed), np.unique(judged.session).size
    means, truth = [], []
    for count in range(1, counts + 1):
        parts = [means_of(judged, count, rng) for _ in range(DRAWS)]
        means.append(np.concatenate([mean.traits[:, 0].numpy() for mean in parts]))
        truth.append(judges.female.numpy()[np.concatenate([mean.identity for mean in parts])])

    def odds(parameters: Float[np.ndarray, "3"], count: int) -> Float[np.ndarray, " rows"]:
        slope, offset, shared = parameters
        return means[count - 1] * slope * count / (1 + (count - 1) * shared) + offset

    def surprise(parameters: Float[np.ndarray, "3"]) -> float:
        told = [odds(parameters, count + 1) for count in range(counts)]
        wrong = [np.where(women, -o, o) for o, women in zip(told, truth, strict=True)]
        return float(sum(np.logaddexp(0, w).mean() for w in wrong))

    start, bounds = (1.0, 0.0, 0.5), [(0.05, 5.0), (-2.0, 2.0), (0.0, 1.0)]
    found = minimize(surprise, start, bounds=bounds, method="Nelder-Mead").x
    chances = [1 / (1 + np.exp(-odds(found, count + 1))) for count in range(counts)]
    doubts = [np.square(c - women).mean() for c, women in zip(chances, truth, strict=True)]
    return torch.tensor(found), torch.tensor(doubts)


def means_of(predictions: Predictions, count: int, rng: np.random.Generator) -> Predictions:
    """Means over `count` recordings of different sessions, one row for everyone who has so many.

    The sessions, and a recording of each, are drawn. `session` of a mean is the count.
    """
    order = rng.permutation(len(predictions.identity))
    order = order[np.lexsort((predictions.session[order], predictions.identity[order]))]
    days = np.stack([predictions.identity, predictions.session], 1)[order]
    first = np.r_[True, (days[1:] != days[:-1]).any(1)]  # one recording of each day
    rows = order[first]
    rows = rows[np.argsort(rng.random(len(rows)))]
    rows = rows[np.argsort(predictions.identity[rows], kind="stable")]
    people, starts, sizes = np.unique(
        predictions.identity[rows], return_index=True, return_counts=True
    )
    enough = sizes >= count
    chosen = rows[starts[enough][:, None] + np.arange(count)]
    return Predictions(
        **{
            name: getattr(predictions, name)[torch.from_numpy(chosen)].mean(1)
            for name in ("shape_params", "embedding", "traits")
        },
        identity=people[enough],
        session=np.full(enough.sum(), count),
    )


def joined(means: Predictions, joining: Joining, count: int) -> Predictions:
    """What `count` recordings tell together, from their means."""
    odds, told = joining.expect(means.embedding, means.traits[:, 0], count)
    shapes = means.shape_params.shape[1]
    traits = torch.cat([odds[:, None], told[:, shapes:]], 1)
    return Predictions(told[:, :shapes], means.embedding, traits, means.identity, means.session)

"""How near the faces are to the truth, against the mean face, the mean of the sex, the ceiling."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from voicemesh.mesh.landmarks import LEFT_OUTER_CANTHUS, RATIOS, RIGHT_OUTER_CANTHUS
from voicemesh.mesh.metrics import keypoint_error, landmark_distance, named_lengths, ratio_error
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.systems.cmp import shape_gram, squared_distance

from .bootstrap import explained, identity_means, mean, resampled
from .predictions import Predictions
from .targets import Targets

CHUNK = 64  # whole meshes at once
PAIRS = 4000  # pairs of recordings of two people, for the coherence
ERRORS = (*(f"are_{name}" for name in RATIOS), "keypoint", "landmark_mm")


@dataclass(frozen=True, eq=False)
class Baselines:
    """Faces to beat, as shape parameters: the mean of each sex, and the mean of both."""

    male: Float[Tensor, " s"]
    female: Float[Tensor, " s"]

    @property
    def overall(self) -> Float[Tensor, " s"]:
        """The mean face: both sexes have the same weight."""
        return (self.male + self.female) / 2

    def right_sex(self, female: Bool[Tensor, " rows"]) -> Float[Tensor, "rows s"]:
        """The mean of everyone's own sex: what an oracle of the sex would say."""
        return torch.where(female[:, None], self.female, self.male)


def evaluate(
    predictions: Predictions,
    targets: Targets,
    baselines: Baselines,
    face_model: MorphableModel,
    best: Float[Tensor, "people s"] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """All geometric figures of a system on some people, as plain data.

    `best` holds the shape parameters that the law expects given everyone's true voice: the
    ceiling. Every person counts once, however many recordings there are.
    """
    rng = np.random.default_rng(seed)
    identity = predictions.identity
    rows = torch.from_numpy(identity)
    truth, female = targets.shape_params[rows], targets.female[rows]
    contenders = {
        "system": predictions.shape_params,
        "mean_face": baselines.overall.expand_as(truth),
        "right_sex": baselines.right_sex(female),
    }
    if best is not None:
        contenders["ceiling"] = best[rows]
    errors, squares = {}, {}
    for name, params in contenders.items():
        errors[name] = identity_means(shape_errors(params, truth, face_model), identity)
        difference = face_model.measurements(params) - face_model.measurements(truth)
        squares[name] = identity_means(difference.square().double().numpy(), identity)
    weights = resampled(len(np.unique(identity)), rng)
    return {
        "recordings": len(rows),
        "people": len(np.unique(identity)),
        "errors": _error_table(errors, weights),
        "measures": _measure_table(squares, list(face_model.measures), weights),
        "sex": sex_accuracy(predictions, targets, baselines, face_model),
        "coherence": coherence(predictions, female, face_model, rng),
    }


def shape_errors(
    params: Float[Tensor, "rows s"], truth: Float[Tensor, "rows s"], face_model: MorphableModel
) -> Float[np.ndarray, "rows errors"]:
    """The columns of `ERRORS`: four ratios, published keypoint error, landmarks in mm."""
    names = list(face_model.measures)
    lengths = [named_lengths(face_model.measurements(p), names) for p in (params, truth)]
    landmarks = face_model.landmarks
    corners = int(landmarks[RIGHT_OUTER_CANTHUS]), int(landmarks[LEFT_OUTER_CANTHUS])
    points = []
    for some, true in zip(params.split(CHUNK), truth.split(CHUNK), strict=True):
        a, b = face_model.vertices(some), face_model.vertices(true)
        points.append(
            torch.stack(
                [keypoint_error(a, b, landmarks, corners), landmark_distance(a, b, landmarks)], 1
            )
        )
    return torch.cat([ratio_error(*lengths), torch.cat(points)], 1).double().numpy()


def sex_accuracy(
    predictions: Predictions,
    targets: Targets,
    baselines: Baselines,
    face_model: MorphableModel,
    seed: int = 0,
) -> dict[str, Any]:
    """How often the sex is right: by the nearest mean shape, recording by recording ("mesh").

    Also by the traits' own log odds ("odds"), and by the mean of all meshes of a person, which is
    as good as one longer recording ("person").
    """
    people, identity = np.unique(predictions.identity), predictions.identity
    female = targets.female.numpy()
    weights = resampled(len(people), np.random.default_rng(seed))
    gram = shape_gram(face_model)
    together = identity_means(predictions.shape_params.double().numpy(), identity)
    mean_mesh = womanly(torch.from_numpy(together).float(), baselines, gram).numpy()
    whole = mean_mesh == female[people]
    each = {
        "mesh": womanly(predictions.shape_params, baselines, gram).numpy() == female[identity],
        "odds": (predictions.traits[:, 0] > 0).numpy() == female[identity],
    }
    results = {"person": asdict(mean(whole.astype(float), weights))}
    for name, right in each.items():
        by_person = identity_means(right.astype(float)[:, None], identity)[:, 0]
        results[name] = asdict(mean(by_person, weights))
    return results


def agreement(
    one: Predictions, other: Predictions, baselines: Baselines, face_model: MorphableModel
) -> dict[str, Any]:
    """Two systems on the same recordings: do their meshes agree on the sex, how far apart are they?

    The distance is the root mean square over the vertices, mm.
    """
    gram, identity = shape_gram(face_model), one.identity
    same = womanly(one.shape_params, baselines, gram) == womanly(
        other.shape_params, baselines, gram
    )
    apart = squared_distance(one.shape_params - other.shape_params, gram) / len(face_model.mean)
    both = np.stack([same.numpy(), apart.sqrt().numpy()], 1).astype(float)
    by_person = identity_means(both, identity)
    weights = resampled(len(by_person), np.random.default_rng(0))
    return {"sex": asdict(mean(by_person[:, 0], weights)), "mm": float(by_person[:, 1].mean())}


def womanly(
    params: Float[Tensor, "n s"], baselines: Baselines, gram: Float[Tensor, "s s"]
) -> Bool[Tensor, " n"]:
    """Whether meshes are nearer to the women's mean than to the men's."""
    to_women = squared_distance(params - baselines.female, gram)
    return to_women <= squared_distance(params - baselines.male, gram)


def coherence(
    predictions: Predictions,
    female: Bool[Tensor, " rows"],
    face_model: MorphableModel,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Root mean square vertex distance (mm) of the meshes of one speaker, and of two.

    `ratio` is same over different; `ratio_within_sex` takes only pairs of one sex. Empty when no
    two recordings are of one speaker.
    """
    identity = predictions.identity
    order = np.argsort(identity, kind="stable")
    pairs = np.stack([order[:-1], order[1:]], 1)
    same = pairs[identity[pairs[:, 0]] == identity[pairs[:, 1]]]
    if not len(same):
        return {}
    drawn = rng.integers(len(identity), size=(PAIRS, 2))
    other = drawn[identity[drawn[:, 0]] != identity[drawn[:, 1]]]
    sexes = female.numpy()
    alike = other[sexes[other[:, 0]] == sexes[other[:, 1]]]
    gram = shape_gram(face_model)

    def distance(some: Int64[np.ndarray, "pairs 2"]) -> float:
        if not len(some):
            return float("nan")
        difference = predictions.shape_params[some[:, 0]] - predictions.shape_params[some[:, 1]]
        return float((squared_distance(difference, gram) / len(face_model.mean)).sqrt().mean())

    one, two, within = distance(same), distance(other), distance(alike)
    return {
        "same_mm": one,
        "different_mm": two,
        "different_within_sex_mm": within,
        "ratio": one / two if two else 1.0,  # one face for all is no coherence
        "ratio_within_sex": one / within if within else 1.0,
    }


def nulls(
    predictions: Predictions,
    values: Mapping[str, Float[np.ndarray, " people"]],
    seed: int = 0,
    ridge: float = 1.0,
) -> dict[str, dict[str, float]]:
    """Can traits that no voice tells be read off the embedding? Explained variance, should be 0.

    A linear reader is fitted on one half of the people and judged on the other, both ways.
    """
    rng = np.random.default_rng(seed)
    people = np.unique(predictions.identity)
    embedding = identity_means(predictions.embedding.double().numpy(), predictions.identity)
    embedding = (embedding - embedding.mean(0)) / embedding.std(0).clip(1e-9)
    half = rng.permutation(len(people)) < len(people) // 2
    weights = resampled(len(people), rng)
    results = {}
    for name, column in values.items():
        truth = column[people]
        told = np.zeros(len(people))
        for fit in (half, ~half):
            x, centre = embedding[fit], truth[fit].mean()
            penalty = ridge * fit.sum() * np.eye(x.shape[1])
            slope = np.linalg.solve(x.T @ x + penalty, x.T @ (truth[fit] - centre))
            told[~fit] = embedding[~fit] @ slope + centre
        usual = np.where(half, truth[~half].mean(), truth[half].mean())
        share = explained((told - truth) ** 2, (usual - truth) ** 2, weights)
        results[name] = asdict(share)
    return results


def _error_table(
    errors: Mapping[str, Float[np.ndarray, "people errors"]],
    weights: Float[np.ndarray, "resamples people"],
) -> dict[str, Any]:
    """Mean error of every contender, and by how much the system is better."""
    results = {}
    for column, name in enumerate(ERRORS):
        own = errors["system"][:, column]
        entry: dict[str, Any] = {who: float(e[:, column].mean()) for who, e in errors.items()}
        for rival in ("mean_face", "right_sex"):
            entry[f"gain_over_{rival}"] = asdict(mean(errors[rival][:, column] - own, weights))
        results[name] = entry
    return results


def _measure_table(
    squares: Mapping[str, Float[np.ndarray, "people m"]],
    names: list[str],
    weights: Float[np.ndarray, "resamples people"],
) -> dict[str, Any]:
    """Explained variance over all people, and of what the mean of the right sex leaves."""
    results = {}
    for column, name in enumerate(names):
        own = {who: values[:, column] for who, values in squares.items()}
        entry: dict[str, Any] = {
            "explained": asdict(explained(own["system"], own["mean_face"], weights)),
            "explained_within_sex": asdict(explained(own["system"], own["right_sex"], weights)),
            "rmse_mm": float(np.sqrt(own["system"].mean())),
        }
        if "ceiling" in own:
            ceiling = explained(own["ceiling"], own["mean_face"], weights).value
            entry["ceiling"] = ceiling
            entry["ceiling_within_sex"] = explained(own["ceiling"], own["right_sex"], weights).value
            entry["share_of_ceiling"] = entry["explained"]["value"] / max(ceiling, 1e-9)
        results[name] = entry
    return results

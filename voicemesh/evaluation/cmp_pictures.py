"""Meshes that are read off pictures: landmarks, lengths, the sex, against the truth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from voicemesh.images import MIDDLE
from voicemesh.mesh.landmarks import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.synergynet import CROP
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet, PortraitShard
from voicemesh.systems.cmp import shape_gram
from voicemesh.systems.cmp_unsupervised import FaceReader

from . import geometry
from .bootstrap import explained, identity_means, mean, resampled
from .expectation import expected_shape
from .statistics import Tensors
from .targets import people_targets

DIRECTIONS = 3  # of the shapes that voices let expect, by variance


@dataclass(frozen=True, eq=False)
class Read:
    """What was read off pictures, one row each."""

    shape_params: Float[Tensor, "rows s"]
    landmarks: Float[Tensor, "rows 68 2"]  # pixels of the crop: right, down
    meant: Float[Tensor, "rows 68 2"]  # where they are
    identity: Int64[np.ndarray, " rows"]


def evaluate(
    reader: FaceReader, population: Population, portraits: PortraitSet, statistics: Tensors
) -> dict[str, Any]:
    """All figures of a reader on the portraits of a population's held-out people.

    `statistics` hold the mean shapes of both sexes, "mean_male" and "mean_female". Every person
    counts once, however many portraits there are.
    """
    face_model = reader.face_model.to("cpu")
    targets = people_targets(population.people, face_model)
    baselines = geometry.Baselines(statistics["mean_male"], statistics["mean_female"])
    seen = joined([read(reader, shard) for shard in portraits.shards("validation")])
    people = len(np.unique(seen.identity))
    weights = resampled(people, np.random.default_rng(0))
    rows = torch.from_numpy(seen.identity)
    truth, female = targets.shape_params[rows], targets.female[rows]
    contenders = {
        "told": seen.shape_params,
        "mean_face": baselines.overall.expand_as(truth),
        "right_sex": baselines.right_sex(female),
    }
    apart = (seen.landmarks - seen.meant).norm(dim=2).mean(1)
    eyes = (seen.meant[:, RIGHT_OUTER_CANTHUS] - seen.meant[:, LEFT_OUTER_CANTHUS]).norm(dim=1)
    right = geometry.womanly(seen.shape_params, baselines, shape_gram(face_model)) == female
    by_row = {"landmark_pixels": apart, "landmark_of_eye_corners": apart / eyes, "sex": right}

    def shares(squares: dict[str, Float[Tensor, " rows"]]) -> dict[str, Any]:
        of_people = {who: by_person(square, seen.identity) for who, square in squares.items()}
        return explained_by(of_people, weights)

    lengths = {who: face_model.measurements(params) for who, params in contenders.items()}
    true = face_model.measurements(truth)
    axes = heard_directions(population, targets.shape_params)
    return {
        "pictures": len(rows),
        "people": people,
        **{
            name: asdict(mean(by_person(values, seen.identity), weights))
            for name, values in by_row.items()
        },
        "errors": errors_of(contenders, truth, face_model, seen.identity, weights),
        "measures": {
            name: shares({who: (own - true)[:, column].square() for who, own in lengths.items()})
            for column, name in enumerate(face_model.measures)
        },
        "directions": {
            f"direction_{number}": shares(
                {who: ((params - truth) @ axis).square() for who, params in contenders.items()}
            )
            for number, axis in enumerate(axes, 1)
        },
    }


def joined(parts: Sequence[Read]) -> Read:
    """What was read off several shards, as of one."""
    shapes, landmarks, meant, identity = zip(*(vars(part).values() for part in parts), strict=True)
    return Read(torch.cat(shapes), torch.cat(landmarks), torch.cat(meant), np.concatenate(identity))


def by_person(
    values: Shaped[Tensor, " rows"], identity: Int64[np.ndarray, " rows"]
) -> Float[np.ndarray, " people"]:
    """The mean of every person's rows."""
    return identity_means(values.double().numpy()[:, None], identity)[:, 0]


def errors_of(
    contenders: dict[str, Float[Tensor, "rows s"]],
    truth: Float[Tensor, "rows s"],
    face_model: MorphableModel,
    identity: Int64[np.ndarray, " rows"],
    weights: Float[np.ndarray, "resamples people"],
) -> dict[str, Any]:
    """Mean errors of every contender by the names of `geometry.ERRORS`, and what is gained."""
    found = {
        who: identity_means(geometry.shape_errors(params, truth, face_model), identity)
        for who, params in contenders.items()
    }
    told: dict[str, Any] = {}
    for column, name in enumerate(geometry.ERRORS):
        own = {who: values[:, column] for who, values in found.items()}
        gain = mean(own["mean_face"] - own["told"], weights)
        means = {who: float(values.mean()) for who, values in own.items()}
        told[name] = means | {"gain_over_mean_face": asdict(gain)}
    return told


def explained_by(
    squares: dict[str, Float[np.ndarray, " people"]],
    weights: Float[np.ndarray, "resamples people"],
) -> dict[str, Any]:
    """Share of the variance told, over all people and within a sex."""
    return {
        "explained": asdict(explained(squares["told"], squares["mean_face"], weights)),
        "explained_within_sex": asdict(explained(squares["told"], squares["right_sex"], weights)),
    }


def heard_directions(
    population: Population, shape_params: Float[Tensor, "people s"]
) -> Float[Tensor, "directions s"]:
    """The axes along which voices tell faces apart: unit vectors in parameter space."""
    everyone, coupling = np.arange(len(shape_params)), population.recipe.coupling
    best = expected_shape(population.people, shape_params, everyone, coupling)
    return torch.linalg.svd(best - best.mean(0), full_matrices=False).Vh[:DIRECTIONS]


def read(reader: FaceReader, portraits: PortraitShard) -> Read:
    """The meshes on portraits, and where their landmarks are and ought to be."""
    face_model = reader.face_model
    device = face_model.mean.device
    pixels = torch.from_numpy(portraits.pixels).permute(0, 3, 1, 2).float().to(device)
    faces = reader.read((pixels - MIDDLE) / MIDDLE)
    landmarks = face_model.landmarks
    told = reader.vertices_in_image(faces)[:, landmarks, :2]
    shape, expression, camera = (
        torch.from_numpy(getattr(portraits, name)).to(device)
        for name in ("shape_params", "expression_params", "camera")
    )
    points = face_model.vertices(shape, expression)[:, landmarks]
    seen = points @ camera[:, :2, :3].mT + camera[:, None, :2, 3]
    step = (CROP - 1) / (portraits.pixels.shape[1] - 1)
    return Read(faces.shape_params.cpu(), told.cpu(), (seen * step).cpu(), portraits.identity)


def table(results: dict[str, Any]) -> str:
    """The figures as lines of text."""

    def told(entry: dict[str, float]) -> str:
        return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"

    lines = [
        f"{results['pictures']} pictures of {results['people']} people",
        f"landmarks    {told(results['landmark_pixels'])} pixels of {CROP},"
        f" {told(results['landmark_of_eye_corners'])} of the eye corners' distance",
        f"sex by mesh  {told(results['sex'])}",
        "",
        f"{'error':<14}{'told':>8}{'mean':>8}{'sex':>8}  gain over mean",
    ]
    for name, entry in results["errors"].items():
        figures = "".join(f"{entry[who]:>8.4f}" for who in ("told", "mean_face", "right_sex"))
        lines.append(f"{name:<14}{figures}  {told(entry['gain_over_mean_face'])}")
    lines += ["", f"{'measure':<22}{'explained':<24}within sex"]
    for name, entry in (results["measures"] | results["directions"]).items():
        lines.append(
            f"{name:<22}{told(entry['explained']):<24}{told(entry['explained_within_sex'])}"
        )
    return "\n".join(lines)

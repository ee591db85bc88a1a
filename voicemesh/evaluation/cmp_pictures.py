"""Meshes that are read off pictures: landmarks, lengths, the sex, against the truth."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from voicemesh.images import MIDDLE
from voicemesh.mesh.landmarks import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS
from voicemesh.nets.synergynet import CROP
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet, PortraitShard
from voicemesh.systems.cmp import shape_gram, squared_distance
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
    parts = [read(reader, shard) for shard in portraits.shards("validation")]
    identity = np.concatenate([part.identity for part in parts])
    told, landmarks, meant = (
        torch.cat([getattr(part, name) for part in parts])
        for name in ("shape_params", "landmarks", "meant")
    )
    rows = torch.from_numpy(identity)
    truth, female = targets.shape_params[rows], targets.female[rows]
    weights = resampled(len(np.unique(identity)), np.random.default_rng(0))
    apart = (landmarks - meant).norm(dim=2).mean(1)
    eyes = (meant[:, RIGHT_OUTER_CANTHUS] - meant[:, LEFT_OUTER_CANTHUS]).norm(dim=1)
    errors = torch.stack([apart, apart / eyes], 1).double().numpy()
    pixels, normalised = identity_means(errors, identity).T
    gram = shape_gram(face_model)

    def by_person(values: Float[Tensor, " rows"]) -> Float[np.ndarray, " people"]:
        return identity_means(values.double().numpy()[:, None], identity)[:, 0]

    nearer = squared_distance(told - baselines.female, gram) <= squared_distance(
        told - baselines.male, gram
    )
    results = {
        "pictures": len(rows),
        "people": len(np.unique(identity)),
        "landmark_pixels": asdict(mean(pixels, weights)),
        "landmark_of_eye_corners": asdict(mean(normalised, weights)),
        "sex": asdict(mean(by_person((nearer == female).float()), weights)),
        "errors": {},
        "measures": {},
        "directions": {},
    }
    contenders = {
        "told": told,
        "mean_face": baselines.overall.expand_as(truth),
        "right_sex": baselines.right_sex(female),
    }
    found = {
        name: identity_means(geometry.shape_errors(params, truth, face_model), identity)
        for name, params in contenders.items()
    }
    for column, name in enumerate(geometry.ERRORS):
        own = {who: values[:, column] for who, values in found.items()}
        entry: dict[str, Any] = {who: float(values.mean()) for who, values in own.items()}
        entry["gain_over_mean_face"] = asdict(mean(own["mean_face"] - own["told"], weights))
        results["errors"][name] = entry
    lengths = {who: face_model.measurements(params) for who, params in contenders.items()}
    true = face_model.measurements(truth)
    for column, name in enumerate(face_model.measures):
        squares = {
            who: by_person((values[:, column] - true[:, column]).square())
            for who, values in lengths.items()
        }
        results["measures"][name] = explained_by(squares, weights)
    for number, axis in enumerate(heard_directions(population, targets.shape_params)):
        squares = {who: by_person(((p - truth) @ axis).square()) for who, p in contenders.items()}
        results["directions"][f"direction_{number + 1}"] = explained_by(squares, weights)
    return results


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

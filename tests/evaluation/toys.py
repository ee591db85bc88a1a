"""A small face model and small populations for the tests of training and evaluation."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from safetensors.numpy import save_file

from voicemesh.evaluation.predictions import Predictions
from voicemesh.evaluation.targets import Targets
from voicemesh.mesh.landmarks import LENGTHS, RATIO_LENGTHS
from voicemesh.mesh.morphable import Measure, MorphableModel
from voicemesh.population.dataset import (
    SHARD,
    Population,
    PopulationRecipe,
    shards_of,
    write_arrays,
)
from voicemesh.population.law import draw
from voicemesh.population.portrait_set import PortraitSet

SHAPES, EXPRESSIONS, VERTICES = 40, 10, 120


def toy_face_model() -> MorphableModel:
    """A cloud of points on an ellipsoid the size of a head, with every named length."""
    rng = np.random.default_rng(3)
    points = rng.standard_normal((VERTICES, 3))
    points *= np.array([75.0, 110.0, 95.0]) / np.linalg.norm(points, axis=1, keepdims=True)
    basis, _ = np.linalg.qr(rng.standard_normal((3 * VERTICES, SHAPES + EXPRESSIONS)))
    basis = torch.from_numpy(basis.reshape(VERTICES, 3, -1)).float()
    far = np.argsort(-np.linalg.norm(points[:, None] - points[None], axis=-1), axis=1)
    measures = {
        name: Measure((number, int(far[number, number])), label=name)
        for number, name in enumerate((*LENGTHS, *RATIO_LENGTHS))
    }
    return MorphableModel(
        name="toy",
        mean=torch.from_numpy(points).float(),
        shape_basis=basis[..., :SHAPES],
        expression_basis=basis[..., SHAPES:],
        shape_mean=torch.zeros(SHAPES),
        shape_deviation=torch.linspace(40, 4, SHAPES),
        expression_mean=torch.zeros(EXPRESSIONS),
        expression_deviation=torch.ones(EXPRESSIONS),
        triangles=torch.tensor([[0, 1, 2]]),
        landmarks=torch.arange(68),
        measures=measures,
    )


def toy_targets(people: int, rng: np.random.Generator) -> Targets:
    """Half women; the first shape axes carry the sex, the rest is spread within it."""
    female = torch.arange(people) % 2 == 1
    params = torch.from_numpy(rng.standard_normal((people, SHAPES))).float()
    params[:, :3] += torch.where(female, 1.5, -1.5)[:, None]
    traits = torch.from_numpy(rng.standard_normal((people, 4))).float()
    traits[:, 0] = female.float()
    return Targets(params, traits, female)


def toy_predictions(
    targets: Targets, rng: np.random.Generator, noise: float, sessions: int = 2
) -> Predictions:
    """The truth and a residual for every person, the same in all sessions, and session noise."""
    people = len(targets.female)

    def like(values, scale):
        return torch.from_numpy(scale * rng.standard_normal(values.shape)).float()

    params = targets.shape_params + like(targets.shape_params, noise)
    identity = np.repeat(np.arange(people), sessions)
    rows = torch.from_numpy(identity)
    odds = torch.where(targets.female, 3.0, -3.0)
    traits = torch.cat([odds[:, None], targets.traits[:, 1:]], 1)[rows]
    return Predictions(
        shape_params=params[rows] + like(params[rows], 0.1),
        embedding=torch.from_numpy(rng.standard_normal((len(rows), 8))).float(),
        traits=traits + like(traits, noise),
        identity=identity,
        session=np.tile(np.arange(sessions), people),
    )


def toy_population(
    folder: Path, identities: int = 8, validation: int = 6, seed: int = 0
) -> Population:
    """People of the law whose recordings are buzzes at their pitch: quick to make and to learn."""
    recipe = PopulationRecipe(
        identities=identities,
        validation=validation,
        sessions=2,
        channels=1,
        seconds=2.0,
        seed=seed,
        workers=1,
    )
    people = draw(identities + validation, recipe.seed, recipe.coupling)
    numbers = np.arange(identities + validation)
    splits = np.split(numbers, [*range(SHARD, identities, SHARD), identities])
    splits += np.split(splits.pop(), range(SHARD, validation, SHARD))
    for shard, split in enumerate(splits):
        identity = np.repeat(split, 4)
        labels = {
            "identity": identity,
            "session": np.tile([0, 0, 1, 1], len(split)),
            "channel": np.tile([-1, 0], 2 * len(split)),
            "clean": np.tile([True, False], 2 * len(split)),
            "raised": np.tile([False, False, False, split[0] >= identities], len(split)),
            "effort": np.zeros(len(identity)),
        }
        rng = np.random.default_rng(shard)
        waves = [buzz(people.column("log_f0")[i], rng) for i in identity]
        save_file(
            {"waveform": np.stack(waves), **labels}, folder / f"shard-{shard:05d}.safetensors"
        )
    (folder / "dataset.json").write_text(json.dumps({"format": 1, "recipe": asdict(recipe)}))
    save_file(people.arrays(), folder / "people.safetensors")
    return Population.open(folder)


def toy_portraits(population: Population, pictures: int = 2, size: int = 16) -> PortraitSet:
    """Noise with a bright upper half for women, and a patch whose place tells the age."""
    folder = population.folder / f"portraits-{size}"
    folder.mkdir()
    shards = shards_of(population.recipe)
    held_out = population.validation[0]
    named = {
        "train": [n for n, own in shards.items() if own[0] < held_out],
        "validation": [n for n, own in shards.items() if own[0] >= held_out],
    }
    recipe = {"pictures": pictures, "size": size, "seed": 0}
    told = {"format": 1, "recipe": recipe, "face_model": "", "looks": [], "lights": []}
    (folder / "portraits.json").write_text(json.dumps({**told, "shards": named}))
    rng, people = np.random.default_rng(5), population.people
    for number, own in shards.items():
        identity = np.repeat(own, pictures)
        pixels = rng.integers(0, 90, (len(identity), size, size, 3)).astype(np.uint8)
        pixels[:, : size // 2] += (
            120 * (people.mode[identity] == 1).astype(np.uint8)[:, *[None] * 3]
        )
        for row, age in zip(pixels, people.age[identity], strict=True):
            row[-4:, int((age - 18) / 62.1 * (size - 3)) :][:, :3] = 250
        columns = {"pixels": pixels, "identity": identity}
        columns["picture"] = np.tile(np.arange(pictures), len(own))
        params = rng.standard_normal((len(people), SHAPES)).astype(np.float32)
        columns["shape_params"] = params[identity]
        columns["camera"] = np.tile(facing(size), (len(identity), 1, 1))
        for name, width in (("expression_params", EXPRESSIONS), ("look", 1)):
            columns[name] = np.zeros((len(identity), width), np.float32)
        for name, width in (("light", 1), ("backdrop", 3)):
            columns[name] = np.zeros((len(identity), width), np.float32)
        write_arrays(folder / f"shard-{number:05d}.safetensors", columns, "portraits")
    return PortraitSet.open(folder)


def facing(size: int) -> Float32[np.ndarray, "3 4"]:
    """The camera of a head that fills a picture, straight ahead."""
    scale = size / 260  # pixels a millimetre
    turned = np.array([[scale, 0, 0], [0, -scale, 0], [0, 0, scale]], np.float32)
    return np.concatenate([turned, np.full((3, 1), size / 2, np.float32)], 1)


def buzz(log_pitch: float, rng: np.random.Generator, seconds: float = 2.0) -> np.ndarray:
    """Pulses at a pitch, with a little noise."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    pulses = np.sin(2 * np.pi * np.exp(log_pitch) * time + rng.uniform(0, 6)) > 0.9
    loud = np.sin(2 * np.pi * 1.5 * time) > -0.8
    return (9000 * pulses * loud + 30 * rng.standard_normal(len(time))).astype(np.int16)

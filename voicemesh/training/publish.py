"""From a finished run to parts of a bundle, each with its measured results."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.evaluation import geometry
from voicemesh.evaluation.cmp import evaluate
from voicemesh.evaluation.predictions import predict
from voicemesh.evaluation.repeats import repeat_statistics
from voicemesh.evaluation.statistics import people_statistics
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.dataset import Population
from voicemesh.systems import fusion
from voicemesh.systems.cmp import CrossModalPerceptionist

from .cmp import CmpNets, CmpTask
from .cmp_recipe import CmpRecipe
from .data import features
from .loop import finished, read_metrics
from .refit import refit_head

LICENCE = "MIT"


def trained(run: Path, face_model: MorphableModel) -> tuple[CmpNets, CmpRecipe]:
    """The nets of a run's best.safetensors and the recipe that made them.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    recipe = finished(run, CmpRecipe)
    nets = CmpNets(recipe, face_model, FRONT_ENDS[recipe.front_end].channels)
    nets.load_state_dict(load_file(run / "best.safetensors"))
    return nets.eval(), recipe


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the nets of a run and their statistics as parts of a bundle; return the figures.

    The head is fitted anew to the population and the face model, on the run's voice encoder.
    Errors are measured and intervals calibrated on people held out: the population's own, or
    those of another population with more of them.
    """
    face_model = source.face_model()
    nets, recipe = trained(run, face_model)
    utterances = features(population.folder, recipe.front_end)
    task = CmpTask(recipe, population, utterances, face_model)
    nets.voice.half().float()  # as it is stored, so that all figures are the bundle's
    task.net = nets
    refit_head(task)
    people = people_statistics(task.targets, population.train, face_model)
    perceptionist = CrossModalPerceptionist(
        FRONT_ENDS[recipe.front_end], nets.voice, nets.head, face_model, nets.traits, people
    )
    judges = judges or population
    known = heard, _ = predict(perceptionist, judges)
    results, errors = evaluate(perceptionist, judges, known)
    runs = (run, Path(recipe.start)) if recipe.start else (run,)
    steps = sum(max(line["step"] for line in read_metrics(r / "metrics.jsonl")) for r in runs)
    about = {
        "source": "trained by voicemesh, python -m voicemesh train cmp",
        "licence": LICENCE,
        "training": (
            f"{len(population.train)} synthetic people of the population's law, {steps} steps;"
            " no recording of a person"
        ),
    }
    brief = {
        "people": results["people"],
        "recordings": results["recordings"],
        "sex": results["sex"],
        "sex_of_raised_voices": results.get("raised", {}),
        "errors": results["errors"],
        "coherence": results["coherence"],
    }
    channels = nets.voice.model[0].in_channels
    writer.net(
        "cmp-voice-encoder",
        nets.voice,
        {
            "input_channels": channels,
            "widths": list(recipe.widths),
            "embedding": recipe.embedding,
        },
        half=True,
        results={"recipe": asdict(recipe) | {"start": Path(recipe.start).name}},
        **about,
    )
    shapes, expressions = (
        basis.shape[2] for basis in (face_model.shape_basis, face_model.expression_basis)
    )
    arguments = {
        "embedding": recipe.embedding,
        "shape_params": shapes,
        "expression_params": expressions,
        "dropout": recipe.dropout,
    }
    writer.net("cmp-supervised-head", nets.head, arguments, results=brief, **about)
    writer.net("voice-traits", nets.traits, {"embedding": recipe.embedding}, **about)
    measured = {"coverage": results["coverage"], "nulls": results["nulls"]}
    writer.tensors("cmp-statistics", people | errors, results=measured, **about)
    if len(np.unique(heard.session)) > 1:
        writer.tensors(fusion.PART, repeat_statistics(heard, face_model), **about)
    return geometry.table(results)

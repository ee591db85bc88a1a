"""From a finished run of the unsupervised framework to parts of a bundle."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import CMP_GENERATOR, CMP_STUDENT
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.evaluation import cmp_table
from voicemesh.evaluation.cmp import evaluate
from voicemesh.evaluation.predictions import Predictions
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.cmp import CrossModalPerceptionist, front_end_name
from voicemesh.systems.cmp_unsupervised import ImageBranch

from .cmp_teacher_publish import as_stored
from .cmp_unsupervised import teacher_of
from .cmp_unsupervised_nets import UnsupervisedNets, UnsupervisedRecipe
from .runs import best_of, origin, recipe_of, steps_of
from .voices import voice_codes


def trained(
    run: Path, bundle: Bundle, face_model: MorphableModel
) -> tuple[UnsupervisedNets, UnsupervisedRecipe]:
    """The nets of a run's best.safetensors and the recipe that made them.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    recipe = recipe_of(run, UnsupervisedRecipe)
    tensors = best_of(run)
    embedding = tensors["generator.model.0.weight"].shape[0]
    classes = tensors["judge.classifier.model.weight"].shape[0]
    teacher = teacher_of(recipe, bundle, face_model)
    nets = UnsupervisedNets(recipe, teacher, face_model, embedding, classes)
    nets.load_state_dict(tensors)
    return nets.eval(), recipe


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write generator, student and teacher of a run as parts of a bundle; return the figures.

    Both branches are measured on the held-out people of `judges`, or of the population itself,
    with the voice encoder, the supervised head and the statistics of `source`.
    """
    face_model = source.face_model()
    nets, recipe = trained(run, source, face_model)
    for net in (nets.generator, nets.student, nets.teacher):
        as_stored(net)
    whole = CrossModalPerceptionist.from_bundle(source)
    whole.images = ImageBranch(nets.generator, nets.student, face_model, nets.teacher)
    judging = judges or population
    results, _ = evaluate(whole, judging, told_of(whole, judging))
    people = len(pictured_people(population, recipe))
    about = origin(
        "cmp-unsupervised",
        f"voices and portraits of {people} synthetic people, {steps_of(run)} steps; all that is"
        " known of 3D comes from cmp-teacher; no recording or photograph of a person",
    )
    brief = {
        "recipe": asdict(recipe) | {k: Path(getattr(recipe, k)).name for k in ("start", "teacher")},
        "people": results["people"],
        "recordings": results["recordings"],
        **{name: results["pictured"][name] for name in ("sex", "errors", "coherence")},
        "agreement": results["agreement"],
    }
    writer.net(CMP_GENERATOR, nets.generator, arguments_of(nets.generator), half=True, **about)
    writer.net(
        CMP_STUDENT, nets.student, arguments_of(nets.student), half=True, results=brief, **about
    )
    return cmp_table.table(results)


def told_of(
    whole: CrossModalPerceptionist, population: Population
) -> tuple[Predictions, Predictions]:
    """What a system says of the held-out people through their channels: usual voices, raised ones.

    The recordings are not heard again where their codes lie beside the population.
    """
    voices = voice_codes(population, whole.voice, front_end_name(whole.voice))
    rows = np.flatnonzero(~voices.clean & np.isin(voices.identity, population.validation))
    unit = functional.normalize(torch.from_numpy(voices.codes[rows]).float())
    seen = whole.perceive_embedding(unit)
    told = Predictions(
        seen.shape_params, unit, seen.traits, voices.identity[rows], voices.session[rows]
    )
    raised = told.session == population.recipe.sessions
    return told.rows(np.flatnonzero(~raised)), told.rows(np.flatnonzero(raised))


def pictured_people(population: Population, recipe: UnsupervisedRecipe) -> Int64[np.ndarray, " _"]:
    """Everyone who was trained on: the people with portraits."""
    portraits = PortraitSet.open(population.folder / f"portraits-{recipe.size}", recipe.partial)
    return np.unique(np.concatenate([shard.identity for shard in portraits.shards("train")]))

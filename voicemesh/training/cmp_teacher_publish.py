"""From a finished run of the image teacher to a part of a bundle."""

from dataclasses import asdict
from pathlib import Path

from torch import nn

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import CMP_STATISTICS, CMP_TEACHER
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.evaluation import cmp_pictures
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.synergynet import SynergyNet
from voicemesh.population.dataset import SHARD, Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.population.portraits import LOOKS
from voicemesh.systems.cmp_unsupervised import FaceReader

from .cmp_teacher import TeacherNets, TeacherRecipe, look_scales
from .runs import best_of, origin, recipe_of, steps_of


def trained(run: Path, face_model: MorphableModel) -> tuple[SynergyNet, TeacherRecipe]:
    """The teacher of a run's best.safetensors and the recipe that made it.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    recipe = recipe_of(run, TeacherRecipe)
    nets = TeacherNets(recipe, face_model)
    nets.load_state_dict(best_of(run))
    return nets.teacher.eval(), recipe


def as_stored(net: nn.Module) -> nn.Module:
    """The net with its matrices rounded as a bundle stores them."""
    for value in net.parameters():
        if value.ndim > 1:
            value.data = value.data.half().float()
    return net


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the teacher of a run as a part of a bundle; return its figures.

    They are measured on the portraits of the held-out people of `judges`, or of the population
    itself, against the mean faces of `source`.
    """
    face_model = source.face_model()
    teacher, recipe = trained(run, face_model)
    as_stored(teacher)
    judging = judges or population
    found = PortraitSet.open(judging.folder / f"portraits-{recipe.size}", recipe.partial)
    reader = FaceReader(teacher, face_model)
    results = cmp_pictures.evaluate(reader, judging, found, source.tensors(CMP_STATISTICS))
    own = PortraitSet.open(population.folder / f"portraits-{recipe.size}", recipe.partial)
    scales = look_scales(own.gathered("train"))
    people = len(own.files["train"]) * SHARD
    writer.net(
        CMP_TEACHER,
        teacher,
        arguments_of(teacher),
        half=True,
        results={
            "recipe": asdict(recipe) | {"start": Path(recipe.start).name},
            "looks": dict(zip(LOOKS, scales.T.astype(float).tolist(), strict=True)),
            **results,
        },
        **origin(
            "cmp-teacher",
            f"portraits of {people} synthetic people, {steps_of(run)} steps; no photograph of a"
            " person",
        ),
    )
    return cmp_pictures.table(results)

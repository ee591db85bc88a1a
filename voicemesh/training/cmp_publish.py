"""From a finished run to parts of a bundle, each with its measured results."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import CMP_HEAD, CMP_REPEATS, CMP_STATISTICS, CMP_TRAITS, CMP_VOICE
from voicemesh.evaluation import cmp_table, joining
from voicemesh.evaluation.cmp import evaluate
from voicemesh.evaluation.predictions import Predictions, perceived, predict
from voicemesh.evaluation.repeats import repeat_statistics
from voicemesh.evaluation.statistics import people_statistics
from voicemesh.evaluation.targets import Targets, people_targets
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.pipeline.cautions import SPEAKING
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.systems.joining import Joining

from .cmp import CmpTask
from .cmp_nets import CmpNets
from .cmp_recipe import CmpRecipe
from .crowd import Crowd
from .refit import effort_reader, refit_head
from .runs import best_of, origin, recipe_of, steps_of

AT_ONCE = 64  # recordings
TOGETHER = ("recordings_each", "days", "seconds", "sex", "errors", "voice")


def trained(run: Path, face_model: MorphableModel) -> tuple[CmpNets, CmpRecipe]:
    """The nets of a run's best.safetensors and the recipe that made them.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    recipe = recipe_of(run, CmpRecipe)
    nets = CmpNets(recipe, face_model, FRONT_ENDS[recipe.front_end].channels)
    nets.load_state_dict(best_of(run))
    return nets.eval(), recipe


def history(run: Path) -> list[tuple[Path, CmpRecipe]]:
    """A run behind those that it started from, each with its recipe.

    Raises:
        ValueError: one of the folders holds no run, or one that has not been validated yet.
    """
    recipe = recipe_of(run, CmpRecipe)
    before = history(Path(recipe.start)) if recipe.start else []
    return [*before, (run, recipe)]


def plain(recipe: CmpRecipe) -> dict[str, Any]:
    """A recipe for a manifest: of folders the names alone."""
    names = [Path(folder).name for folder in recipe.more]
    return asdict(recipe) | {"start": Path(recipe.start).name, "more": names}


@torch.inference_mode()
def days_heard(
    task: CmpTask, crowd: Crowd
) -> tuple[Float[Tensor, "days embedding"], Int64[np.ndarray, " days"]]:
    """Embeddings of one recording of every day of the training people; the rows of `task.days`."""
    utterances, voice = task.utterances, task.net.eval().voice
    ours = np.flatnonzero(np.isin(utterances.identity, crowd.train) & ~utterances.clean)
    days, first = np.unique(task.days.of_row[ours], return_index=True)
    rows = ours[first]
    parts = np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))
    units = [
        functional.normalize(voice(utterances.crops(some, utterances.frames, None)))
        for some in parts
    ]
    return torch.cat(units), days


def how_people_speak(source: Bundle) -> dict[str, Float32[Tensor, "..."]]:
    """What a bundle knows of how speech moves, if it does: that depends on no net, and stays."""
    if CMP_STATISTICS not in source.parts:
        return {}
    told = source.tensors(CMP_STATISTICS)
    return {name: told[name] for name in SPEAKING if name in told}


def joining_of(
    task: CmpTask,
    crowd: Crowd,
    units: Float[Tensor, "days embedding"],
    days: Int64[np.ndarray, " days"],
    judged: Predictions,
    judges: Targets,
) -> Joining:
    """How recordings are joined: from one of every day of the training people, as they are heard.

    Strong effort, which is no usual day, is left out. The sex's evidence is that of people held
    out.
    """
    usual = ~task.days.strong[days]
    return joining.fit(
        units[torch.from_numpy(usual)],
        task.days.identity[days[usual]],
        crowd.people,
        task.targets,
        crowd.recipe.coupling,
        judged,
        judges,
    )


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the nets of a run and their statistics as parts of a bundle; return the figures.

    The head is fitted anew to the population and the face model, on the run's voice encoder;
    so is what several recordings of one voice tell together, where the judges have several days.
    Errors are measured and intervals calibrated on people held out: the population's own, or
    those of another population with more of them.
    """
    face_model = source.face_model()
    nets, recipe = trained(run, face_model)
    crowd = Crowd.open(population.folder, recipe.more)
    task = CmpTask(recipe, crowd, crowd.features(recipe.front_end), face_model)
    nets.voice.half().float()  # as it is stored, so that all figures are the bundle's
    task.net = nets
    refit_head(task)
    people = people_statistics(task.targets, crowd.train, face_model)
    units, days = days_heard(task, crowd)
    people["effort_reader"] = effort_reader(units, torch.from_numpy(task.days.effort[days]))
    people |= how_people_speak(source)
    perceptionist = CrossModalPerceptionist(
        FRONT_ENDS[recipe.front_end], nets.voice, nets.head, face_model, nets.traits, people
    )
    judges = judges or population
    heard, raised = predict(perceptionist, judges)
    if len(np.unique(heard.session)) > 1:
        told = people_targets(judges.people, face_model)
        perceptionist.joining = joining_of(task, crowd, units, days, heard, told)
        heard, raised = (perceived(perceptionist, one) for one in (heard, raised))
    results, errors = evaluate(perceptionist, judges, (heard, raised))
    cycles = history(run)
    steps = sum(steps_of(folder) for folder, _ in cycles)
    about = origin(
        "cmp",
        f"{len(crowd.train)} synthetic people of the population's law, {steps} steps;"
        " no recording of a person",
    )
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
        CMP_VOICE,
        nets.voice,
        {
            "input_channels": channels,
            "widths": list(recipe.widths),
            "embedding": recipe.embedding,
        },
        half=True,
        results={"recipes": [plain(r) for _, r in cycles]},
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
    writer.net(CMP_HEAD, nets.head, arguments, results=brief, **about)
    writer.net(CMP_TRAITS, nets.traits, {"embedding": recipe.embedding}, **about)
    measured = {"coverage": results["coverage"], "nulls": results["nulls"]}
    writer.tensors(CMP_STATISTICS, people | errors, results=measured, **about)
    if perceptionist.joining is not None:
        repeats = repeat_statistics(heard, face_model) | perceptionist.joining.tensors()
        brief = {k: v for k, v in results["together"].items() if k in TOGETHER}
        writer.tensors(CMP_REPEATS, repeats, results=brief, **about)
    return cmp_table.table(results)

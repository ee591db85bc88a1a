"""From a finished run of SSS to parts of a bundle: both nets, and what their similarities mean."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.eight_bits import round_to
from voicemesh.checkpoints.parts import SSS_FACE, SSS_STATISTICS, SSS_VOICE
from voicemesh.checkpoints.store import Tensors
from voicemesh.evaluation.calibration import calibrated
from voicemesh.evaluation.voice_faces import brief, embed, measured, portraits_of, report
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder
from voicemesh.population.dataset import Population
from voicemesh.systems.sss import SeekingTheShapeOfSound

from .runs import best_of, origin, recipe_of, steps_of
from .sss_recipe import SssRecipe
from .sss_task import MAIN


def trained(run: Path) -> tuple[SeekingTheShapeOfSound, SssRecipe]:
    """The nets of a run's best main step, as a system, and the recipe that made them.

    Raises:
        ValueError: the folder holds no run, or one whose main step was not validated yet.
    """
    recipe, tensors = recipe_of(run / MAIN, SssRecipe), best_of(run / MAIN)
    if recipe.small:
        nets = small_nets(tensors, recipe)
    else:
        whole = upstream.build("sss-model", tensors, str(run / MAIN))
        nets = whole.V, whole.F
    for net in nets:
        round_to(net)  # as it is stored, so that all figures are the bundle's
    return SeekingTheShapeOfSound(*nets), recipe


def small_nets(tensors: Tensors, recipe: SssRecipe) -> tuple[nn.Module, nn.Module]:
    """The small nets of a state dict."""
    voice, face = voice_arguments(recipe), face_arguments(recipe)
    nets = TrunkVoiceEncoder(**voice), PortraitFaceEncoder(**face)
    for side, net in zip(("V.", "F."), nets, strict=True):
        own = {k.removeprefix(side): v for k, v in tensors.items() if k.startswith(side)}
        net.load_state_dict(own)
    return nets


def voice_arguments(recipe: SssRecipe) -> dict[str, Any]:
    """What builds a small voice net."""
    return {
        "front_end": recipe.front_end,
        "channels": FRONT_ENDS[recipe.front_end].channels,
        "widths": list(recipe.voice_widths),
        "blocks": list(recipe.voice_blocks),
        "code": recipe.voice_code,
        "features": recipe.features,
        "embedding": recipe.embedding,
    }


def face_arguments(recipe: SssRecipe) -> dict[str, Any]:
    """What builds a small face net."""
    return {
        "side": recipe.side,
        "units": list(recipe.face_units),
        "widths": list(recipe.face_widths),
        "features": recipe.features,
        "embedding": recipe.embedding,
        "code": recipe.face_code,
    }


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the nets of a run and what their similarities mean; the table of their figures.

    Measured on the people held out of `judges`, or of the population itself.
    """
    space, recipe = trained(run)
    judges = judges or population
    embedded = embed(space, judges, portraits_of(judges))
    people = judges.people.take(embedded.who)
    results = measured(embedded, people, judges.recipe.coupling)
    calibration = calibrated(embedded.voices[1], embedded.faces, people.mode, people.age)
    seen = len(best_of(run / MAIN)["center.weight"])
    guided = ", guided by what the law says of every pair" if recipe.law_weight else ""
    about = origin(
        "sss",
        f"voices and portraits of {seen} synthetic people of the population's law,"
        f" {steps_of(run / MAIN)} steps of the main run{guided}, on backbones that had learnt the"
        " habits of voices and what faces tell of them; no recording and no picture of a person",
    )
    whole = {
        **brief(results),
        "recipe": asdict(recipe)
        | {name: Path(getattr(recipe, name)).name for name in ("voice_backbone", "face_backbone")}
        | {"more": [Path(folder).name for folder in recipe.more]},
    }
    if recipe.small:
        arguments = voice_arguments(recipe), face_arguments(recipe)
    else:
        arguments = tuple(upstream.arguments_of(net) for net in (space.voice, space.face))
    writer.net(SSS_VOICE, space.voice, arguments[0], eight_bits=True, results=whole, **about)
    short = {"measured": f"see {SSS_VOICE}"}
    writer.net(SSS_FACE, space.face, arguments[1], eight_bits=True, results=short, **about)
    numbers = {k: torch.from_numpy(v).float() for k, v in calibration.arrays().items()}
    told = {
        "calibrated on": f"{len(people)} people held out, {embedded.seconds[1]:.1f} s",
        "calibration error": dict(
            zip(("all", "same sex"), calibration.error.tolist(), strict=True)
        ),
    }
    writer.tensors(SSS_STATISTICS, numbers, results=told, **about)
    return report(results, "sss", judges.folder.name)

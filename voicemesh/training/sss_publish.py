"""From a finished run of SSS to parts of a bundle: both nets, and what their similarities mean."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.eight_bits import round_to
from voicemesh.checkpoints.store import Tensors
from voicemesh.evaluation.association_table import brief_of
from voicemesh.evaluation.calibration import calibrated
from voicemesh.evaluation.voice_faces import embed, measured, portraits_of, report
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder
from voicemesh.population.dataset import Population
from voicemesh.systems.sss import SeekingTheShapeOfSound

from .loop import read_metrics
from .sss_recipe import SssRecipe
from .sss_task import MAIN

LICENCE = "MIT"
VOICE, FACE = SeekingTheShapeOfSound.parts
STATISTICS = "sss-statistics"


def trained(run: Path) -> tuple[SeekingTheShapeOfSound, SssRecipe]:
    """The nets of a run's best main step, as a system, and the recipe that made them.

    Raises:
        ValueError: the folder holds no run, or one whose main step was not validated yet.
    """
    best = run / MAIN / "best.safetensors"
    if not best.exists():
        raise ValueError(f"{run} holds no {MAIN}/best.safetensors; train until it is validated")
    written = json.loads((run / MAIN / "recipe.json").read_text())["recipe"]
    known = {field.name for field in fields(SssRecipe)}
    recipe = SssRecipe(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in written.items() if k in known}
    )
    tensors = load_file(best)
    if recipe.small:
        nets = small_nets(tensors, recipe)
    else:
        whole = upstream.build("sss-model", tensors, str(best))
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
    steps = max(line["step"] for line in read_metrics(run / MAIN / "metrics.jsonl"))
    seen = len(load_file(run / MAIN / "best.safetensors")["center.weight"])
    guided = ", guided by what the law says of every pair" if recipe.law_weight else ""
    about = {
        "source": "trained by voicemesh, python -m voicemesh train sss",
        "licence": LICENCE,
        "training": (
            f"voices and portraits of {seen} synthetic people of the population's law, {steps}"
            f" steps of the main run{guided}, on backbones that had learnt the habits of voices and"
            " what faces tell of them; no recording and no picture of a person"
        ),
    }
    brief = {
        "people": results["people"],
        "pictures": results["pictures"],
        "recordings": results["recordings"],
        "seconds": results["seconds"],
        "systems": {
            name: {direction: brief_of(told) for direction, told in found.items()}
            for name, found in results["systems"].items()
        },
        "recipe": asdict(recipe)
        | {name: Path(getattr(recipe, name)).name for name in ("voice_backbone", "face_backbone")},
    }
    if recipe.small:
        arguments = voice_arguments(recipe), face_arguments(recipe)
    else:
        arguments = tuple(upstream.arguments_of(net) for net in (space.voice, space.face))
    writer.net(VOICE, space.voice, arguments[0], eight_bits=True, results=brief, **about)
    short = {"measured": f"see {VOICE}"}
    writer.net(FACE, space.face, arguments[1], eight_bits=True, results=short, **about)
    numbers = {k: torch.from_numpy(v).float() for k, v in calibration.arrays().items()}
    told = {
        "calibrated on": f"{len(people)} people held out, {embedded.seconds[1]:.1f} s",
        "calibration error": dict(
            zip(("all", "same sex"), calibration.error.tolist(), strict=True)
        ),
    }
    writer.tensors(STATISTICS, numbers, results=told, **about)
    return report(results, "sss", judges.folder.name)

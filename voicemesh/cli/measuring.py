"""`evaluate`: how good a system is."""

import argparse
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .arguments import Commands, add_bundle, add_command

# What puts voices and faces into one space: a module and its class, see `systems.association`.
SPACES = {
    "sss": ("voicemesh.systems.sss", "SeekingTheShapeOfSound"),
    "cmpc": ("voicemesh.systems.cmpc", "Cmpc"),
    "cmpc2": ("voicemesh.systems.cmpc", "Cmpc2"),
}

# Options that one system alone takes.
OF_ONE = dict.fromkeys(("pictures", "others", "critic", "inception"), "voicestyle")
OF_ONE |= {"meshes": "cmp"}

EVALUATE = """Measure a system on the people that a population holds out, beside what the mean face
or chance reach and beside the best that is possible."""


def add_commands(commands: Commands) -> None:
    """`evaluate`."""
    told = "measure a system on people held out"
    command = add_command(commands, "evaluate", evaluate, told, EVALUATE)
    command.add_argument("system", choices=["cmp", "sf2f", "voicestyle", *SPACES])
    told = "folder of a population; cmp: or a Voxceleb-3D, sss: or the published lists"
    command.add_argument("--data", type=Path, required=True, help=told)
    command.add_argument("--out", type=Path, help="also write all figures to this JSON file")
    told = "voicestyle: write sheets of images into this folder"
    command.add_argument("--pictures", type=Path, help=told)
    told = "voicestyle: a population of other people, on whose portraits judges are fitted"
    command.add_argument("--others", type=Path, help=told)
    told = "voicestyle: the run of stylegan2 whose discriminator scores the images"
    command.add_argument("--critic", type=Path, metavar="RUN", help=told)
    told = "voicestyle: Inception weights of torch-fidelity, for FID"
    command.add_argument("--inception", type=Path, metavar="FILE", help=told)
    command.add_argument("--meshes", type=Path, help="cmp: write the meshes of a Voxceleb-3D here")
    add_bundle(command)


def evaluate(arguments: argparse.Namespace) -> int:
    """All figures of a bundle on the people that were held out."""
    for option, system in OF_ONE.items():
        if getattr(arguments, option) and arguments.system != system:
            raise ValueError(f"--{option} is for {system}, not for {arguments.system}")
    if arguments.out:
        check_place(arguments.out)
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    alone = {"cmp": evaluate_cmp, "sf2f": evaluate_sf2f, "voicestyle": evaluate_voicestyle}
    return alone.get(arguments.system, evaluate_space)(arguments)


def evaluate_cmp(arguments: argparse.Namespace) -> int:
    """How near the heads that voices of people held out suggest are to their own."""
    from voicemesh import pipeline
    from voicemesh.evaluation import cmp, cmp_table, voxceleb3d
    from voicemesh.population.dataset import Population

    system = pipeline.load(arguments.bundle, arguments.device).system
    if arguments.meshes and not voxceleb3d.is_layout(arguments.data):
        raise ValueError(f"--meshes is for a Voxceleb-3D, which {arguments.data} is not")
    if voxceleb3d.is_layout(arguments.data):
        people = voxceleb3d.Voxceleb3D.open(arguments.data, "validation")
        results = voxceleb3d.evaluate(system, people, arguments.meshes)
        print(voxceleb3d.table(results))
    else:
        results, _ = cmp.evaluate(system, Population.open(arguments.data))
        print(cmp_table.table(results))
    keep(results, arguments.out)
    return 0


def check_place(out: Path) -> None:
    """Refuse, before hours of work, a file that could not be written after them.

    Raises:
        ValueError: it is a folder, or its folder is not there or may not be written to.
    """
    if out.is_dir():
        raise ValueError(f"{out} is a folder; name the file that the figures are to go to")
    if not out.parent.is_dir():
        raise ValueError(f"there is no folder {out.parent} to write the figures to")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ValueError(f"{out} may not be written to; name another file")


def keep(results: Mapping[str, Any], out: Path | None) -> None:
    """All figures as JSON, where a file was named."""
    if out:
        out.write_text(json.dumps(results, indent=2) + "\n")


def evaluate_voicestyle(arguments: argparse.Namespace) -> int:
    """What can be read off the face images for voices of people held out, and how real they are."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.evaluation import voice_faces, voicestyle, voicestyle_sheets
    from voicemesh.nets import devices
    from voicemesh.population.dataset import Population
    from voicemesh.systems.inversion import Inverter
    from voicemesh.systems.voicestyle import VoiceStyle

    device, bundle = devices.chosen(arguments.device), Bundle.open(arguments.bundle)
    # Without its gallery, whose people may be those that are tested.
    system = VoiceStyle.from_bundle(bundle, device, gallery=False)
    judges = voicestyle.Judges.of(system, bundle, arguments.critic, arguments.inception)
    others = None
    if arguments.others:
        others = voice_faces.portraits_of(Population.open(arguments.others))
    population = Population.open(arguments.data)
    portraits = voice_faces.portraits_of(population)
    results, seen = voicestyle.evaluate(system, judges, population, portraits, others)
    print(voicestyle.table(results))
    keep(results, arguments.out)
    if arguments.pictures:
        inverter = Inverter.from_bundle(bundle, device)
        written = voicestyle_sheets.write(arguments.pictures, seen, system, inverter)
        print("\n".join(map(str, written)))
    return 0


def evaluate_sf2f(arguments: argparse.Namespace) -> int:
    """How near the faces that voices of people held out suggest are to their own."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.evaluation import sf2f, voice_faces
    from voicemesh.nets import devices
    from voicemesh.population.dataset import Population
    from voicemesh.systems.sf2f import SpeechToFace

    bundle, population = Bundle.open(arguments.bundle), Population.open(arguments.data)
    system = SpeechToFace.from_bundle(bundle, devices.chosen(arguments.device))
    results = sf2f.evaluate(system, population, voice_faces.portraits_of(population), bundle)
    print(sf2f.table(results))
    keep(results, arguments.out)
    return 0


def evaluate_space(arguments: argparse.Namespace) -> int:
    """How well a bundle's voices and faces find each other."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.evaluation import sss_lists, voice_faces
    from voicemesh.nets import devices
    from voicemesh.population.dataset import Population

    module, name = SPACES[arguments.system]
    kind = getattr(importlib.import_module(module), name)
    space = kind.from_bundle(Bundle.open(arguments.bundle), devices.chosen(arguments.device))
    if arguments.system == "sss" and sss_lists.is_layout(arguments.data):
        results = sss_lists.evaluate(space, arguments.data)
        print(sss_lists.table(results))
    else:
        population = Population.open(arguments.data)
        portraits = voice_faces.portraits_of(population)
        results, _ = voice_faces.evaluate_population(space, population, portraits)
        print(voice_faces.report(results, arguments.system, population.folder.name))
    keep(results, arguments.out)
    return 0

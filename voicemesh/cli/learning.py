"""`train` and `publish`: data into runs, runs into bundles."""

import argparse
import importlib
import json
from pathlib import Path
from types import ModuleType

from .arguments import Commands, add_bundle, add_command, add_overrides
from .recipes import overridden

# Modules of `voicemesh.training`: one with RECIPES and `start`, one with `publish`, which writes a
# run as parts of a bundle and returns a table.
SYSTEMS = {
    "cmp": ("cmp", "cmp_publish"),
    "cmp-features": ("cmp_features", "cmp_features"),
    "cmp-teacher": ("cmp_teacher", "cmp_teacher_publish"),
    "cmp-unsupervised": ("cmp_unsupervised", "cmp_unsupervised_publish"),
    "cmpc": ("cmpc", "cmpc_publish"),
    "identity": ("identity", "identity"),
    "sf2f": ("sf2f", "sf2f_publish"),
    "sss": ("sss", "sss_publish"),
    "stylegan2": ("stylegan2", "stylegan2"),
    "stylegan2-portraits": ("stylegan2_portraits", "stylegan2_portraits"),
}

TRAIN = """Train on a population; the same command again goes on where it stopped. On several GPUs:
`accelerate launch -m voicemesh train ...`."""

PUBLISH = """Measure the nets of a run, and write them as parts of a bundle, which is begun or gone
on with."""


def add_commands(commands: Commands) -> None:
    """`train` and `publish`."""
    command = add_command(commands, "train", train, "train a system", TRAIN)
    command.add_argument("system", choices=sorted(SYSTEMS))
    command.add_argument("--data", type=Path, required=True, help="folder of a population")
    command.add_argument("--out", type=Path, required=True, help="folder of the run")
    told = "the recipe to start from: `published`, or another; a wrong name lists all: %(default)s"
    command.add_argument("--recipe", default="bundle", help=told)
    told = "stop after so many; the same command goes on"
    command.add_argument("--minutes", type=float, default=float("inf"), help=told)
    command.add_argument("--workers", type=int, default=1, help="processes that compute features")
    told = "what training starts from: the face model, nets that are there already"
    add_bundle(command, told, device=False)
    add_overrides(command)

    command = add_command(commands, "publish", publish, "turn a run into a bundle", PUBLISH)
    command.add_argument("system", choices=sorted(SYSTEMS))
    command.add_argument("run_folder", type=Path, metavar="RUN", help="what `train` made")
    command.add_argument("--data", type=Path, required=True, help="folder of a population")
    command.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    command.add_argument("--judges", type=Path, help="another population to measure errors on")
    command.add_argument("--title", default="", help="shown on the page")
    told = "the bundle whose nets stand beside: its face model, encoders that the run began with"
    add_bundle(command, told, device=False)
    add_overrides(command)


def trainer(system: str) -> ModuleType:
    """The module that trains a system."""
    return importlib.import_module(f"voicemesh.training.{SYSTEMS[system][0]}")


def publisher(system: str) -> ModuleType:
    """The module that turns its runs into parts of a bundle."""
    return importlib.import_module(f"voicemesh.training.{SYSTEMS[system][1]}")


def fitted_beside(module: ModuleType, arguments: argparse.Namespace) -> dict[str, object]:
    """The recipe of what publishing itself fits, where a system has one, changed as asked.

    Raises:
        ValueError: the system has none, and something was to be changed.
    """
    if hasattr(module, "BESIDE"):
        return {"beside": overridden(module.BESIDE, arguments.overrides)}
    if arguments.overrides:
        raise ValueError(f"publishing {arguments.system} fits nothing that could be changed")
    return {}


def train(arguments: argparse.Namespace) -> int:
    """Train, or go on."""
    from voicemesh.checkpoints.bundle import Bundle

    module = trainer(arguments.system)
    if arguments.recipe not in module.RECIPES:
        raise ValueError(f"no recipe {arguments.recipe!r}; there are {', '.join(module.RECIPES)}")
    recipe = overridden(module.RECIPES[arguments.recipe], arguments.overrides)
    bundle = Bundle.open(arguments.bundle)
    best = module.start(
        arguments.data, arguments.out, recipe, bundle, arguments.minutes, arguments.workers
    )
    print(json.dumps(best))
    return 0


def publish(arguments: argparse.Namespace) -> int:
    """The best nets of a run, measured, as parts of a bundle, which is begun or gone on with."""
    from voicemesh.checkpoints.bundle import Bundle, BundleWriter
    from voicemesh.checkpoints.parts import FACE_MODEL
    from voicemesh.population.dataset import Population
    from voicemesh.systems import outdated

    module = publisher(arguments.system)
    more = fitted_beside(module, arguments)
    source = Bundle.open(arguments.bundle)
    population = Population.open(arguments.data)
    judges = Population.open(arguments.judges) if arguments.judges else None
    if not arguments.run_folder.is_dir():
        raise ValueError(f"there is no run in {arguments.run_folder}; `train` makes one")
    about = {"title": arguments.title or None, "fitted_in": source}
    writer = BundleWriter(arguments.out, arguments.out.name, **about)
    if FACE_MODEL not in writer.bundle.parts:
        head = source.part(FACE_MODEL)
        writer.face_model(source.face_model(), source=head.source, licence=head.licence)
    before = outdated.digests(writer)
    print(module.publish(arguments.run_folder, population, source, writer, judges, **more))
    outdated.retire(writer, before)
    return 0

"""`train` and `publish`: data into runs, runs into bundles."""

import argparse
import importlib
import json
from pathlib import Path

from .arguments import Commands, add_bundle, add_command, add_overrides
from .recipes import overridden

# What can be trained: a module with RECIPES and `start`, see `voicemesh.training.cmp`.
TRAINED = {
    "stylegan2": "voicemesh.training.stylegan2",
    "stylegan2-portraits": "voicemesh.training.stylegan2_portraits",
    "cmp": "voicemesh.training.cmp",
    "cmp-features": "voicemesh.training.cmp_features",
    "cmp-teacher": "voicemesh.training.cmp_teacher",
    "cmp-unsupervised": "voicemesh.training.cmp_unsupervised",
    "cmpc": "voicemesh.training.cmpc_task",
    "identity": "voicemesh.training.identity",
    "sf2f": "voicemesh.training.sf2f",
    "sss": "voicemesh.training.sss_run",
}
# What a run of it becomes: a module with `publish`, which writes parts and returns a table.
PUBLISHED = {
    "stylegan2": "voicemesh.training.stylegan2",
    "stylegan2-portraits": "voicemesh.training.stylegan2_portraits",
    "cmp": "voicemesh.training.cmp_publish",
    "cmp-features": "voicemesh.training.cmp_features",
    "cmp-teacher": "voicemesh.training.cmp_teacher_publish",
    "cmp-unsupervised": "voicemesh.training.cmp_unsupervised_publish",
    "cmpc": "voicemesh.training.cmpc_publish",
    "identity": "voicemesh.training.identity",
    "sf2f": "voicemesh.training.sf2f_publish",
    "sss": "voicemesh.training.sss_publish",
}

TRAIN = """Train on a population; the same command again goes on where it stopped. On several GPUs:
`accelerate launch -m voicemesh train ...`."""

PUBLISH = """Measure the nets of a run, and write them as parts of a bundle, which is begun or gone
on with."""


def add_commands(commands: Commands) -> None:
    """`train` and `publish`."""
    command = add_command(commands, "train", train, "train a system", TRAIN)
    command.add_argument("system", choices=sorted(TRAINED))
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
    command.add_argument("system", choices=sorted(PUBLISHED))
    command.add_argument("run_folder", type=Path, metavar="RUN", help="what `train` made")
    command.add_argument("--data", type=Path, required=True, help="folder of a population")
    command.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    command.add_argument("--judges", type=Path, help="another population to measure errors on")
    command.add_argument("--title", default="", help="shown on the page")
    add_bundle(command, "where the face model is taken from", device=False)


def train(arguments: argparse.Namespace) -> int:
    """Train, or go on."""
    from voicemesh.checkpoints.bundle import Bundle

    module = importlib.import_module(TRAINED[arguments.system])
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

    module = importlib.import_module(PUBLISHED[arguments.system])
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
    print(module.publish(arguments.run_folder, population, source, writer, judges))
    outdated.retire(writer, before)
    return 0

"""`grow`, `populate`, `picture`: heads, people, and portraits of them."""

import argparse
from pathlib import Path

from .arguments import Commands, add_bundle, add_command, add_overrides
from .recipes import overridden

GROW = """Grow the head from formulas, in a few minutes, and begin a bundle with it. All that is
trained later goes into the same folder: `--bundle FOLDER --out FOLDER`."""

POPULATE = """Draw people from published statistics of bodies and let them speak, into a folder; the
same command again goes on where it stopped."""

PICTURE = """Portraits of the people of a population, into its folder; the same command again goes
on where it stopped, and other splits or more people are added to what is there."""


def add_commands(commands: Commands) -> None:
    """`grow`, `populate` and `picture`."""
    command = add_command(commands, "grow", grow, "begin a bundle with a head of its own", GROW)
    command.add_argument("out", type=Path, metavar="FOLDER", help="of the bundle")
    command.add_argument("--title", default="", help="shown on the page")

    told = "build a synthetic population"
    command = add_command(commands, "populate", populate, told, POPULATE)
    command.add_argument("folder", type=Path, help="where the population goes")
    add_overrides(command)

    command = add_command(commands, "picture", picture, "portraits of a population", PICTURE)
    command.add_argument("folder", type=Path, help="folder of the population")
    add_bundle(command, "where the face model is taken from", device=False)
    add_overrides(command)


def grow(arguments: argparse.Namespace) -> int:
    """The head of formulas as the first part of a bundle.

    Raises:
        ValueError: the folder holds a bundle, whose parts rest on the head that it has.
    """
    from voicemesh.checkpoints.bundle import BundleWriter
    from voicemesh.checkpoints.manifest import MANIFEST
    from voicemesh.mesh import procedural

    out: Path = arguments.out
    if (out / MANIFEST).is_file():
        raise ValueError(f"{out} is a bundle, whose parts rest on its head; name another folder")
    out.mkdir(parents=True, exist_ok=True)  # what may not be written shows before minutes of work
    model = procedural.grow()
    writer = BundleWriter(out, out.name, title=arguments.title or out.name)
    about = {
        "source": f"grown by voicemesh, {procedural.__name__}",
        "licence": "MIT",
        "training": "none: formulas and published body measurements",
    }
    writer.face_model(model, **about)
    print(f"{out}: a head of {len(model.mean)} vertices")
    return 0


def populate(arguments: argparse.Namespace) -> int:
    """Build a population, or finish one."""
    from voicemesh.population import dataset
    from voicemesh.population.recipe import PopulationRecipe

    recipe = overridden(PopulationRecipe(), arguments.overrides)
    built = dataset.populate(arguments.folder, recipe)
    print(f"{arguments.folder}: {len(built.train)} people to train on, {len(built.validation)} not")
    return 0


def picture(arguments: argparse.Namespace) -> int:
    """Take the portraits of a population, or those that are missing."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.population.dataset import Population
    from voicemesh.population.portrait_set import PortraitRecipe, build

    recipe = overridden(PortraitRecipe(), arguments.overrides)
    population = Population.open(arguments.folder)
    taken = build(population, Bundle.open(arguments.bundle).face_model(), recipe)
    counts = {split: len(taken.files[split]) for split in taken.recipe.splits}
    told = ", ".join(f"{count} shards of {split}" for split, count in counts.items())
    print(f"{taken.folder}: {told}")
    return 0

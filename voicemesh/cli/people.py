"""`populate`, `picture`, `index`, `gallery`, `invert`: people, and galleries of them."""

import argparse
import json
import sys
from pathlib import Path

from .recipes import overridden


def populate(arguments: argparse.Namespace) -> int:
    """Build a population, or finish one."""
    from voicemesh.population import dataset

    recipe = overridden(dataset.PopulationRecipe(), arguments.overrides)
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


def index(arguments: argparse.Namespace) -> int:
    """A folder of faces and voices as a gallery; a file that cannot be used does not stop it."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.gallery.qdrant import connected, upload
    from voicemesh.indexing import index as indexing
    from voicemesh.indexing import sources

    table, folder = arguments.table, arguments.folder
    found = sources.of_table(table) if table else sources.of_folder(folder)
    bundle = Bundle.open(arguments.bundle)
    server = connected(arguments.server) if arguments.server else None
    told = arguments.device, arguments.title, arguments.crops
    built = indexing.index(folder, found, arguments.out, bundle, *told)
    left_out = built.manifest["left_out"]
    for file, reason in left_out.items():
        print(f"{file}: {reason}", file=sys.stderr)
    if left_out:
        print(f"{len(left_out)} of {len(found)} files could not be used", file=sys.stderr)
    print(f"{arguments.out}: {len(built)} entries of {built.people} people")
    if server:
        upload(built, *server)
    return 1 if left_out else 0


def gallery(arguments: argparse.Namespace) -> int:
    """The people that a population holds out, with portraits, voices and embeddings."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.indexing.population import showcase
    from voicemesh.population.dataset import Population
    from voicemesh.population.portrait_set import PortraitSet

    guests = []
    if arguments.examples:
        guests = identities_in(arguments.examples)
    built = showcase(
        Population.open(arguments.folder),
        PortraitSet.open(arguments.folder / f"portraits-{arguments.size}", partial=True),
        Bundle.open(arguments.bundle),
        arguments.out,
        guests,
        arguments.title,
        arguments.device,
    )
    print(f"{arguments.out}: {len(built)} people")
    return 0


def identities_in(examples: Path) -> list[str]:
    """Who speaks in the examples of a page.

    Raises:
        ValueError: the file is no examples.json.
    """
    try:
        return [entry["identity"] for entry in json.loads(examples.read_text())]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{examples} lists no examples with an identity each: {error}") from error


def invert(arguments: argparse.Namespace) -> int:
    """The latents of a gallery's pictures, kept with it."""
    from voicemesh.checkpoints.bundle import Bundle, BundleWriter
    from voicemesh.gallery.folder import FolderGallery
    from voicemesh.nets import devices
    from voicemesh.systems.inversion import GENERATOR, Inverter

    bundle, gallery = Bundle.open(arguments.bundle), FolderGallery(arguments.gallery)
    inverter = Inverter.from_bundle(bundle, devices.chosen(arguments.device))
    inverter.keep_with(gallery, {GENERATOR: bundle.part(GENERATOR).sha256})
    own = bundle.gallery_folder
    if own is not None and own.samefile(arguments.gallery):
        BundleWriter(bundle.folder, bundle.name).gallery(own)  # which states its new manifest
    print(f"{arguments.gallery}: latents of {len(gallery)} entries")
    return 0

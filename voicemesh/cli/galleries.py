"""`index`, `gallery`, `invert`: galleries of people."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_bundle, add_command

if TYPE_CHECKING:
    from voicemesh.checkpoints.bundle import Bundle

INDEX = """Embed all pictures of faces and all recordings in FOLDER. Each of its subfolders is a
person, or a csv says who is who. The same command goes on where it stopped, and later adds what is
new in FOLDER. A gallery in the folder `gallery` of the bundle becomes the bundle's own."""

GALLERY_OF_PEOPLE = """The people that a population holds out, whom no net has seen or heard, as a
gallery. In the folder `gallery` of the bundle it becomes the bundle's own."""

INVERT = """Find the latents of a gallery's pictures, from which face images start; they are kept
with the gallery."""


def add_commands(commands: Commands) -> None:
    """`index`, `gallery` and `invert`."""
    command = add_command(commands, "index", index, "faces and voices to a gallery", INDEX)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="of pictures and recordings")
    command.add_argument("--out", type=Path, required=True, metavar="GALLERY", help="its folder")
    command.add_argument("--table", type=Path, help="a csv: file, identity, label, sex, age, ...")
    command.add_argument("--crops", action="store_true", help="pictures are face crops already")
    command.add_argument("--title", default="", help="shown on the page")
    told = "also copy it to Qdrant: http://host:port/collection"
    command.add_argument("--server", metavar="URL", help=told)
    add_bundle(command)

    told = "a population's held-out people to a gallery"
    command = add_command(commands, "gallery", gallery, told, GALLERY_OF_PEOPLE)
    command.add_argument("folder", type=Path, help="of a population with portraits")
    command.add_argument("--out", type=Path, required=True, metavar="GALLERY", help="its folder")
    told = "pixels of a side of the portraits: %(default)s"
    command.add_argument("--size", type=int, default=128, help=told)
    command.add_argument("--examples", type=Path, help="examples.json whose people come first")
    command.add_argument("--title", default="", help="shown on the page")
    add_bundle(command)

    told = "a gallery's pictures to latents, kept with it"
    command = add_command(commands, "invert", invert, told, INVERT)
    command.add_argument("gallery", type=Path, metavar="GALLERY", help="its folder")
    add_bundle(command, "whose face generator")


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
    state(arguments.out, bundle)
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
    bundle = Bundle.open(arguments.bundle)
    built = showcase(
        Population.open(arguments.folder),
        PortraitSet.open(arguments.folder / f"portraits-{arguments.size}", partial=True),
        bundle,
        arguments.out,
        guests,
        arguments.title,
        arguments.device,
    )
    state(arguments.out, bundle)
    print(f"{arguments.out}: {len(built)} people")
    return 0


def state(gallery: Path, bundle: "Bundle") -> None:
    """Write into a bundle's manifest what its gallery is now, if this gallery lies in it."""
    from voicemesh.checkpoints.bundle import GALLERY, BundleWriter

    own = bundle.gallery_folder or bundle.folder / GALLERY
    if own.is_dir() and own.samefile(gallery):
        BundleWriter(bundle.folder, bundle.name, largest=None).gallery(own)


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
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.checkpoints.parts import STYLEGAN2_GENERATOR
    from voicemesh.gallery.folder import FolderGallery
    from voicemesh.nets import devices
    from voicemesh.systems.inversion import Inverter

    bundle, gallery = Bundle.open(arguments.bundle), FolderGallery(arguments.gallery)
    inverter = Inverter.from_bundle(bundle, devices.chosen(arguments.device))
    inverter.keep_with(gallery, {STYLEGAN2_GENERATOR: bundle.part(STYLEGAN2_GENERATOR).sha256})
    state(arguments.gallery, bundle)
    print(f"{arguments.gallery}: latents of {len(gallery)} entries")
    return 0

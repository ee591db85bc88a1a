"""Commands: `python -m voicemesh COMMAND --help` tells each one's story."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import voicemesh

from .learning import PUBLISHED, TRAINED, convert, publish, train
from .measuring import SPACES, evaluate
from .people import gallery, index, invert, picture, populate
from .portraying import portray


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    0 is success, 1 a recording that failed, 2 a mistake in what was asked or a file or folder that
    cannot be used, 130 an interruption by Ctrl-C.
    """
    arguments = parsed(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    logging.getLogger("voicemesh").setLevel(logging.INFO)  # the guests' own news are for others
    try:
        return arguments.run(arguments)
    except ValueError as error:
        print(f"voicemesh {arguments.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or error
        print(f"voicemesh {arguments.command}: {place}{reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"voicemesh {arguments.command}: interrupted", file=sys.stderr)
        return 130


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; `name=value` may stand anywhere, which argparse itself does not allow."""
    whole = parser()
    arguments, rest = whole.parse_known_args(argv)
    unknown = [word for word in rest if word.startswith("-") or "=" not in word]
    if rest and (unknown or not hasattr(arguments, "overrides")):
        whole.error(f"unrecognized arguments: {' '.join(unknown or rest)}")
    if rest:
        arguments.overrides = [*arguments.overrides, *rest]
    return arguments


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog="voicemesh", description="The 3D face that a voice suggests."
    )
    version = f"voicemesh {voicemesh.__version__}"
    whole.add_argument("--version", action="version", version=version)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    portray_ = commands.add_parser("portray", help="recordings to faces", description=PORTRAY)
    told = "recordings, and folders in which all of them are taken"
    portray_.add_argument("recordings", nargs="+", type=Path, metavar="FILE_OR_FOLDER", help=told)
    told = "where the portraits go"
    portray_.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=told)
    portray_.add_argument(
        "--together", action="store_true", help="all recordings are of one voice: one face of all"
    )
    add_bundle(portray_)
    portray_.set_defaults(run=portray)

    populate_ = commands.add_parser("populate", help="build a synthetic population")
    populate_.add_argument("folder", type=Path, help="where the population goes")
    add_overrides(populate_)
    populate_.set_defaults(run=populate)

    picture_ = commands.add_parser("picture", help="portraits of a population", description=PICTURE)
    picture_.add_argument("folder", type=Path, help="folder of the population")
    add_bundle(picture_, "where the face model is taken from", device=False)
    add_overrides(picture_)
    picture_.set_defaults(run=picture)

    train_ = commands.add_parser("train", help="train a system", description=TRAIN)
    train_.add_argument("system", choices=sorted(TRAINED))
    train_.add_argument("--data", type=Path, required=True, help="folder of a population")
    train_.add_argument("--out", type=Path, required=True, help="folder of the run")
    told = "the recipe to start from, `published` or another: %(default)s; a wrong name lists all"
    train_.add_argument("--recipe", default="bundle", help=told)
    train_.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    train_.add_argument("--workers", type=int, default=1, help="processes that compute features")
    told = "what training starts from: the face model, nets that are there already"
    add_bundle(train_, told, device=False)
    add_overrides(train_)
    train_.set_defaults(run=train)

    publish_ = commands.add_parser("publish", help="turn a run into a bundle")
    publish_.add_argument("system", choices=sorted(PUBLISHED))
    publish_.add_argument("run_folder", type=Path, metavar="RUN", help="what `train` made")
    publish_.add_argument("--data", type=Path, required=True, help="folder of a population")
    publish_.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    publish_.add_argument("--judges", type=Path, help="another population to measure errors on")
    publish_.add_argument("--title", default="", help="shown on the page")
    add_bundle(publish_, "where the face model is taken from", device=False)
    publish_.set_defaults(run=publish)

    evaluate_ = commands.add_parser("evaluate", help="measure a system on people held out")
    evaluate_.add_argument("system", choices=["cmp", "sf2f", "voicestyle", *SPACES])
    told = "folder of a population; cmp: or a Voxceleb-3D, sss: or the published lists"
    evaluate_.add_argument("--data", type=Path, required=True, help=told)
    evaluate_.add_argument("--out", type=Path, help="also write all figures to this JSON file")
    told = "voicestyle: write sheets of images into this folder"
    evaluate_.add_argument("--pictures", type=Path, help=told)
    told = "voicestyle: a population of other people, on whose portraits judges are fitted"
    evaluate_.add_argument("--others", type=Path, help=told)
    told = "voicestyle: the run of stylegan2 whose discriminator scores the images"
    evaluate_.add_argument("--critic", type=Path, metavar="RUN", help=told)
    told = "voicestyle: Inception weights of torch-fidelity, for FID"
    evaluate_.add_argument("--inception", type=Path, metavar="FILE", help=told)
    evaluate_.add_argument("--meshes", type=Path, help="write the meshes of a Voxceleb-3D here")
    add_bundle(evaluate_)
    evaluate_.set_defaults(run=evaluate)

    index_ = commands.add_parser("index", help="faces and voices to a gallery", description=INDEX)
    index_.add_argument("folder", type=Path, help="of pictures and recordings")
    index_.add_argument("--out", type=Path, required=True, metavar="GALLERY", help="its folder")
    index_.add_argument("--table", type=Path, help="a csv: file, identity, label, sex, age, ...")
    index_.add_argument("--crops", action="store_true", help="pictures are face crops already")
    index_.add_argument("--title", default="", help="shown on the page")
    index_.add_argument("--server", help="also copy it to Qdrant: http://host:port/collection")
    add_bundle(index_)
    index_.set_defaults(run=index)

    gallery_ = commands.add_parser("gallery", help="a population's held-out people to a gallery")
    gallery_.add_argument("folder", type=Path, help="of a population with portraits")
    gallery_.add_argument("--out", type=Path, required=True, metavar="GALLERY", help="its folder")
    gallery_.add_argument("--size", type=int, default=128, help="of the portraits: %(default)s")
    gallery_.add_argument("--examples", type=Path, help="examples.json whose people come first")
    gallery_.add_argument("--title", default="", help="shown on the page")
    add_bundle(gallery_)
    gallery_.set_defaults(run=gallery)

    invert_ = commands.add_parser("invert", help="a gallery's pictures to latents, kept with it")
    invert_.add_argument("gallery", type=Path, help="its folder")
    add_bundle(invert_, "whose face generator")
    invert_.set_defaults(run=invert)

    convert_ = commands.add_parser(
        "convert", help="published weights into a bundle", description=CONVERT
    )
    convert_.add_argument("name", help="the published system or network; head: a 3DMM")
    told = "as it was published, or the unzipped download"
    convert_.add_argument("file", type=Path, metavar="FILE_OR_FOLDER", help=told)
    convert_.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    convert_.add_argument("--triangles", type=Path, help="of a face model: tri.mat or tri.pkl")
    convert_.add_argument("--landmarks", type=Path, help="of a face model: keypoints_sim.npy")
    convert_.add_argument("--licence", default="", help="under which the file was published")
    convert_.set_defaults(run=convert)
    return whole


PORTRAY = """Read every recording and write its mesh (obj, ply, glb), a picture and a report: into
FOLDER for one file, into a folder of its own inside FOLDER for each of several. Published features
(.npy) and photographs of faces are read too, where the bundle has nets for them."""

TRAIN = """Train on a population; the same command again goes on where it stopped. On several GPUs:
`accelerate launch -m voicemesh train ...`."""

INDEX = """Embed all pictures of faces and all recordings in FOLDER. Each of its subfolders is a
person, or a csv says who is who. The same command goes on where it stopped, and later adds what is
new in FOLDER."""

CONVERT = """A published file as parts of a bundle, which is begun or gone on with. `convert cmp
FOLDER` takes the whole unzipped download of Cross-Modal Perceptionist: networks, face model,
reference faces."""

PICTURE = """Portraits of the people of a population, into its folder; the same command again goes
on where it stopped, and other splits or more people are added to what is there."""


def add_bundle(
    command: argparse.ArgumentParser, purpose: str = "the nets to use", device: bool = True
) -> None:
    """The arguments that say which nets, and where they run."""
    command.add_argument(
        "--bundle",
        metavar="WHERE",
        help=f"{purpose}: a folder or owner/name[@revision]; without it the embedded bundle",
    )
    if device:
        told = "cpu, cuda, cuda:1, mps; without it a CUDA GPU if there is one, else the CPU"
        command.add_argument("--device", help=told)


def add_overrides(command: argparse.ArgumentParser) -> None:
    """The trailing `name=value` pairs."""
    told = "change the recipe; a wrong name lists all"
    command.add_argument("overrides", nargs="*", metavar="name=value", help=told)

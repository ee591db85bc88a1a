"""Commands: `python -m voicemesh COMMAND --help` tells each one's story."""

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

log = logging.getLogger(__name__)
Recipe = TypeVar("Recipe")

AUDIO_SUFFIXES = frozenset(
    ".aac .aif .aiff .au .caf .flac .m4a .mka .mkv .mov .mp3 .mp4 .oga .ogg .opus .w64 .wav .webm"
    " .wma"
    " .npy".split()  # published features, which voicemesh.audio.feature_files reads
)
MADE = frozenset("preview.png image.png overlay.png face.png sf2f.png".split())  # beside a report
PICTURES = frozenset(".bmp .gif .jpeg .jpg .png .tif .tiff .webp".split())  # images.SUFFIXES


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
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    portray_ = commands.add_parser("portray", help="recordings to faces", description=PORTRAY)
    portray_.add_argument("recordings", nargs="+", type=Path, metavar="FILE_OR_FOLDER")
    portray_.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    portray_.add_argument(
        "--together", action="store_true", help="all recordings are of one voice: one face of all"
    )
    add_bundle(portray_)
    portray_.set_defaults(run=portray)

    populate_ = commands.add_parser("populate", help="build a synthetic population")
    populate_.add_argument("folder", type=Path)
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
    publish_.add_argument("run_folder", type=Path, metavar="RUN")
    publish_.add_argument("--data", type=Path, required=True, help="folder of a population")
    publish_.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    publish_.add_argument("--judges", type=Path, help="another population to measure errors on")
    publish_.add_argument("--title", default="", help="shown on the page")
    add_bundle(publish_, "where the face model is taken from", device=False)
    publish_.set_defaults(run=publish)

    evaluate_ = commands.add_parser("evaluate", help="measure a system on people held out")
    evaluate_.add_argument("system", choices=["cmp", "sf2f", "voicestyle", *SPACES])
    evaluate_.add_argument("--data", type=Path, required=True, help="folder of a population")
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
    index_.add_argument("folder", type=Path)
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
    convert_.add_argument("file", type=Path, metavar="FILE_OR_FOLDER")
    convert_.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    convert_.add_argument("--triangles", type=Path, help="of a face model: tri.mat or tri.pkl")
    convert_.add_argument("--landmarks", type=Path, help="of a face model: keypoints_sim.npy")
    convert_.add_argument("--licence", default="", help="under which the file was published")
    convert_.set_defaults(run=convert)
    return whole


PORTRAY = """Read every recording and write its mesh (obj, ply, glb), a picture and a report: into
FOLDER for one file, into a folder of its own inside FOLDER for each of several. Published features
(.npy) and photographs of faces are read too, where the bundle has nets for them."""
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
    "cmp": "voicemesh.training.publish",
    "cmp-features": "voicemesh.training.cmp_features",
    "cmp-teacher": "voicemesh.training.cmp_teacher",
    "cmp-unsupervised": "voicemesh.training.cmp_unsupervised_publish",
    "cmpc": "voicemesh.training.cmpc_publish",
    "identity": "voicemesh.training.identity",
    "sf2f": "voicemesh.training.sf2f_publish",
    "sss": "voicemesh.training.sss_publish",
}
# What puts voices and faces into one space: a module and its class, see `systems.association`.
SPACES = {
    "sss": ("voicemesh.systems.sss", "SeekingTheShapeOfSound"),
    "cmpc": ("voicemesh.systems.cmpc", "Cmpc"),
    "cmpc2": ("voicemesh.systems.cmpc", "Cmpc2"),
}
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


def overridden(recipe: Recipe, pairs: Sequence[str]) -> Recipe:
    """The recipe with `name=value` pairs applied, each read as its field's type.

    Raises:
        ValueError: no such name (the message lists all), or a value of another type.
    """
    kinds = {name: kind for name, kind in get_type_hints(type(recipe)).items()}
    kinds = {entry.name: kinds[entry.name] for entry in fields(recipe)}
    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair!r} is not of the form name=value")
        if name not in kinds:
            raise ValueError(f"{type(recipe).__name__} has no {name!r}; it has {', '.join(kinds)}")
        try:
            changes[name] = converted(text, kinds[name])
        except ValueError as error:
            kind = getattr(kinds[name], "__name__", str(kinds[name]))
            raise ValueError(f"{name} is of type {kind}; {text!r} is not: {error}") from error
    return replace(recipe, **changes)


def converted(text: str, kind: Any) -> Any:
    """Text as a bool, a number, a string, or a tuple of them separated by commas."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return tuple(converted(part, inner) for part in text.strip("()").split(",") if part)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("write true or false")
        return text.lower() == "true"
    return kind(text)


def portray(arguments: argparse.Namespace) -> int:
    """Every recording to its portrait; one that cannot be used does not stop the others."""
    from tqdm import tqdm

    from voicemesh import pipeline
    from voicemesh.audio import recording

    found = targets(arguments.recordings, arguments.out)
    whole = pipeline.load(arguments.bundle, arguments.device)
    if arguments.together:
        several = whole.several([recording.load(path) for path in found])
        several.save(arguments.out)
        print(f"{len(found)} recordings, {several.between:.2f} mm apart -> {arguments.out}")
        return 0
    if whole.reader is None:
        found = without_pictures(found)
    if len(found) > 1:
        whole.warm_up()
    failed = []
    for path, folder in tqdm(found.items(), unit="file", disable=None):
        try:
            portrait = whole.of_file(path)
        except (ValueError, OSError) as error:
            failed.append(f"{path}: {error}")
            continue
        portrait.save(folder)
        tqdm.write(f"{path} -> {folder} ({portrait.sex or 'no sex known'})")
    for line in failed:
        print(line, file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(found)} recordings could not be used", file=sys.stderr)
    return 1 if failed else 0


def without_pictures(found: dict[Path, Path]) -> dict[Path, Path]:
    """The recordings among files, for a bundle that reads no photographs.

    Raises:
        ValueError: there are photographs alone.
    """
    kept = {path: at for path, at in found.items() if path.suffix.lower() not in PICTURES}
    for path in found.keys() - kept.keys():
        log.info("%s is a picture; the bundle has no part that reads photographs: left out", path)
    if not kept:
        raise ValueError("the bundle has no part 'cmp-teacher', which reads photographs")
    return kept


def targets(paths: Sequence[Path], out: Path) -> dict[Path, Path]:
    """The recordings under these paths, each with the folder that its portrait goes to.

    Raises:
        ValueError: a path that is not there, or nothing that looks like a recording.
    """
    found: dict[Path, Path] = {}  # recording -> its name under `out`
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            for file in inside:
                if file.name in MADE and (file.parent / "report.json").exists():
                    continue  # the portrait of an earlier run
                if file.suffix.lower() in AUDIO_SUFFIXES | PICTURES:
                    found[file] = file.relative_to(path).with_suffix("")
                else:
                    log.info("%s is no sound and no picture by its suffix, left out", file)
        elif path.exists():
            found[path] = Path(path.stem)
        else:
            raise ValueError(f"there is no {path}")
    if not found:
        raise ValueError(f"no recordings in {', '.join(map(str, paths))}")
    if len(found) == 1 and not paths[0].is_dir():
        return dict.fromkeys(found, out)
    taken: set[Path] = set()
    for file, name in found.items():
        folder, number = out / name, 2
        while folder in taken:
            folder, number = out / name.with_name(f"{name.name}-{number}"), number + 1
        taken.add(folder)
        found[file] = folder
    return found


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
    from voicemesh.checkpoints.bundle import FACE_MODEL, Bundle, BundleWriter
    from voicemesh.population.dataset import Population

    module = importlib.import_module(PUBLISHED[arguments.system])
    source = Bundle.open(arguments.bundle)
    population = Population.open(arguments.data)
    judges = Population.open(arguments.judges) if arguments.judges else None
    if not arguments.run_folder.is_dir():
        raise ValueError(f"there is no run in {arguments.run_folder}; `train` makes one")
    writer = BundleWriter(arguments.out, arguments.out.name, title=arguments.title or None)
    if FACE_MODEL not in writer.bundle.parts:
        head = source.part(FACE_MODEL)
        writer.face_model(source.face_model(), source=head.source, licence=head.licence)
    print(module.publish(arguments.run_folder, population, source, writer, judges))
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """All figures of a bundle on the people that were held out."""
    if arguments.out and not arguments.out.parent.is_dir():
        raise ValueError(f"there is no folder {arguments.out.parent} to write the figures to")
    if arguments.system in SPACES:
        return evaluate_space(arguments)
    if arguments.system == "voicestyle":
        return evaluate_voicestyle(arguments)
    if arguments.system == "sf2f":
        return evaluate_sf2f(arguments)
    from voicemesh import pipeline
    from voicemesh.evaluation import cmp, geometry, voxceleb3d
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
        print(geometry.table(results))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")
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
    told = arguments.device, arguments.title, arguments.crops
    built = indexing.index(folder, found, arguments.out, bundle, *told)
    left_out = built.manifest["left_out"]
    for file, reason in left_out.items():
        print(f"{file}: {reason}", file=sys.stderr)
    if left_out:
        print(f"{len(left_out)} of {len(found)} files could not be used", file=sys.stderr)
    print(f"{arguments.out}: {len(built)} entries of {built.people} people")
    if arguments.server:
        upload(built, *connected(arguments.server))
    return 1 if left_out else 0


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
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    if arguments.pictures:
        inverter = Inverter.from_bundle(bundle, device)
        written = voicestyle_sheets.write(arguments.pictures, seen, system, inverter)
        print("\n".join(map(str, written)))
    return 0


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
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def gallery(arguments: argparse.Namespace) -> int:
    """The people that a population holds out, with portraits, voices and embeddings."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.indexing.population import showcase
    from voicemesh.population.dataset import Population
    from voicemesh.population.portrait_set import PortraitSet

    guests = []
    if arguments.examples:
        guests = [entry["identity"] for entry in json.loads(arguments.examples.read_text())]
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


def convert(arguments: argparse.Namespace) -> int:
    """A published file or download as parts of a bundle, which is begun or gone on with."""
    from voicemesh.checkpoints import (
        cmpc_files,
        download,
        sf2f_files,
        upstream,
        voicestyle_files,
    )
    from voicemesh.checkpoints.bundle import FACE_MODEL, BundleWriter
    from voicemesh.latent.statistics import Statistics
    from voicemesh.mesh.morphable import MorphableModel

    name, file, title = arguments.name, arguments.file, None
    if not file.exists():
        raise ValueError(f"there is no {file}")
    if name == download.SYSTEM and file.is_dir():
        given = {"triangles": arguments.triangles, "landmarks": arguments.landmarks}
        found, title = download.find(file, given).read(), download.TITLE
    elif name == cmpc_files.SYSTEM and file.is_dir():
        found = cmpc_files.find(file)
    elif name == voicestyle_files.SYSTEM and file.is_dir():
        found, title = voicestyle_files.find(file), voicestyle_files.TITLE
    elif name == sf2f_files.SYSTEM and file.is_dir():
        found, title = sf2f_files.find(file), sf2f_files.TITLE
    elif name == sf2f_files.VOICE2FACE:
        found, title = sf2f_files.find_voice2face(file), sf2f_files.VOICE2FACE_TITLE
    elif name == FACE_MODEL:
        basel = upstream.load_basel(file, arguments.triangles, arguments.landmarks)
        found = {FACE_MODEL: download.Converted(basel, (file,))}
    else:
        names = upstream.SYSTEMS.get(name, (name,))
        found = {name: download.Converted(upstream.load(name, file), (file,)) for name in names}
    if generator := found.get(voicestyle_files.GENERATOR):
        statistics = Statistics.sampled(generator.content).tensors()
        found["stylegan2-statistics"] = download.Converted(statistics, generator.files)
    writer = BundleWriter(arguments.out, arguments.out.name, title=title, largest=None)
    for name, part in found.items():
        about = {"source": part.source, "licence": arguments.licence}
        if isinstance(part.content, MorphableModel):
            writer.face_model(part.content, compact=False, **about)
        elif isinstance(part.content, dict):
            writer.tensors(name, part.content, **about)
        else:
            writer.net(name, part.content, upstream.arguments_of(part.content), **about)
    print(f"{arguments.out}: {', '.join(sorted(writer.bundle.parts))}")
    return 0

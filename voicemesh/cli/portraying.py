"""`portray`: recordings, feature files and photographs to faces."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import Commands, add_bundle, add_command

log = logging.getLogger(__name__)
MADE = frozenset("preview.png image.png overlay.png face.png sf2f.png".split())  # beside a report

PORTRAY = """Read every recording and write its mesh (obj, ply, glb), a picture and a report: into
FOLDER for one file, into a folder of its own inside FOLDER for each of several. Published features
(.npy) and photographs of faces are read too, where the bundle has nets for them."""


def add_commands(commands: Commands) -> None:
    """`portray`."""
    command = add_command(commands, "portray", portray, "recordings to faces", PORTRAY)
    told = "recordings, and folders in which all of them are taken"
    command.add_argument("recordings", nargs="+", type=Path, metavar="FILE_OR_FOLDER", help=told)
    told = "where the portraits go"
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=told)
    told = "all recordings are of one voice: one face of all"
    command.add_argument("--together", action="store_true", help=told)
    add_bundle(command)


def portray(arguments: argparse.Namespace) -> int:
    """Every recording to its portrait; one that cannot be used does not stop the others."""
    from tqdm import tqdm

    from voicemesh import pipeline

    found = targets(arguments.recordings, arguments.out)
    whole = pipeline.load(arguments.bundle, arguments.device)
    if arguments.together:
        several = whole.several(list(found))
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
    from voicemesh.images import SUFFIXES

    kept = {path: at for path, at in found.items() if path.suffix.lower() not in SUFFIXES}
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
    from voicemesh import images
    from voicemesh.audio import decoding, feature_files

    read = decoding.SUFFIXES | images.SUFFIXES | {feature_files.SUFFIX}
    found: dict[Path, Path] = {}  # recording -> its name under `out`
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            for file in inside:
                if file.name in MADE and (file.parent / "report.json").exists():
                    continue  # the portrait of an earlier run
                if file.suffix.lower() in read:
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

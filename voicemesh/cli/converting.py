"""`convert`: published files into bundles."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_command

if TYPE_CHECKING:
    from voicemesh.checkpoints.published_files import Converted

CONVERT = """A published file as parts of a bundle, which is begun or gone on with. `convert cmp
FOLDER` takes the whole unzipped download of Cross-Modal Perceptionist: networks, face model,
reference faces."""


def add_commands(commands: Commands) -> None:
    """`convert`."""
    told = "published weights into a bundle"
    command = add_command(commands, "convert", convert, told, CONVERT)
    command.add_argument("name", help="the published system or network; head: a 3DMM")
    told = "as it was published, or the unzipped download"
    command.add_argument("file", type=Path, metavar="FILE_OR_FOLDER", help=told)
    command.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    command.add_argument("--triangles", type=Path, help="of a face model: tri.mat or tri.pkl")
    command.add_argument("--landmarks", type=Path, help="of a face model: keypoints_sim.npy")
    command.add_argument("--licence", default="", help="under which the file was published")


def convert(arguments: argparse.Namespace) -> int:
    """A published file or download as parts of a bundle, which is begun or gone on with."""
    from voicemesh.checkpoints.bundle import BundleWriter
    from voicemesh.checkpoints.parts import STYLEGAN2_GENERATOR, STYLEGAN2_STATISTICS
    from voicemesh.checkpoints.upstream import arguments_of
    from voicemesh.latent.statistics import Statistics
    from voicemesh.mesh.morphable import MorphableModel
    from voicemesh.systems import outdated, voicestyle_parts

    found, title = published(arguments)
    if generator := found.get(STYLEGAN2_GENERATOR):
        statistics = Statistics.sampled(generator.content).tensors()
        found[STYLEGAN2_STATISTICS] = replace(generator, content=statistics)
    writer = BundleWriter(arguments.out, arguments.out.name, title=title, largest=None)
    before = outdated.digests(writer)
    for name, part in found.items():
        about = {"source": part.source, "licence": arguments.licence}
        if isinstance(part.content, MorphableModel):
            writer.face_model(part.content, compact=False, **about)
        elif isinstance(part.content, dict):
            writer.tensors(name, part.content, **about)
        else:
            writer.net(name, part.content, arguments_of(part.content), **about)
    outdated.retire(writer, before)
    voicestyle_parts.add_samples(writer, found)
    print(f"{arguments.out}: {', '.join(sorted(writer.bundle.parts))}")
    return 0


def published(arguments: argparse.Namespace) -> tuple[dict[str, "Converted"], str | None]:
    """The parts that a published file or download becomes, and the title of their bundle.

    Raises:
        ValueError: it is not there, nobody published anything of this name, or it is not that.
    """
    from voicemesh.checkpoints import (
        basel_files,
        cmp_files,
        cmpc_files,
        sf2f_files,
        upstream,
        voicestyle_files,
    )
    from voicemesh.checkpoints.parts import FACE_MODEL
    from voicemesh.checkpoints.published_files import Converted

    name, file = arguments.name, arguments.file
    if not file.exists():
        raise ValueError(f"there is no {file}")
    if (arguments.triangles or arguments.landmarks) and name not in (FACE_MODEL, cmp_files.SYSTEM):
        raise ValueError(f"--triangles and --landmarks are of a face model; {name} has none")
    if name == sf2f_files.VOICE2FACE:
        return sf2f_files.find_voice2face(file), sf2f_files.VOICE2FACE_TITLE
    if name == FACE_MODEL:
        basel = basel_files.load_basel(file, arguments.triangles, arguments.landmarks)
        return {FACE_MODEL: Converted(basel, (file,))}, None
    if file.is_dir():
        if name == cmp_files.SYSTEM:
            given = {"triangles": arguments.triangles, "landmarks": arguments.landmarks}
            return cmp_files.find(file, given).read(), cmp_files.TITLE
        if name == cmpc_files.SYSTEM:
            return cmpc_files.find(file), None
        if name == voicestyle_files.SYSTEM:
            return voicestyle_files.find(file), voicestyle_files.TITLE
        if name == sf2f_files.SYSTEM:
            return sf2f_files.find(file), sf2f_files.TITLE
    names = upstream.SYSTEMS.get(name, (name,))
    return {name: Converted(upstream.load(name, file), (file,)) for name in names}, None

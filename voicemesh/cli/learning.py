"""`train`, `publish`, `convert`: nets into runs, runs and published files into bundles."""

import argparse
import importlib
import json

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


def convert(arguments: argparse.Namespace) -> int:
    """A published file or download as parts of a bundle, which is begun or gone on with."""
    from voicemesh.checkpoints import (
        basel_files,
        cmp_files,
        cmpc_files,
        sf2f_files,
        upstream,
        voicestyle_files,
    )
    from voicemesh.checkpoints.bundle import FACE_MODEL, BundleWriter
    from voicemesh.checkpoints.published_files import Converted
    from voicemesh.latent.statistics import Statistics
    from voicemesh.mesh.morphable import MorphableModel
    from voicemesh.systems import voicestyle_parts

    name, file, title = arguments.name, arguments.file, None
    if not file.exists():
        raise ValueError(f"there is no {file}")
    if name == cmp_files.SYSTEM and file.is_dir():
        given = {"triangles": arguments.triangles, "landmarks": arguments.landmarks}
        found, title = cmp_files.find(file, given).read(), cmp_files.TITLE
    elif name == cmpc_files.SYSTEM and file.is_dir():
        found = cmpc_files.find(file)
    elif name == voicestyle_files.SYSTEM and file.is_dir():
        found, title = voicestyle_files.find(file), voicestyle_files.TITLE
    elif name == sf2f_files.SYSTEM and file.is_dir():
        found, title = sf2f_files.find(file), sf2f_files.TITLE
    elif name == sf2f_files.VOICE2FACE:
        found, title = sf2f_files.find_voice2face(file), sf2f_files.VOICE2FACE_TITLE
    elif name == FACE_MODEL:
        basel = basel_files.load_basel(file, arguments.triangles, arguments.landmarks)
        found = {FACE_MODEL: Converted(basel, (file,))}
    else:
        names = upstream.SYSTEMS.get(name, (name,))
        found = {name: Converted(upstream.load(name, file), (file,)) for name in names}
    if generator := found.get(voicestyle_files.GENERATOR):
        statistics = Statistics.sampled(generator.content).tensors()
        found["stylegan2-statistics"] = Converted(statistics, generator.files)
    writer = BundleWriter(arguments.out, arguments.out.name, title=title, largest=None)
    voicestyle_parts.replace_worthless(writer, found)
    for name, part in found.items():
        about = {"source": part.source, "licence": arguments.licence}
        if isinstance(part.content, MorphableModel):
            writer.face_model(part.content, compact=False, **about)
        elif isinstance(part.content, dict):
            writer.tensors(name, part.content, **about)
        else:
            writer.net(name, part.content, upstream.arguments_of(part.content), **about)
    voicestyle_parts.add_samples(writer, found)
    print(f"{arguments.out}: {', '.join(sorted(writer.bundle.parts))}")
    return 0

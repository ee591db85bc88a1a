"""A run of SF2F as the part of a bundle, measured on people held out."""

from dataclasses import asdict
from pathlib import Path

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import SF2F_GENERATOR
from voicemesh.checkpoints.store import fill
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.evaluation import sf2f as evaluation
from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.nets.sf2f import SpeechFusionToFace
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.sf2f import FRONT_END_OF_CHANNELS, SpeechToFace

from .runs import best_of, origin, recipe_of, steps_of
from .sf2f_nets import Sf2fRecipe, generator_of


def trained(run: Path) -> tuple[SpeechFusionToFace, Sf2fRecipe]:
    """The generator that a run keeps, and the recipe that made it.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    recipe = recipe_of(run, Sf2fRecipe)
    net = generator_of(recipe, FRONT_ENDS[recipe.front_end].channels)
    fill(net, best_of(run, "generator"), str(run))
    return net, recipe


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the generator of a run as a part of a bundle; return the figures.

    Faces are compared on the held-out people of `judges`, or of the population itself, by the
    face network of `source`.
    """
    net, recipe = trained(run)
    net.half().float()  # as it is stored, so that all figures are the bundle's
    judging = judges or population
    channels = {name: channels for channels, name in FRONT_END_OF_CHANNELS.items()}
    if recipe.front_end not in channels:
        raise ValueError(
            f"A bundle tells the front end by its channels; {recipe.front_end!r} is not one of"
            f" {', '.join(channels)}"
        )
    system = SpeechToFace(FRONT_ENDS[recipe.front_end], net)
    results = evaluation.evaluate(system, judging, portraits_of(judging), source)
    seen = PortraitSet.open(population.folder / f"portraits-{recipe.size}", partial=True)
    people = sum(len(set(shard.identity.tolist())) for shard in seen.shards("train"))
    told = asdict(recipe) | {key: Path(getattr(recipe, key)).name for key in ("start", "facenet")}
    writer.net(
        SF2F_GENERATOR,
        net,
        arguments_of(net),
        half=True,
        results={"recipe": told, **results},
        **origin(
            "sf2f",
            f"voices and portraits of {people} synthetic people, stage {recipe.stage},"
            f" {steps_of(run)} steps; no recording or photograph of a person",
        ),
    )
    return evaluation.table(results)

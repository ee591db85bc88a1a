"""From a run of CMPC to parts of a bundle: both nets, prototypes of faces, measured results."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.eight_bits import round_to
from voicemesh.checkpoints.parts import CMPC_FACE, CMPC_PROTOTYPES, CMPC_VOICE
from voicemesh.evaluation.voice_faces import brief, embed, measured, portraits_of, report
from voicemesh.population.dataset import Population
from voicemesh.systems.association import FACES, VOICES
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.cmpc_prototypes import Prototypes

from .cmpc_coded import backbones_of
from .cmpc_nets import CmpcRecipe, encoders
from .loop import read_metrics
from .prototypes import clusters_of
from .runs import best_of, origin, recipe_of
from .sss_population import kept_faces
from .sss_publish import face_arguments, voice_arguments

LEVELS = (64, 128, 256)
MEMBERS = 2  # pictures of each person that are kept
ROUNDS = 30


def trained(run: Path) -> tuple[Cmpc, CmpcRecipe]:
    """The nets of a run's best.safetensors, as a system, and the recipe that made them.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    recipe = recipe_of(run, CmpcRecipe)
    nets = encoders(recipe)
    for name, net in zip(("voice", "face"), nets, strict=True):
        net.load_state_dict(best_of(run, name))
        round_to(net)  # as it is stored, so that all figures are the bundle's
    return Cmpc(*nets), recipe


def arguments_of(recipe: CmpcRecipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """What builds the small voice net and the small face net of a recipe."""
    if recipe.coded:
        own = replace(backbones_of(recipe), features=recipe.features, embedding=recipe.embedding)
        return voice_arguments(own), face_arguments(own)
    return {
        "front_end": recipe.front_end,
        "channels": encoders(recipe)[0].trunk[0].in_channels,
        "widths": list(recipe.voice_widths),
        "embedding": recipe.embedding,
    }, {
        "side": recipe.side,
        "blocks": list(recipe.blocks),
        "widths": list(recipe.widths),
        "grid": recipe.grid,
        "embedding": recipe.embedding,
    }


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the nets of a run and prototypes of the training people; the table of their figures.

    Measured on the people held out of `judges`, or of the population itself.

    Raises:
        ValueError: a run of the published sizes, which no bundle could carry.
    """
    space, recipe = trained(run)
    if not isinstance(space.voice, VOICES) or not isinstance(space.face, FACES):
        raise ValueError(f"{run} is not of the small nets that are published in a bundle")
    judges = judges or population
    embedded = embed(space, judges, portraits_of(judges))
    people = judges.people.take(embedded.who)
    results = measured(embedded, people, judges.recipe.coupling)
    prototypes = faces_of(space, run, recipe, population)
    if recipe.long_videos:  # one of each person
        people = len(best_of(run)["voice_bank"])
    else:
        people = len(prototypes.person.unique()) - recipe.held_out
    about = origin("cmpc", told(run, recipe, people))
    whole = {
        **brief(results),
        "recipe": asdict(recipe)
        | {name: Path(getattr(recipe, name)).name for name in ("start", "backbones")}
        | {"more": [Path(folder).name for folder in recipe.more]},
    }
    voice, face = arguments_of(recipe)
    writer.net(CMPC_VOICE, space.voice, voice, eight_bits=True, results=whole, **about)
    short = {"measured": "see cmpc-voice-encoder"}
    writer.net(CMPC_FACE, space.face, face, eight_bits=True, results=short, **about)
    heard = torch.from_numpy(embedded.voices[1].embeddings)
    # What all voices have in common, and all faces: without it one can stand for the other.
    means = {"voice_mean": heard.mean(0), "face_mean": prototypes.faces.mean(0)}
    writer.tensors(CMPC_PROTOTYPES, prototypes.tensors() | means, **about)
    return report(results, "cmpc", judges.folder.name)


def told(run: Path, recipe: CmpcRecipe, people: int) -> str:
    """In words: what it was trained on, and what of it knew labels."""
    steps, begun = f"{best_step(run)} steps", ""
    if recipe.start:
        begun = (
            "; the trunk of the voice net was begun with an encoder that had learnt the habits of"
            " voices with labels"
        )
    if recipe.coded:
        begun = (
            "; the backbones of both nets had learnt, with labels, the habits of voices and what"
            " faces tell of them, and were left as they were: the heads on them are CMPC's"
        )
    if not bool(best_of(run)["clustered"]):
        steps += " of instance contrast alone (the best nets were kept before the first clustering)"
    return (
        f"voices and portraits of {people} synthetic people of the population's law, without"
        f" labels, {steps}{begun}; no recording and no picture of a person"
    )


def best_step(run: Path) -> int:
    """After how many steps the net of best.safetensors was kept."""
    name = "validation/selection"
    lines = [line for line in read_metrics(run / "metrics.jsonl") if name in line]
    return int(min(lines, key=lambda line: line[name])["step"])


def faces_of(space: Cmpc, run: Path, recipe: CmpcRecipe, population: Population) -> Prototypes:
    """Clusters of the faces of the people trained on, some pictures of each."""
    embed_ = coded_faces if recipe.coded else seen_faces
    faces, person, picture = embed_(space, run, recipe, population)
    levels = [
        clusters_of(faces, count, ROUNDS, published=False)[0]
        for count in LEVELS
        if count <= len(faces)
    ]
    return Prototypes(
        tuple(functional.normalize(level.centroids) for level in levels),
        tuple(level.assignment for level in levels),
        torch.from_numpy(person),
        torch.from_numpy(picture),
        faces=faces,
    )


Faces = tuple[
    Float[Tensor, "pictures embedding"],
    Int64[np.ndarray, " pictures"],  # whose
    Int64[np.ndarray, " pictures"],  # which of the person's
]


def coded_faces(space: Cmpc, run: Path, recipe: CmpcRecipe, population: Population) -> Faces:
    """From the codes that the run kept, each picture without its mirror image."""
    backbone = encoders(recipe)[1].model  # as it was trained: by it the codes are found again
    backbone.load_state_dict(best_of(run, "face.model"))
    portraits = portraits_of(population).gathered("train")
    codes = kept_faces(population, portraits, backbone.eval(), backbones_of(recipe))[0]
    kept = np.flatnonzero(portraits.picture < MEMBERS)
    with torch.no_grad():
        faces = functional.normalize(space.face.of_code(torch.from_numpy(codes[kept])))
    return faces, portraits.identity[kept], portraits.picture[kept]


def seen_faces(space: Cmpc, run: Path, recipe: CmpcRecipe, population: Population) -> Faces:
    """From the portraits themselves."""
    units, person, picture = [], [], []
    for shard in portraits_of(population).shards("train"):
        kept = np.flatnonzero(shard.picture < MEMBERS)
        units.append(pictures_of(space, shard.pixels[kept]))
        person.append(shard.identity[kept])
        picture.append(shard.picture[kept])
    return torch.cat(units), np.concatenate(person), np.concatenate(picture)


def pictures_of(
    space: Cmpc, pixels: UInt8[np.ndarray, "pictures side side 3"]
) -> Float[Tensor, "pictures embedding"]:
    """Unit embeddings of pictures, out of inference mode."""
    return space.embed_faces(list(pixels)).clone().cpu()

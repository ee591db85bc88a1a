"""Portraits of further people, who have no voices: a generator of pictures needs none."""

from pathlib import Path

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.dataset import Population
from voicemesh.population.law import draw
from voicemesh.population.portrait_set import PortraitRecipe, PortraitSet, build
from voicemesh.population.recipe import PopulationRecipe

SEED = 10_000  # added to a recipe's, so that they are nobody of a population


def drawn(
    folder: Path, count: int, size: int, face_model: MorphableModel, seed: int, workers: int = 1
) -> PortraitSet:
    """One neutral portrait of each of `count` people, taken or finished in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = PopulationRecipe(identities=count, seed=SEED + seed)
    people = Population(folder, recipe, draw(count, recipe.seed))
    return build(people, face_model, PortraitRecipe(1, size, splits=("train",), workers=workers))

"""`train sss`: which recipe on which data."""

from pathlib import Path

import torch

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation.sss_lists import is_layout
from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.nets.sss import IdentityState
from voicemesh.population.dataset import Population

from .data import grouped
from .face_views import Views
from .faces import shrunk
from .sss_data import Pictures, Sitters, Waveforms, recordings_of
from .sss_population import held_out, train_on_population
from .sss_published import published_nets, train_on_published
from .sss_recipe import RECIPES as RECIPES
from .sss_recipe import SssRecipe
from .sss_task import SssNets, in_three_steps, judged_by


def start(
    data: Path,
    run: Path,
    recipe: SssRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the authors' data or on a population in `data`; call again to go on.

    Small nets begin with the voice encoder of `bundle`. `workers` processes compute features,
    once. Returns the best validation so far.
    """
    if is_layout(data):
        return train_on_published(data, run, recipe, minutes)
    population = Population.open(data)
    if recipe.small:
        return train_on_population(population, run, recipe, bundle, minutes, workers)
    learnt, judged = published_sitters(population, recipe)

    def fresh(state: IdentityState, adjusts: bool) -> SssNets:
        return published_nets(recipe, state, adjusts)

    return in_three_steps(run, recipe, fresh, learnt, judged_by(judged), minutes)


def published_sitters(population: Population, recipe: SssRecipe) -> tuple[Sitters, Sitters]:
    """A population as nets of the published layout read it: those to learn from, and judges."""
    portraits = portraits_of(population).gathered("train")
    waveforms, rows = recordings_of(population, "train")
    pixels = torch.from_numpy(shrunk(portraits.pixels, recipe.side))
    shown = set(portraits.identity.tolist())
    judges = set(held_out(population).tolist())
    groups = (
        [p for p in population.train if p in shown and (p in judges) == judging]
        for judging in (False, True)
    )
    learnt, judged = (
        Sitters(
            Waveforms(waveforms, [rows[p] for p in some], recipe.shortest_cut, recipe.longest_cut),
            Pictures(
                pixels,
                grouped(portraits.identity, population.train[some]),
                Views().scaled(recipe.views),
                bgr=True,
            ),
            population.people.mode[some],
        )
        for some in groups
    )
    return learnt, judged

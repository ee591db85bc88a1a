"""Adversarial StyleGAN2: recipes and the loop; its two players are told beside it."""

import json
import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.store import fill
from voicemesh.images import MIDDLE
from voicemesh.nets.stylegan2 import SILENT, Generator
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet, PortraitShard

from . import portraits_recipe
from . import stylegan2_portraits as portraits
from .loop import Journal, LoopSettings, claim, read_metrics, seed_step
from .pictures import Pictures
from .portrait_law import LAW, ParameterLaw, chosen, drawn_z, joined, parameters_of
from .runs import recipe_of
from .sheets import save_sheet
from .stylegan2_anchored import AnchoredPlayers
from .stylegan2_players import NET, Players, StyleGan2Recipe, generator_of
from .voicestyle import BESIDE, BesideRecipe, publish_generator

log = logging.getLogger(__name__)
SHEET = 64  # samples
FLOW = 1000  # pictures that the ways of hair are read off
LOOK = 250  # steps from sheet to sheet of an anchored run


NEUTRAL = StyleGan2Recipe(
    size=128,
    base=2048,
    cap=128,
    style=256,
    depth=4,
    mapping_rate=0.5,
    noise=False,
    steps=4950,
    batch_size=8,
    learning_rate=2e-3,
    critic_rate=7e-4,
    r1=0.0,
    half_life=500.0,
    ramp=0.1,
    flips=False,
    regression=4500,
    people=3000,
    anchor=10.0,
    texture=5.0,
    colour=20.0,
    faces=4.0,
    adversarial=0.2,
    loose=0.125,
    growing=0.15,
    cooling=0.12,
    half=True,
    neutral=True,
)
# Any pose, light and expression, with the layers of a generator of heads at rest.
VARIED = replace(
    NEUTRAL,
    neutral=False,
    before="neutral",
    regression=2000,
    steps=4150,
    critic_rate=2e-3,
    anchor=6.0,
    adversarial=0.5,
    critic_scales=3,
    loose=0.25,
    growing=0.215,
    cooling=0.2,
    settling=0.06,
)
# Strands, and hair as it was asked for: wider layers, noise that flows, a critic that is told.
BUNDLE = replace(
    VARIED,
    before="",
    earlier="varied",
    base=4096,
    maps=True,
    told=True,
    hair=0.15,
    texture=2.0,
    colour=12.0,
    adversarial=1.0,
    growing=0.0,
    steps=3800,
    cooling=0.35,
    settling=0.0,
    half_life=3000.0,
    ramp=0.3,
    r1=2e-5,
    critic_rate=1.5e-3,
)
RECIPES = {
    "published": StyleGan2Recipe(),
    "bundle": BUNDLE,
    "varied": VARIED,
    "neutral": NEUTRAL,
}


def start(
    data: Path,
    run: Path,
    recipe: StyleGan2Recipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on a population's portraits or a folder of photographs; call again to go on.

    The folder holds the averaged generator and sheets of its samples. Returns the last measures.
    An anchored recipe (`bundle`) begins with the regression of `stylegan2-portraits`, that one
    with the layers of the recipe `before`; one with an `earlier` recipe goes on with that run.
    Either is run first, in a folder of its name.
    """
    if recipe.anchor:
        started, first = time.monotonic(), recipe.earlier or recipe.before
        if first and not recipe.start:
            told = start(data, run / first, RECIPES[first], bundle, minutes, workers)
            if time.monotonic() - started > 60 * minutes:
                return told
        if recipe.earlier and not recipe.start:
            recipe = going_on(recipe, run / recipe.earlier)
        left = minutes - (time.monotonic() - started) / 60
        recipe, pictures = anchored(data, run, recipe, bundle, left, workers)
        minutes -= (time.monotonic() - started) / 60
        if minutes <= 0:
            return {}
    else:
        pictures = Pictures.open(data, recipe.size, recipe.neutral)
    every = LOOK if recipe.anchor else LoopSettings.validate_every
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes, validate_every=every)
    return play(pictures, run, recipe, settings)


def going_on(recipe: StyleGan2Recipe, earlier: Path) -> StyleGan2Recipe:
    """The recipe with the run that it goes on with, and where that one started from."""
    if not (earlier / NET).exists():
        raise ValueError(f"{earlier} holds no {NET}; train that recipe until a state is written")
    told = json.loads((earlier / "recipe.json").read_text())["recipe"]
    return replace(recipe, after=str(earlier), start=told["start"])


def anchored(
    data: Path, run: Path, recipe: StyleGan2Recipe, bundle: Bundle, minutes: float, workers: int
) -> tuple[StyleGan2Recipe, Pictures]:
    """The recipe and portraits of an anchored run, after the regression that it starts from.

    Without a run to start from, that is done first, in `portraits` inside the folder of the run.
    """
    if not recipe.start:
        layers = str(run / recipe.before) if recipe.before else ""
        recipe = replace(recipe, start=str(run / "portraits"))
        shared = ("size", "base", "cap", "style", "depth", "mapping_rate", "half", "seed")
        same = {name: getattr(recipe, name) for name in shared}
        same |= {"steps": recipe.regression, "people": recipe.people, "layers": layers}
        first = portraits_recipe.NEUTRAL if recipe.neutral else portraits_recipe.BUNDLE
        sizes = tuple(size * recipe.size // first.size for size in first.sizes)
        first = replace(first, **same, sizes=sizes)
        portraits.start(data, Path(recipe.start), first, bundle, minutes, workers)
    first = Path(recipe.start)
    law = ParameterLaw.read(first / LAW)
    regression = recipe_of(first, portraits_recipe.PortraitsRecipe)
    everybody = replace(regression, more=(*regression.more, *recipe.more))
    sets = portraits.sources(data, first, everybody, bundle, workers)
    shard = joined([chosen(one, "train", regression.neutral) for one in sets])
    z = drawn_z(law, shard, regression.draws, recipe.seed)
    neutral, head = shard.picture == 0, law.sitting_from
    return recipe, Pictures(recipe.size, shard.pixels, (), z, head, neutral, regression.resting)


def play(
    pictures: Pictures, run: Path, recipe: StyleGan2Recipe, settings: LoopSettings
) -> dict[str, float]:
    """The loop: iterate, write down, show, save."""
    accelerator = Accelerator()
    main = accelerator.is_main_process
    if main:
        run.mkdir(parents=True, exist_ok=True)
        claim(run, recipe, settings)
    accelerator.wait_for_everyone()
    players = (AnchoredPlayers if recipe.anchor else Players)(recipe, accelerator)
    step = players.resume(run)
    if recipe.maps and not step:
        assert isinstance(players, AnchoredPlayers)
        players.begin_maps(pictures.draw(FLOW, np.random.default_rng(settings.seed)))
    journal = Journal(run / "metrics.jsonl", step) if main else None
    started, told = time.monotonic(), {}
    bar = tqdm(total=settings.steps, initial=step, unit="step", disable=not main or None)
    while step < settings.steps:
        rng = seed_step(settings.seed, step, accelerator.process_index)
        if recipe.anchor:
            loose = round(recipe.loose * recipe.batch_size)
            drawn = pictures.draw_known(recipe.batch_size, rng, recipe.style, loose)
        else:
            drawn = (pictures.draw(recipe.batch_size, rng, recipe.flips),)
        told |= players.iterate(step, *(part.to(accelerator.device) for part in drawn))
        step += 1
        bar.update()
        if step % settings.log_every and step < settings.steps:
            continue
        if journal:
            journal.write({"step": step, **told})
        if time.monotonic() - started > 60 * settings.minutes:
            accelerator.set_trigger()  # one process's clock stops all
        late = accelerator.check_trigger()
        if late or step % settings.validate_every == 0 or step == settings.steps:
            if main:
                stored = recipe.noise or bool(recipe.anchor)
                true = pictures.draw(SHEET, np.random.default_rng(settings.seed))
                show(players.average, run / f"samples-{step:06d}.jpg", stored, true)
            players.save(run, step)
        if late:
            log.info("stopped at step %d of %d; run again to go on", step, settings.steps)
            break
    bar.close()
    return told


@torch.no_grad()
def show(
    generator: Generator, path: Path, noise: bool, true: Float[Tensor, "64 3 size size"]
) -> None:
    """A sheet of samples, of the same z every time, and on its right of true pictures."""
    z = torch.randn(SHEET, generator.features, generator=torch.Generator().manual_seed(0))
    parts = z.to(generator.input.input.device).split(8)
    maps = generator.stored_noise() if noise else SILENT
    samples = [generator(generator.mapping(z), maps).cpu() for z in parts]
    rows = [side for pair in zip(samples, true.split(8), strict=True) for side in pair]
    save_sheet(path, torch.cat(rows), 16)


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
    beside: BesideRecipe = BESIDE,
) -> str:
    """Write the averaged generator of a run, and what `stylegan2-portraits` writes beside it."""
    recipe = json.loads((run / "recipe.json").read_text())["recipe"]
    generator = fill(generator_of(recipe), load_file(run / NET), str(run / NET))
    assert isinstance(generator, Generator)
    law = ParameterLaw.read(Path(recipe["start"]) / LAW) if recipe["start"] else None
    results = {"step": read_metrics(run / "metrics.jsonl")[-1]["step"]}
    if law is not None:
        folder = population.folder / f"portraits-{generator.size}"
        shard = chosen(PortraitSet.open(folder, partial=True), "validation", True)
        results["mean absolute error of a pixel"] = pixel_error(generator, law, shard)
    what = (generator, law, results, population, source, writer)
    return publish_generator(*what, beside.start(), beside.encoder())


@torch.no_grad()
def pixel_error(generator: Generator, law: ParameterLaw, shard: PortraitShard) -> float:
    """Mean absolute difference to portraits, by their parameters alone; black and white are 1."""
    z, total = torch.from_numpy(law.z(parameters_of(shard))), 0.0
    for row, values in enumerate(z):
        whole = functional.pad(values[None], (0, generator.features - len(values)))
        image = generator(generator.style[1:](whole)).clamp(-1, 1)[0].permute(1, 2, 0)
        true = torch.from_numpy(shard.pixels[row]).float() / MIDDLE - 1
        total += float((image - true).abs().mean()) / 2 / len(z)
    return total

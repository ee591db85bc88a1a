"""Adversarial StyleGAN2: recipes and the loop; its two players are told beside it."""

import json
import logging
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from tqdm import tqdm

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.store import fill
from voicemesh.nets.stylegan2 import SILENT, Generator
from voicemesh.population.dataset import Population

from .loop import Journal, LoopSettings, claim, read_metrics, seed_step
from .pictures import Pictures
from .portrait_law import LAW, ParameterLaw
from .sheets import save_sheet
from .stylegan2_players import NET, Players, StyleGan2Recipe, generator_of
from .voicestyle import publish_generator

log = logging.getLogger(__name__)
SHEET = 64  # samples


BUNDLE = StyleGan2Recipe(
    size=128,
    base=2048,
    cap=128,
    style=256,
    depth=4,
    mapping_rate=0.5,
    noise=False,
    steps=2000,
    batch_size=8,
    learning_rate=5e-4,
    critic_rate=2e-3,
    mixing=0.0,
    r1=1.0,
    path_every=0,
    half_life=500.0,
    ramp=0.05,
    flips=False,
    anchor=5.0,
    neutral=True,
)
RECIPES = {"published": StyleGan2Recipe(), "bundle": BUNDLE}


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
    """
    law = ParameterLaw.read(Path(recipe.start) / LAW) if recipe.anchor else None
    pictures = Pictures.open(data, recipe.size, recipe.neutral, law)
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes)
    return play(pictures, run, recipe, settings)


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
    players = Players(recipe, accelerator)
    step = players.resume(run)
    journal = Journal(run / "metrics.jsonl", step) if main else None
    started, told = time.monotonic(), {}
    bar = tqdm(total=settings.steps, initial=step, unit="step", disable=not main or None)
    while step < settings.steps:
        rng = seed_step(settings.seed, step, accelerator.process_index)
        if recipe.anchor:
            drawn = pictures.draw_known(recipe.batch_size, rng, recipe.style)
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
                show(players.average, run / f"samples-{step:06d}.jpg", recipe.noise)
            players.save(run, step)
        if late:
            log.info("stopped at step %d of %d; run again to go on", step, settings.steps)
            break
    bar.close()
    return told


@torch.no_grad()
def show(generator: Generator, path: Path, noise: bool) -> None:
    """A sheet of samples, of the same z every time."""
    z = torch.randn(SHEET, generator.features, generator=torch.Generator().manual_seed(0))
    parts = z.to(generator.input.input.device).split(8)
    maps = generator.stored_noise() if noise else SILENT
    save_sheet(path, torch.cat([generator(generator.mapping(z), maps).cpu() for z in parts]))


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the averaged generator of a run, and what `stylegan2-portraits` writes beside it."""
    recipe = json.loads((run / "recipe.json").read_text())["recipe"]
    generator = fill(generator_of(recipe), load_file(run / NET), str(run / NET))
    assert isinstance(generator, Generator)
    law = ParameterLaw.read(Path(recipe["start"]) / LAW) if recipe["start"] else None
    last = read_metrics(run / "metrics.jsonl")[-1]
    results = {name: last[name] for name in ("step", "anchor") if name in last}
    return publish_generator(generator, law, results, population, source, writer)

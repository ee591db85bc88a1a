"""A StyleGAN2 generator by regression: the parameters of rendered portraits to their pixels.

Every rendered portrait is made of known numbers. Whitened, they are the generator's z, so what
comes out is an ordinary StyleGAN2 whose Gaussian z follows the population, and which adversarial
training can go on with. Its mapping is learnt first, alone. The net's own noise maps stay as they
are: images are a function of w, and the maps are what fine strands grow from.
"""

import logging
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.latent.losses import face_weight, pyramid_differences, texture_differences
from voicemesh.nets.stylegan2 import Generator, narrow_widths
from voicemesh.nets.stylegan2_half import half_images, mapped
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.whole_files import aside

from .loop import Batch, LoopSettings, mean_losses, read_metrics, train
from .portrait_law import (
    LAW,
    ParameterLaw,
    chosen,
    drawn_z,
    joined,
    mixed_rows,
    parameters_of,
)
from .portrait_people import drawn
from .portraits_recipe import RECIPES as RECIPES
from .portraits_recipe import PortraitsRecipe, rate_share
from .runs import best_of, recipe_of
from .sheets import save_sheet
from .stylegan2_losses import average
from .stylegan2_mapping import MappingRecipe, fit_mapping
from .stylegan2_transfer import begin_with
from .voicestyle import BESIDE, BesideRecipe, publish_generator

log = logging.getLogger(__name__)
MAPPING = "mapping.safetensors"  # what was learnt first
VALIDATION_BATCH = 32
SHEET = 32  # portraits on a sheet, each beside its own picture


class PortraitNet(nn.Module):
    """The generator and its losses."""

    def __init__(self, recipe: PortraitsRecipe, parameters: int) -> None:
        super().__init__()
        if parameters > recipe.style:
            raise ValueError(
                f"A portrait has {parameters} parameters, z only {recipe.style}; choose a wider"
                " style"
            )
        widths = narrow_widths(recipe.size, recipe.base, recipe.cap)
        self.generator = Generator(widths, recipe.style, recipe.depth, recipe.mapping_rate)
        self.recipe = recipe
        with torch.no_grad():  # the rest of z means nothing; what is left makes up for it
            self.generator.style[1].weight[:, parameters:] = 0
            self.generator.style[1].weight *= (recipe.style / parameters) ** 0.5
            for name, value in self.generator.named_parameters():
                if name.endswith("modulation.weight"):
                    value *= recipe.modulation
        if recipe.kept:
            self.average = deepcopy(self.generator).requires_grad_(False)

    @property
    def result(self) -> Generator:
        """What training made: the average, where one is kept."""
        return self.average if self.recipe.kept else self.generator

    def images(
        self, z: Float[Tensor, "batch parameters"], size: int | None = None
    ) -> Float[Tensor, "batch 3 size size"]:
        """Portraits of whitened parameters.

        The mapping's normalisation brings a Gaussian z to the length sqrt(style), which it has
        already but for a few per cent; a z without its meaningless rest must not go through it.
        """
        generator = self.generator if self.training else self.result
        padded = functional.pad(z, (0, generator.features - z.shape[1]))
        if self.training and self.recipe.half:
            return half_images(generator, mapped(generator.style, padded), size)
        return generator(generator.style[1:](padded), size=size)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their sum."""
        if self.training and self.recipe.kept:
            average(self.average, self.generator, self.recipe.kept)
        target = batch["pixels"].permute(0, 3, 1, 2).float() / 127.5 - 1
        image = self.images(batch["z"], target.shape[2])
        weight = face_weight(target.shape[2], self.recipe.faces).to(target.device)
        plain = ((image - target).abs() * weight).mean()
        edges = pyramid_differences(image, target, weight=weight).mean()
        # Parameters that only larger images use take part with nothing, for every process alike.
        idle = sum(p.sum() for p in self.generator.parameters()) * 0.0
        told = {"loss": plain + self.recipe.edges * edges + idle, "plain": plain, "edges": edges}
        if self.recipe.texture and target.shape[2] == self.recipe.size:
            told["texture"] = texture_differences(image, target, weight=weight).mean()
            told["loss"] = told["loss"] + self.recipe.texture * told["texture"]
        return told


class PortraitsTask:
    """Portraits in memory and the net: what the loop needs to train."""

    def __init__(
        self,
        recipe: PortraitsRecipe,
        portraits: Sequence[PortraitSet],
        law: ParameterLaw,
        run: Path,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.run = recipe, run
        self.net: nn.Module = PortraitNet(recipe, law.size)
        if recipe.start:
            self.net.load_state_dict(best_of(Path(recipe.start)))
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=recipe.learning_rate)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: rate_share(step / recipe.steps, recipe)
        )
        parts = [chosen(one, "train", recipe.neutral) for one in portraits]
        shards = {
            "train": joined(parts),
            "validation": chosen(portraits[0], "validation", recipe.neutral),
        }
        self._neutral = shards["train"].picture == 0
        self._pixels = {split: shard.pixels for split, shard in shards.items()}
        self._z = {
            "train": drawn_z(law, shards["train"], recipe.draws, recipe.seed),
            "validation": law.z(parameters_of(shards["validation"]))[None],
        }
        if recipe.mapping:
            self._map()
        if recipe.layers:
            net = self.net
            assert isinstance(net, PortraitNet)
            values = parameters_of(shards["train"])
            still = values[self._neutral.argmax()]
            begin_with(net.generator, law, Path(recipe.layers), values, still)
            net.result.load_state_dict(net.generator.state_dict())

    def _map(self) -> None:
        """Take the mapping that was learnt first, or learn it."""
        path, net = self.run / MAPPING, self.net
        assert isinstance(net, PortraitNet)
        if not path.exists():
            made = MappingRecipe(steps=self.recipe.mapping)
            told = fit_mapping(
                net.generator, self._z["train"], self._pixels["train"], made, self.recipe.seed
            )
            log.info("the mapping tells %.1f %% of what pictures show", 100 * told)
            with aside(path) as unfinished:
                save_file(net.generator.style.state_dict(), unfinished)
        for one in (net.generator, net.result):
            one.style.load_state_dict(load_file(path))

    @property
    def size(self) -> int:
        """Of the pictures at this step."""
        passed = self.schedule.last_epoch / self.recipe.steps
        for size, share in zip(self.recipe.sizes, np.cumsum(self.recipe.shares), strict=True):
            if passed < share - 1e-9:
                return size
        return self.recipe.sizes[-1]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random portraits."""
        rows = mixed_rows(self._neutral, self.recipe.batch_size, self.recipe.resting, rng)
        return self._collate("train", rows, self.size, int(rng.integers(self.recipe.draws)))

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on people held out, and sheets to look at."""
        rows, size = np.arange(len(self._pixels["validation"])), self.recipe.sizes[-1]
        parts = np.split(rows, range(VALIDATION_BATCH, len(rows), VALIDATION_BATCH))
        batches = ((len(some), self._collate("validation", some, size)) for some in parts)
        means = mean_losses(self.net, batches, device)
        self._sheet(device)
        return {**means, "selection": means["loss"]}

    def _sheet(self, device: torch.device) -> None:
        """Portraits beside their pictures, and samples of z."""
        rows = np.linspace(0, len(self._pixels["validation"]) - 1, SHEET).astype(int)
        batch = self._collate("validation", rows, self.size)
        true = batch["pixels"].permute(0, 3, 1, 2).float() / 127.5 - 1
        ours = self.net.images(batch["z"].to(device), self.size).cpu()
        step, generator = self.schedule.last_epoch, self.net.result
        pairs = torch.stack([true, ours], 1).flatten(0, 1)
        save_sheet(self.run / f"pairs-{step:06d}.jpg", pairs, 8)
        z = torch.randn(64, generator.features, generator=torch.Generator().manual_seed(0))
        samples = generator(generator.mapping(z.to(device)), size=self.size)
        save_sheet(self.run / f"samples-{step:06d}.jpg", samples.cpu(), 8)

    def _collate(self, split: str, rows: np.ndarray, size: int, draw: int = 0) -> Batch:
        chosen: UInt8[np.ndarray, "batch height width 3"] = self._pixels[split][rows]
        pixels = torch.from_numpy(chosen)
        factor = pixels.shape[1] // size
        if factor > 1:
            means = functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float(), factor)
            pixels = means.round().byte().permute(0, 2, 3, 1)
        return {"pixels": pixels, "z": torch.from_numpy(self._z[split][draw, rows])}


def start(
    data: Path,
    run: Path,
    recipe: PortraitsRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the portraits of the population in `data`; call again to go on.

    Portraits that are added in between are learnt from as well. Returns the best validation.
    """
    run.mkdir(parents=True, exist_ok=True)
    portraits = sources(data, run, recipe, bundle, workers)
    path = run / LAW
    if not path.exists():
        shard = chosen(portraits[0], "train", recipe.neutral)
        varied = shard.picture >= (0 if recipe.neutral else 1)
        values = parameters_of(shard.rows(np.flatnonzero(varied if varied.any() else ~varied)))
        ParameterLaw.of(values, shard.shape_params.shape[1], recipe.seed).save(path)
    task = PortraitsTask(recipe, portraits, ParameterLaw.read(path), run)
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes)
    return train(task, recipe, run, settings)


def sources(
    data: Path, run: Path, recipe: PortraitsRecipe, bundle: Bundle, workers: int = 1
) -> list[PortraitSet]:
    """All portraits that a recipe learns from, those of `data` first; what it draws is taken."""
    folders = (data, *map(Path, recipe.more))
    found = [PortraitSet.open(f / f"portraits-{recipe.size}", partial=True) for f in folders]
    if recipe.people:
        model, size = bundle.face_model(), recipe.size
        found.append(drawn(run / "people", recipe.people, size, model, recipe.seed, workers))
    return found


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
    beside: BesideRecipe = BESIDE,
) -> str:
    """Write the generator of a run and, beside CMPC's nets, all that VoiceStyle starts from.

    CMPC's nets are those of `source`; without them the generator stands alone.
    """
    law = ParameterLaw.read(run / LAW)
    generator = trained(run, law)
    measured = min(
        (line for line in read_metrics(run / "metrics.jsonl") if "validation/plain" in line),
        key=lambda line: line["validation/selection"],
    )
    results = {"mean absolute error of a pixel": measured["validation/plain"] / 2}
    what = (generator, law, results, population, source, writer)
    return publish_generator(*what, beside.start(), beside.encoder())


def trained(run: Path, law: ParameterLaw) -> Generator:
    """The generator that a run has made so far."""
    net = PortraitNet(recipe_of(run, PortraitsRecipe), law.size)
    net.load_state_dict(best_of(run))
    return net.result

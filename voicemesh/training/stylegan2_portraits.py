"""A StyleGAN2 generator by regression: the parameters of rendered portraits to their pixels.

Every rendered portrait is made of known numbers. Whitened, they are the generator's z, so what
comes out is an ordinary StyleGAN2 whose Gaussian z follows the population, and which adversarial
training can go on with. Noise maps stay off.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.latent.losses import pyramid_differences
from voicemesh.nets.stylegan2 import SILENT, Generator, narrow_widths
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet

from .loop import Batch, LoopSettings, one_cycle, read_metrics, train
from .portrait_law import LAW, ParameterLaw, chosen, parameters_of
from .sheets import save_sheet
from .voicestyle import publish_generator

VALIDATION_BATCH = 32
SHEET = 32  # portraits on a sheet, each beside its own picture


@dataclass(frozen=True)
class PortraitsRecipe:
    """Regression of a small generator, small pictures first."""

    size: int = 128  # pixels
    base: int = 2048  # channels times the pixels of a row
    cap: int = 128  # channels at most
    style: int = 256
    depth: int = 4  # layers of the mapping
    mapping_rate: float = 0.5
    # Share of the usual modulation to begin with: images are nearly linear in w at first, and
    # need not unlearn what random products of many layers make of it.
    modulation: float = 0.1
    neutral: bool = False  # only heads at rest, facing the camera in neutral light
    steps: int = 20_000
    sizes: tuple[int, ...] = (32, 64, 128)  # that are trained one after another
    shares: tuple[float, ...] = (0.3, 0.35, 0.35)  # of the steps
    batch_size: int = 16
    learning_rate: float = 4e-3
    edges: float = 1.0  # weight of each level of the Laplacian pyramid against plain differences
    start: str = ""  # folder of a finished run to start from
    seed: int = 0


BUNDLE = PortraitsRecipe(neutral=True, steps=3400, batch_size=8)
RECIPES = {"varied": PortraitsRecipe(), "bundle": BUNDLE}


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

    def images(
        self, z: Float[Tensor, "batch parameters"], size: int | None = None
    ) -> Float[Tensor, "batch 3 size size"]:
        """Portraits of whitened parameters.

        The mapping's normalisation brings a Gaussian z to the length sqrt(style), which it has
        already but for a few per cent; a z without its meaningless rest must not go through it.
        """
        padded = functional.pad(z, (0, self.generator.features - z.shape[1]))
        return self.generator(self.generator.style[1:](padded), SILENT, size)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their sum."""
        target = batch["pixels"].permute(0, 3, 1, 2).float() / 127.5 - 1
        image = self.images(batch["z"], target.shape[2])
        plain = (image - target).abs().mean()
        edges = pyramid_differences(image, target).mean()
        # Parameters that only larger images use take part with nothing, for every process alike.
        idle = sum(p.sum() for p in self.generator.parameters()) * 0.0
        return {"loss": plain + self.recipe.edges * edges + idle, "plain": plain, "edges": edges}


class PortraitsTask:
    """Portraits in memory and the net: what the loop needs to train."""

    def __init__(
        self, recipe: PortraitsRecipe, portraits: PortraitSet, law: ParameterLaw, run: Path
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.run = recipe, run
        self.net: nn.Module = PortraitNet(recipe, len(law.whitening))
        if recipe.start:
            self.net.load_state_dict(load_file(Path(recipe.start) / "best.safetensors"))
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, 0.0
        )
        shards = {s: chosen(portraits, s, recipe.neutral) for s in ("train", "validation")}
        self._pixels = {split: shard.pixels for split, shard in shards.items()}
        self._z = {
            split: law.z(torch.from_numpy(parameters_of(shard))) for split, shard in shards.items()
        }

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
        rows = rng.integers(len(self._pixels["train"]), size=self.recipe.batch_size)
        return self._collate("train", rows, self.size)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on people held out, and sheets to look at."""
        sums: dict[str, float] = {}
        whole = len(self._pixels["validation"])
        for start in range(0, whole, VALIDATION_BATCH):
            rows = np.arange(start, min(start + VALIDATION_BATCH, whole))
            batch = self._collate("validation", rows, self.recipe.size)
            for name, value in self.net({k: v.to(device) for k, v in batch.items()}).items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(rows) / whole
        self._sheet(device)
        return {**sums, "selection": sums["loss"]}

    def _sheet(self, device: torch.device) -> None:
        """Portraits beside their pictures, and samples of z."""
        rows = np.linspace(0, len(self._pixels["validation"]) - 1, SHEET).astype(int)
        batch = self._collate("validation", rows, self.size)
        true = batch["pixels"].permute(0, 3, 1, 2).float() / 127.5 - 1
        ours = self.net.images(batch["z"].to(device), self.size).cpu()
        step, generator = self.schedule.last_epoch, self.net.generator
        pairs = torch.stack([true, ours], 1).flatten(0, 1)
        save_sheet(self.run / f"pairs-{step:06d}.jpg", pairs, 8)
        z = torch.randn(64, generator.features, generator=torch.Generator().manual_seed(0))
        samples = generator(generator.mapping(z.to(device)), SILENT, self.size)
        save_sheet(self.run / f"samples-{step:06d}.jpg", samples.cpu(), 8)

    def _collate(self, split: str, rows: np.ndarray, size: int) -> Batch:
        chosen: UInt8[np.ndarray, "batch height width 3"] = self._pixels[split][rows]
        pixels = torch.from_numpy(chosen)
        factor = pixels.shape[1] // size
        if factor > 1:
            means = functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float(), factor)
            pixels = means.round().byte().permute(0, 2, 3, 1)
        return {"pixels": pixels, "z": self._z[split][rows]}


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
    portraits = PortraitSet.open(data / f"portraits-{recipe.size}", partial=True)
    path = run / LAW
    if not path.exists():
        shard = chosen(portraits, "train", recipe.neutral)
        run.mkdir(parents=True, exist_ok=True)
        varied = shard.picture >= (0 if recipe.neutral else 1)
        ParameterLaw.of(parameters_of(shard)[varied]).save(path)
    task = PortraitsTask(recipe, portraits, ParameterLaw.read(path), run)
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes)
    return train(task, recipe, run, settings)


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the generator of a run and, beside CMPC's nets, all that VoiceStyle starts from.

    CMPC's nets are those of `source`; without them the generator stands alone.
    """
    law = ParameterLaw.read(run / LAW)
    net = PortraitNet(recipe_of(run), len(law.whitening))
    net.load_state_dict(load_file(run / "best.safetensors"))
    measured = min(
        (line for line in read_metrics(run / "metrics.jsonl") if "validation/plain" in line),
        key=lambda line: line["validation/selection"],
    )
    results = {"mean absolute error of a pixel": measured["validation/plain"] / 2}
    return publish_generator(net.generator, law, results, population, source, writer)


def recipe_of(run: Path) -> PortraitsRecipe:
    """The recipe of a run."""
    written = json.loads((run / "recipe.json").read_text())["recipe"]
    return PortraitsRecipe(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in written.items()}
    )

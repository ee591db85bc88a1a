"""The two players of StyleGAN2: an iteration with its lazy penalties, and the average kept."""

import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from voicemesh.nets.stylegan2 import (
    SILENT,
    Discriminator,
    Generator,
    narrow_widths,
    published_widths,
)
from voicemesh.whole_files import aside

from .loop import close_state, newest_state
from .runs import best_of
from .stylegan2_augment import Adaptive, augment
from .stylegan2_losses import (
    average,
    critic_loss,
    ema_decay,
    generator_loss,
    gradient_penalty,
    path_penalty,
)
from .stylegan2_widening import widened

NET = "generator.safetensors"  # the averaged one, whenever a state is written


@dataclass(frozen=True)
class StyleGan2Recipe:
    """StyleGAN2; the defaults are the published run at 256 pixels, of one process."""

    size: int = 256
    multiplier: int = 2  # of the published widths
    base: int = 0  # channels times the pixels of a row; 0 keeps the published widths
    cap: int = 512
    style: int = 512
    depth: int = 8
    mapping_rate: float = 0.01
    noise: bool = True  # fresh noise maps; otherwise none
    steps: int = 800_000
    batch_size: int = 16  # of each process
    learning_rate: float = 0.002
    mixing: float = 0.9  # share of batches whose images mix two styles
    r1: float = 10.0
    r1_every: int = 16
    path: float = 2.0
    path_every: int = 4
    path_shrink: int = 2  # the path penalty sees so much less of a batch
    half_life: float = 10_000.0  # images, of the average
    ramp: float = 0.0  # half-life at most this share of the images seen; 0 is no limit
    flips: bool = True
    adaptive: bool = False  # augmentation that follows the discriminator
    target: float = 0.6
    adaptive_images: int = 500_000
    turns: bool = True
    start: str = ""  # folder of a run of stylegan2-portraits, whose generator to go on with
    # Weight of the differences to the very portraits whose parameters z is; without it z is free.
    anchor: float = 0.0
    regression: int = 0  # steps of an anchored run's own regression, if it does not start from one
    people: int = 0  # further people whose portraits it draws
    more: tuple[str, ...] = ()  # folders of populations whose portraits join those of its start
    before: str = ""  # another anchored recipe, whose layers that regression begins with
    earlier: str = ""  # another anchored recipe, whose run this one goes on with
    after: str = ""  # folder of the run that is gone on with, of its generator and its critic
    maps: bool = False  # noise maps are learnt, and the fine ones begin as strands
    texture: float = 0.0  # of their local contrast, likewise
    colour: float = 0.0  # of their colours, whatever the brightness and the detail
    faces: float = 0.0  # how much more a pixel of eyes, nose or mouth counts than a corner
    adversarial: float = 1.0  # weight of the critic against those
    loose: float = 0.0  # share of a batch of an anchored run that is of free z
    growing: float = 0.0  # share of the steps of an anchored run at half the size
    cooling: float = 0.0  # share of the steps of an anchored run over which its rates fall to 0
    # Share of the steps at the end whose portraits count twice, the critic half, w staying.
    settling: float = 0.0
    hair: float = 1.0  # share that differences of a few pixels count beside the face
    told: bool = False  # the critic of an anchored run knows the parameters
    critic_width: int = 32  # channels of the critic of an anchored run, which sees patches
    critic_scales: int = 1  # sizes of the picture that it sees
    half: bool = False  # convolutions of an anchored run in bfloat16
    neutral: bool = False  # of portraits, only those at rest in neutral light
    critic_rate: float = 0.0  # of the discriminator if another
    seed: int = 0


def generator_of(recipe: Mapping[str, Any]) -> Generator:
    """An untrained generator of a recipe's sizes."""
    if recipe["base"]:
        widths = narrow_widths(recipe["size"], recipe["base"], recipe["cap"])
    else:
        widths = published_widths(recipe["size"], recipe["multiplier"])
    return Generator(widths, recipe["style"], recipe["depth"], recipe["mapping_rate"])


def held_generator(run: Path) -> dict[str, Tensor]:
    """The generator that a run of stylegan2-portraits has made; the average if it kept one."""
    return best_of(run, "average") or best_of(run, "generator")


def continued(generator: Generator, recipe: StyleGan2Recipe) -> Generator:
    """The averaged generator of the run that a recipe goes on with, in the recipe's widths."""
    folder = Path(recipe.after)
    older = generator_of(json.loads((folder / "recipe.json").read_text())["recipe"])
    older.load_state_dict(load_file(folder / NET))
    widened(generator, older)
    return generator


class Sampler(nn.Module):
    """z to images: what is trained of the generator, noise and mixing included."""

    def __init__(self, generator: Generator, noise: bool) -> None:
        super().__init__()
        self.generator, self.noise = generator, noise

    def forward(
        self, z: Float[Tensor, "styles batch style"], start: int
    ) -> tuple[Float[Tensor, "batch 3 size size"], Float[Tensor, "batch rows style"]]:
        """Images and their w+: the second style, if there is one, from row `start` on."""
        generator = self.generator
        w = generator.mapping(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        late = torch.arange(generator.layers, device=w.device) >= start
        w_plus = torch.where(late[None, :, None], w[-1][:, None], w[0][:, None])
        maps = generator.fresh_noise(z.shape[1]) if self.noise else SILENT
        return generator(w_plus, maps), w_plus


class Players:
    """Generator, discriminator, their optimisers and the average that is kept."""

    def __init__(self, recipe: StyleGan2Recipe, accelerator: Accelerator) -> None:
        torch.manual_seed(recipe.seed)
        generator = generator_of(asdict(recipe))
        if recipe.after:
            generator = continued(generator, recipe)
        elif recipe.start:
            generator.load_state_dict(held_generator(Path(recipe.start)))
        self.recipe, self.accelerator = recipe, accelerator
        self.average = deepcopy(generator).requires_grad_(False).to(accelerator.device)
        player, critic = self._nets(generator, recipe)
        self.player, self.critic, self.player_adam, self.critic_adam = accelerator.prepare(
            player,
            critic,
            self._adam(player, recipe.path_every if recipe.path else 0, 0.0),
            self._adam(critic, recipe.r1_every if recipe.r1 else 0, recipe.critic_rate),
        )
        self.path_mean = torch.zeros((), device=accelerator.device)
        self.adaptive = Adaptive(recipe.target, recipe.adaptive_images)

    def _nets(self, generator: Generator, recipe: StyleGan2Recipe) -> tuple[nn.Module, nn.Module]:
        """What is trained of the generator, and its critic."""
        return Sampler(generator, recipe.noise), Discriminator(generator.widths)

    def iterate(
        self,
        step: int,
        real: Float[Tensor, "batch 3 size size"],
        known: Float[Tensor, "batch style"] | None = None,
    ) -> dict[str, float]:
        """One step of each player, and the penalties that are due; what was measured, by name.

        `known` are the z of the real pictures, which players without an anchor do not ask for.
        """
        recipe, rng = self.recipe, torch.Generator().manual_seed(torch.initial_seed())
        told: dict[str, float] = {}
        with torch.no_grad():
            fake, _ = self.player(*self._z(len(real), rng))
        scores = self.critic(self._shown(real, rng)), self.critic(self._shown(fake, rng))
        told |= self._descend(self.critic_adam, {"critic": critic_loss(*scores)})
        means = (float(side.detach().mean()) for side in scores)
        told |= dict(zip(("real_score", "fake_score"), means, strict=True))
        if recipe.adaptive:
            told["augmented"] = self.adaptive.update(self.accelerator.gather(scores[0].detach()))
        if recipe.r1 and step % recipe.r1_every == 0:
            seen = real.clone().requires_grad_()
            penalty = gradient_penalty(self.critic(self._shown(seen, rng)), seen)
            self._descend(self.critic_adam, {"": recipe.r1 / 2 * recipe.r1_every * penalty})
            told["r1"] = float(penalty.detach())
        self.critic.requires_grad_(False)
        fake, _ = self.player(*self._z(len(real), rng))
        losses = {"generator": generator_loss(self.critic(self._shown(fake, rng)))}
        told |= self._descend(self.player_adam, losses)
        self.critic.requires_grad_(True)
        if recipe.path and recipe.path_every and step % recipe.path_every == 0:
            told["path"] = self._even_paths(max(1, len(real) // recipe.path_shrink), rng)
        images = len(real) * self.accelerator.num_processes
        half_life = recipe.half_life
        if recipe.ramp:
            half_life = min(half_life, recipe.ramp * max(1, step) * images)
        player = self.accelerator.unwrap_model(self.player).generator
        average(self.average, player, ema_decay(images, half_life))
        return told

    def _z(self, batch: int, rng: torch.Generator) -> tuple[Tensor, int]:
        """One or two Gaussian vectors an image, and the row from which the second counts."""
        mixing = float(torch.rand((), generator=rng)) < self.recipe.mixing
        rows = self.average.layers
        start = int(torch.randint(1, rows, (), generator=rng)) if mixing else rows
        z = torch.randn(1 + mixing, batch, self.recipe.style, generator=rng)
        return z.to(self.accelerator.device), start

    def _shown(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Images as the discriminator sees them."""
        if not self.recipe.adaptive or not self.adaptive.probability:
            return images
        return augment(images, self.adaptive.probability, rng, self.recipe.turns)

    def _even_paths(self, batch: int, rng: torch.Generator) -> float:
        image, w_plus = self.player(*self._z(batch, rng))
        noise = torch.randn(image.shape, generator=rng).to(image.device)
        penalty, mean, _ = path_penalty(image, w_plus, noise, self.path_mean)
        self.path_mean = self.accelerator.reduce(mean, "mean")
        # Zero times a pixel: every process's whole net takes part in every step.
        loss = self.recipe.path * self.recipe.path_every * penalty + 0 * image[0, 0, 0, 0]
        self._descend(self.player_adam, {"": loss})
        return float(penalty.detach())

    def _descend(
        self, adam: torch.optim.Optimizer, losses: dict[str, Float[Tensor, ""]]
    ) -> dict[str, float]:
        """One step of an optimiser down the sum; the losses as numbers."""
        adam.zero_grad(set_to_none=True)
        self.accelerator.backward(sum(losses.values()))
        adam.step()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _adam(self, net: nn.Module, every: int, rate: float) -> torch.optim.Optimizer:
        """Adam whose rate and memory make up for the lazy penalties' extra steps."""
        share = every / (every + 1) if every else 1.0
        rate = (rate or self.recipe.learning_rate) * share
        return torch.optim.Adam(net.parameters(), lr=rate, betas=(0.0, 0.99**share))

    def save(self, folder: Path, step: int) -> None:
        """Write state-<step>, its done.json last, and the averaged generator."""
        state = folder / f"state-{step}"
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(state), safe_serialization=True)
        if self.accelerator.is_main_process:
            kept = {k: v.contiguous().cpu() for k, v in self.average.state_dict().items()}
            save_file(kept, state / NET)
            with aside(folder / NET) as unfinished:
                shutil.copy(state / NET, unfinished)
            rest = {"path_mean": float(self.path_mean), "adaptive": self.adaptive.state_dict()}
            close_state(state, {"step": step, **rest})
        self.accelerator.wait_for_everyone()

    def resume(self, folder: Path) -> int:
        """Load the newest complete state; the step to go on with."""
        found = newest_state(folder)
        if found is None:
            return 0
        state, told = found
        self.accelerator.load_state(str(state))
        self.average.load_state_dict(load_file(state / NET))
        self.path_mean.fill_(told["path_mean"])
        self.adaptive.load_state_dict(told["adaptive"])
        return told["step"]

"""Seeking the Shape of Sound in its three steps: re-weighting, identity weights, main run."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn
from torch.nn import functional

from voicemesh.nets.sss import IdentityClassifier, IdentityState

from . import sss_losses
from .loop import Batch, LoopSettings, train
from .schedules import one_cycle
from .sss_data import Sitters
from .sss_recipe import SssRecipe

log = logging.getLogger(__name__)

REWEIGHTING, MAIN = "reweighting", "main"  # folders of the two runs
WEIGHTS = "identity-weights.safetensors"
AT_ONCE = 64


class SssNets(nn.Module):
    """Both nets, the class matrix and the state of identities; its keys are the published ones."""

    def __init__(
        self,
        recipe: SssRecipe,
        voice: nn.Module,
        face: nn.Module,
        classes: IdentityClassifier,
        state: IdentityState,
        adjusts: bool,
    ) -> None:
        """`adjusts` says whether the weights of identities move."""
        super().__init__()
        self.V, self.F, self.center = voice, face, state
        if getattr(face, "cls", None) is not classes:
            self.cls = classes
        self.recipe, self.adjusts = recipe, adjusts
        self.clock: Callable[[], int] = lambda: 0  # steps that were made

    @property
    def classes(self) -> IdentityClassifier:
        """The class matrix, which the published face net holds."""
        return self.cls if hasattr(self, "cls") else self.F.cls

    def embed(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Embeddings of voices and faces, of features or of codes that were kept."""
        voice, face = batch["voice"], batch["face"]
        heard = self.V.of_code(voice) if voice.ndim == 2 else self.V(voice)
        seen = self.F.of_code(face) if face.ndim == 2 else self.F(face)
        return heard, seen

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; in training the state of the identities moves on."""
        recipe, targets = self.recipe, batch["identity"]
        z_voice, z_face = self.embed(batch)
        weights = sss_losses.batch_weights(self.center.weight, targets)
        found = sss_losses.losses(
            z_voice, z_face, self.classes.weight, targets, weights, not recipe.weights_of_samples
        )
        parts = (recipe.identity_weight, recipe.identity_weight, recipe.cross_weight)
        total, told = found.total(parts), {}
        if "law" in batch:
            told["law"] = sss_losses.guided(z_voice, z_face, batch["law"])
            total = total + recipe.law_weight * told["law"]
        if self.training and self.adjusts:
            self.adjust(targets, (found.face_each + found.voice_each).detach())
        share = (self.center.weight > 0).float().mean()
        return {
            "loss": total,
            **told,
            **{name: getattr(found, name) for name in ("face", "voice", "cross")},
            "weighted": share,
        }

    def adjust(self, targets: Int64[Tensor, " batch"], each: Float[Tensor, " batch"]) -> None:
        """Remember the losses of a step's identities, of all processes; take more of them in."""
        if distributed.is_available() and distributed.is_initialized():
            targets, each = (everywhere(values) for values in (targets, each))
        sss_losses.remember(self.center, targets, each)
        step = self.clock() + 1
        if step >= self.recipe.first_update and step % self.recipe.update_every == 0:
            sss_losses.reweigh(self.center)


def everywhere(values: Tensor) -> Tensor:
    """The values of all processes, one after the other."""
    parts = [torch.zeros_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, values.contiguous())
    return torch.cat(parts)


class SssTask:
    """People to learn from, people to judge by, and the nets: what the loop needs."""

    def __init__(
        self,
        recipe: SssRecipe,
        nets: SssNets,
        sitters: Sitters,
        judge: Callable[[SssNets, torch.device], dict[str, float]],
        steps: int,
        drops: tuple[int, ...],
    ) -> None:
        if len(sitters) < recipe.batch_size:
            raise ValueError(
                f"{len(sitters)} people for batches of {recipe.batch_size} different ones; take"
                " more people or a smaller batch_size"
            )
        self.recipe, self.sitters, self._judge = recipe, sitters, judge
        self.net: nn.Module = nets
        learnt = [p for p in nets.parameters() if p.requires_grad]
        if recipe.optimiser == "adamw":
            self.optimiser, self.schedule = one_cycle(
                iter(learnt), steps, recipe.learning_rate, recipe.weight_decay
            )
        elif recipe.optimiser == "sgd":
            self.optimiser = torch.optim.SGD(
                learnt, recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
            )
            self.schedule = torch.optim.lr_scheduler.MultiStepLR(self.optimiser, list(drops))
        else:
            raise ValueError(f"no optimiser {recipe.optimiser!r}; there are sgd, adamw")
        nets.clock = lambda: self.schedule.last_epoch

    def batch(self, rng: np.random.Generator) -> Batch:
        """One voice and one picture each of different people."""
        people = rng.choice(len(self.sitters), self.recipe.batch_size, replace=False)
        law = self.sitters.law
        return {
            "voice": self.sitters.voices.draw(people, rng),
            "face": self.sitters.faces.draw(people, rng),
            "identity": torch.from_numpy(people),
            **({} if law is None else {"law": torch.from_numpy(law[np.ix_(people, people)])}),
        }

    def validate(self, device: torch.device) -> dict[str, float]:
        """How often voices find their faces among people that the nets were not trained on."""
        return self._judge(self.net, device)


def judged_by(sitters: Sitters) -> Callable[[SssNets, torch.device], dict[str, float]]:
    """A judge: how often the own face is nearer to a voice than another's, of all and of a sex."""

    def judge(nets: SssNets, device: torch.device) -> dict[str, float]:
        voices, faces = [], []
        for people in np.split(np.arange(len(sitters)), range(AT_ONCE, len(sitters), AT_ONCE)):
            batch = {"voice": sitters.voices.draw(people, None)}
            batch["face"] = sitters.faces.draw(people, None)
            heard, seen = nets.embed({name: value.to(device) for name, value in batch.items()})
            voices.append(functional.normalize(heard).cpu())
            faces.append(functional.normalize(seen).cpu())
        scores = (torch.cat(voices) @ torch.cat(faces).T).numpy()
        nearer = np.diag(scores)[:, None] > scores
        others = ~np.eye(len(sitters), dtype=bool)
        alike = others & (sitters.sex[:, None] == sitters.sex)
        free = float(nearer[others].mean())
        same = float(nearer[alike].mean()) if alike.any() else free
        return {"free": free, "same_sex": same, "selection": 1 - (free + same) / 2}

    return judge


def in_three_steps(
    run: Path,
    recipe: SssRecipe,
    fresh: Callable[[IdentityState, bool], SssNets],
    sitters: Sitters,
    judge: Callable[[SssNets, torch.device], dict[str, float]],
    minutes: float = float("inf"),
) -> dict[str, float]:
    """Train in the folder `run`; call again to go on. Returns the best validation of the main run.

    `fresh` builds the nets as both runs begin them, around a state of identities.
    """
    torch.manual_seed(recipe.seed)
    state = IdentityState(len(sitters))
    settings = LoopSettings(
        recipe.reweighting_steps,
        recipe.seed,
        validate_every=recipe.reweighting_steps,
        minutes=minutes,
    )
    task = SssTask(
        recipe,
        fresh(state, True),
        sitters,
        judge,
        recipe.reweighting_steps,
        recipe.reweighting_drops,
    )
    best = train(task, recipe, run / REWEIGHTING, settings)
    last = run / REWEIGHTING / f"state-{recipe.reweighting_steps}" / "model.safetensors"
    if not last.exists():
        return best
    weights = extracted(last, run / WEIGHTS)
    torch.manual_seed(recipe.seed)
    state = IdentityState(len(sitters))
    state.weight.copy_(weights)
    settings = LoopSettings(
        recipe.main_steps, recipe.seed, validate_every=recipe.validate_every, minutes=minutes
    )
    task = SssTask(
        recipe, fresh(state, False), sitters, judge, recipe.main_steps, recipe.main_drops
    )
    return train(task, recipe, run / MAIN, settings)


def extracted(state: Path, target: Path) -> Float[Tensor, " identities"]:
    """The weights of identities out of a state of the first run, in a file of their own."""
    weights = load_file(state)["center.weight"]
    save_file({"center.weight": weights}, target)
    return weights

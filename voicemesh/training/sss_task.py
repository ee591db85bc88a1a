"""Seeking the Shape of Sound in its three steps: re-weighting, identity weights, main run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn
from torch.nn import functional

from voicemesh.nets.sss import IdentityClassifier, IdentityState

from . import sss
from .loop import Batch, LoopSettings, one_cycle, train
from .sss_data import Sitters

log = logging.getLogger(__name__)

REWEIGHTING, MAIN = "reweighting", "main"  # folders of the two runs
WEIGHTS = "identity-weights.safetensors"
AT_ONCE = 64


@dataclass(frozen=True)
class SssRecipe:
    """Both runs; the defaults are the published ones.

    `small` puts heads on small backbones that stay as they are and are trained before, on the
    same people. Backbones may be named instead: folders of such runs; else the authors' files
    (baseline_lite_ap.model, backbone_ir50_ms1m_epoch120.pth), without which both nets start from
    nothing.
    """

    small: bool = False
    voice_backbone: str = ""
    face_backbone: str = ""
    face_start: str = ""  # bundle whose small face net goes on learning; "bundle": the given one's,
    # if it has one
    front_end: str = "sss"
    voice_start: str = ""  # part of the bundle that a small voice backbone begins with
    masked_tracks: float = 0.0  # share of what it hears without any tracks of cycles
    voice_steps: int = 0  # of the small backbones
    face_steps: int = 0
    kept_views: int = 0  # of every portrait, whose codes are kept besides those of itself
    voice_blocks: tuple[int, ...] = (3, 4, 6, 3)
    voice_widths: tuple[int, ...] = (16, 32, 64, 128)
    face_units: tuple[int, ...] = (3, 4, 14, 3)
    face_widths: tuple[int, ...] = (64, 128, 256, 512)
    side: int = 112
    features: int = 512
    voice_code: int = 0  # values that a small backbone gives
    face_code: int = 0
    embedding: int = 128
    dropout: float = 0.5
    reweighting_steps: int = 2400
    reweighting_drops: tuple[int, ...] = (1000, 2000)  # steps at which the rate falls to a tenth
    main_steps: int = 10_000
    main_drops: tuple[int, ...] = (2000, 3000)
    batch_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    optimiser: str = "sgd"  # or adamw, whose rate rises and falls once
    validate_every: int = 2000
    first_update: int = 500  # of the weights of identities, in steps
    update_every: int = 100
    weights_of_samples: bool = False  # as meant, not as published: see `training.sss.losses`
    identity_weight: float = 1.0  # of the two cross-entropies
    cross_weight: float = 1.0
    law_weight: float = 0.0  # of what the law of a population says of every pair
    shortest_cut: int = 40_000  # samples
    longest_cut: int = 80_000
    views: float = 1.0  # strength of what is done to portraits
    seed: int = 1


BUNDLE = SssRecipe(
    small=True,
    face_start="bundle",
    front_end="voicemesh-cycles",
    voice_start="cmp-voice-encoder",
    masked_tracks=0.1,
    voice_steps=1900,
    face_steps=1200,
    voice_blocks=(0, 0, 1, 1),
    voice_widths=(192, 288, 432, 648),
    voice_code=64,
    face_units=(1, 1, 1, 1),
    face_widths=(24, 48, 96, 160),
    face_code=48,
    features=256,
    dropout=0.2,
    embedding=64,
    reweighting_steps=300,
    main_steps=500,
    batch_size=512,
    learning_rate=2e-3,
    weight_decay=0.05,
    optimiser="adamw",
    validate_every=100,
    first_update=100,
    update_every=12,
    weights_of_samples=True,
    identity_weight=0.1,
    cross_weight=0.5,
    law_weight=1.0,
)
RECIPES = {"published": SssRecipe(), "bundle": BUNDLE}


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
        weights = sss.batch_weights(self.center.weight, targets)
        found = sss.losses(
            z_voice, z_face, self.classes.weight, targets, weights, not recipe.weights_of_samples
        )
        parts = (recipe.identity_weight, recipe.identity_weight, recipe.cross_weight)
        total, told = found.total(parts), {}
        if "law" in batch:
            told["law"] = sss.guided(z_voice, z_face, batch["law"])
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
        sss.remember(self.center, targets, each)
        step = self.clock() + 1
        if step >= self.recipe.first_update and step % self.recipe.update_every == 0:
            sss.reweigh(self.center)


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

"""A small identity network: whose face it is, whatever the pose, the light and the backdrop.

The angular margin of ArcFace (Deng et al., CVPR 2019): a picture's features have to lie nearer to
its person's direction than to all others' by an angle. That direction is another picture of the
person, and the others are those of the batch: with three pictures each, a direction of its own for
everybody would be seen too rarely to be learnt. The crop is the one that VoiceStyle's identity
loss takes, so the net can stand in for the published IR-SE50 there.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import IDENTITY
from voicemesh.evaluation.identity import Identified, identified
from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.latent.losses import IDENTITY_SIDE, Identity, face_crop
from voicemesh.nets.devices import halved
from voicemesh.nets.irse import IrBackbone
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitShard

from .face_views import Views, scaled, viewed
from .loop import Batch, LoopSettings, train
from .runs import best_of, origin, recipe_of, steps_of
from .schedules import one_cycle

AT_ONCE = 64  # pictures per pass
JUDGED = 30  # every so many people of those to train on are kept to judge by


@dataclass(frozen=True)
class IdentityRecipe:
    """A small IR-SE net on portraits of a population."""

    units: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (32, 64, 128, 192)
    features: int = 128
    reduction: int = 8
    stem: int = 2
    steps: int = 6000
    batch_size: int = 64  # pictures, two of each person
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    length: float = 16.0  # that cosines are multiplied by
    margin: float = 0.3  # radians
    rising: float = 0.4  # share of the steps in which the margin rises from 0
    shape_weight: float = 0.5  # of the head's shape, which every view of a person shares
    views: float = 1.0  # strength of what is done to pictures
    start: str = ""  # folder of a run to start from
    seed: int = 0

    def arguments(self) -> dict[str, Any]:
        """Of the net."""
        return {
            "units": list(self.units),
            "widths": list(self.widths),
            "side": IDENTITY_SIDE,
            "features": self.features,
            "reduction": self.reduction,
            "dropout": 0.0,
            "stem": self.stem,
        }


RECIPES = {"bundle": IdentityRecipe(steps=850), "long": IdentityRecipe()}


class IdentityNets(nn.Module):
    """The backbone, and the head's shape, which it is also asked."""

    def __init__(self, recipe: IdentityRecipe, shapes: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.backbone = IrBackbone(**recipe.arguments()).to(memory_format=torch.channels_last)
        self.shape = nn.Linear(recipe.features, shapes)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum. The second half shows the same people."""
        crop = face_crop(batch["pictures"]).contiguous(memory_format=torch.channels_last)
        with halved(crop.device):
            features = self.backbone(crop)
        features = features.float()
        shared = (self.shape(features) - batch["shape"]).square().mean()
        one, other = functional.normalize(features).chunk(2)
        cosine = one @ other.T
        own = torch.arange(len(one), device=cosine.device)
        arc = torch.stack(
            [
                functional.cross_entropy(
                    self.recipe.length * with_margin(side, own, batch["margin"][0]), own
                )
                for side in (cosine, cosine.T)
            ]
        ).mean()
        right = (cosine.detach().argmax(1) == own).float().mean()
        loss = arc + self.recipe.shape_weight * shared
        return {"loss": loss, "arc": arc, "shape": shared, "right": right}


def with_margin(
    cosine: Float[Tensor, "batch people"],
    person: Int64[Tensor, " batch"],
    margin: Float[Tensor, ""] | float,
) -> Float[Tensor, "batch people"]:
    """Cosines, the right person's at an angle `margin` wider; never beyond half a turn."""
    angle = cosine.gather(1, person[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).arccos()
    wider = (angle + margin).clamp(max=math.pi)
    return cosine.scatter(1, person[:, None], wider.cos())


class IdentityTask:
    """Portraits of some people to learn from and of others to judge by: what the loop needs."""

    def __init__(
        self,
        recipe: IdentityRecipe,
        portraits: PortraitShard,
        held_out: Int64[np.ndarray, " some"],
    ) -> None:
        """`held_out` are the people to judge by, of those whom `portraits` show."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.portraits = recipe, portraits
        self._held_out = np.flatnonzero(np.isin(portraits.identity, held_out))
        self._rows = np.flatnonzero(~np.isin(portraits.identity, held_out))
        learnt = portraits.identity[self._rows]
        self.people, self._first, self._count = np.unique(
            learnt, return_index=True, return_counts=True
        )
        if (np.diff(learnt) < 0).any() or (self._count < 2).any():
            raise ValueError("Portraits must come person by person, two of each or more")
        self.net: nn.Module = IdentityNets(recipe, portraits.shape_params.shape[1])
        if recipe.start:
            self.net.load_state_dict(best_of(Path(recipe.start)))
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )

    def batch(self, rng: np.random.Generator) -> Batch:
        """Two pictures of each of some people, each in its own view."""
        size = min(self.recipe.batch_size // 2, len(self.people))
        some = rng.choice(len(self.people), size, replace=False)
        first = rng.integers(self._count[some])
        other = (first + rng.integers(1, self._count[some])) % self._count[some]
        rows = self._rows[np.concatenate([self._first[some] + n for n in (first, other)])]
        passed = self.schedule.last_epoch / max(1.0, self.recipe.rising * self.recipe.steps)
        views = Views().scaled(self.recipe.views)
        return {
            "pictures": viewed(torch.from_numpy(self.portraits.pixels[rows]), views),
            "shape": torch.from_numpy(self.portraits.shape_params[rows]),
            "margin": torch.full((size,), self.recipe.margin * min(1.0, passed)),
        }

    def validate(self, device: torch.device) -> dict[str, float]:
        """How well people that the net was not trained on are told apart."""
        net = getattr(self.net, "module", self.net).to(device)
        found = of_portraits(net.backbone, self.portraits.rows(self._held_out))
        return {**vars(found), "selection": found.equal_error_rate - 0.1 * found.first}


@torch.no_grad()
def features_of(
    identity: Identity, pixels: UInt8[np.ndarray, "pictures _ _ 3"]
) -> Float[np.ndarray, "pictures features"]:
    """Unit features of portraits."""
    device = next(identity.parameters()).device
    parts = torch.from_numpy(pixels).split(AT_ONCE)
    return torch.cat([identity(scaled(part).to(device)).cpu() for part in parts]).numpy()


def of_portraits(net: IrBackbone, portraits: PortraitShard) -> Identified:
    """Figures of a net on portraits of people with a frontal picture and others."""
    wanted = [parameter.requires_grad for parameter in net.parameters()]
    features = features_of(Identity(net), portraits.pixels)
    for parameter, wants in zip(net.parameters(), wanted, strict=True):
        parameter.requires_grad_(wants)  # which the loss takes away
    return identified(features, portraits.identity, portraits.picture == 0)


def start(
    data: Path,
    run: Path,
    recipe: IdentityRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the portraits of the population in `data`; call again to go on."""
    population = Population.open(data)
    portraits = portraits_of(population).gathered("train")
    task = IdentityTask(recipe, portraits, population.train[JUDGED - 1 :: JUDGED])
    settings = LoopSettings(recipe.steps, recipe.seed, validate_every=250, minutes=minutes)
    return train(task, recipe, run, settings)


def publish(
    run: Path,
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    judges: Population | None = None,
) -> str:
    """Write the net of a run, measured on the people held out of `judges` or of the population."""
    return write(run, portraits_of(judges or population).gathered("validation"), writer)


def write(run: Path, portraits: PortraitShard, writer: BundleWriter) -> str:
    """Write the net of a run, measured on these portraits.

    Raises:
        ValueError: the folder holds no run that was validated.
    """
    arguments = recipe_of(run, IdentityRecipe).arguments()
    net = IrBackbone(**arguments)
    net.load_state_dict(best_of(run, "backbone"))
    net = net.half().float().eval()  # as it is stored, so that the figures are the bundle's
    found = of_portraits(net, portraits)
    writer.net(
        IDENTITY,
        net,
        arguments,
        half=True,
        results=vars(found),
        **origin("identity", f"{steps_of(run)} steps on rendered portraits of synthetic people"),
    )
    return f"{IDENTITY}: {found}"

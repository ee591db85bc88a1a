"""A face backbone that learns faces before it meets voices: the head, and what voices owe to it.

Both association systems start from networks that know faces already; this makes ours.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from voicemesh.evaluation.targets import TRAIT_SCALES
from voicemesh.nets.devices import halved
from voicemesh.nets.irse import IrBackbone
from voicemesh.population.law import People
from voicemesh.population.likelihood import proportions
from voicemesh.population.portrait_set import PortraitShard

from .face_views import Views, scaled, viewed
from .habits import TOLD, Habits
from .loop import Batch, mean_losses
from .runs import best_of
from .schedules import one_cycle

AT_ONCE = 64  # pictures per pass


@dataclass(frozen=True)
class FaceRecipe:
    """A small IR net on portraits of the population."""

    side: int = 112
    units: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (24, 48, 96, 160)
    code: int = 48
    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    tied_weight: float = 3.0  # of what the law of the population makes voices depend on
    shape_weight: float = 0.3
    measures_weight: float = 0.5  # of proportions
    age_weight: float = 0.5
    sex_weight: float = 0.5
    views: float = 1.0  # strength of what is done to pictures
    seed: int = 0


class FaceNets(nn.Module):
    """The backbone, and what it is asked while it learns."""

    def __init__(
        self, recipe: FaceRecipe, shapes: int, measures: int, ties: Float[Tensor, " told"]
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.backbone = IrBackbone(
            recipe.units, recipe.widths, recipe.side, recipe.code, dropout=0.0, stem=2
        ).to(memory_format=torch.channels_last)
        self.shape = nn.Linear(recipe.code, shapes)
        self.measures = nn.Linear(recipe.code, measures)
        self.traits = nn.Linear(recipe.code, 2)  # sex, age
        self.told = nn.Linear(recipe.code, len(ties))
        self.register_buffer("ties", ties / ties.sum(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum."""
        pictures = batch["pictures"].contiguous(memory_format=torch.channels_last)
        with halved(pictures.device, self.training):
            features = self.backbone(pictures)
        features = features.float()
        traits = self.traits(features)
        errors = (self.told(features) - batch["told"]).square()
        losses = {
            "tied": (errors @ self.ties).mean(),
            "shape": (self.shape(features) - batch["shape"]).square().mean(),
            "measures": (self.measures(features) - batch["measures"]).square().mean(),
            "age": (traits[:, 1] - batch["age"]).square().mean(),
            "sex": functional.binary_cross_entropy_with_logits(traits[:, 0], batch["sex"]),
        }
        wrong = (traits[:, 0] > 0) != (batch["sex"] > 0.5)
        total = sum(getattr(self.recipe, f"{name}_weight") * v for name, v in losses.items())
        return {"loss": total, **losses, "sex_wrong": wrong.float().mean()}


class FaceTask:
    """Portraits of some people to learn from and of others to judge by: what the loop needs."""

    def __init__(
        self,
        recipe: FaceRecipe,
        people: People,
        portraits: PortraitShard,
        held_out: Int64[np.ndarray, " some"],
        habits: Habits,
    ) -> None:
        """`held_out` are the people to judge by, of those whom `portraits` show."""
        self.recipe, self.portraits = recipe, portraits
        torch.manual_seed(recipe.seed)
        judged = np.isin(portraits.identity, held_out)
        self._rows, self._held_out = np.flatnonzero(~judged), np.flatnonzero(judged)
        self._pixels = torch.from_numpy(shrunk(portraits.pixels, recipe.side))
        self._facts = facts(people, measure_scales(people))
        self._facts["told"] = habits.told_by(people)
        shapes, measures = portraits.shape_params.shape[1], self._facts["measures"].shape[1]
        ties = torch.from_numpy(habits.ties[:TOLD]).float()
        self.net: nn.Module = FaceNets(recipe, shapes, measures, ties)
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )

    def batch(self, rng: np.random.Generator) -> Batch:
        """Pictures drawn by lot, each in its own view."""
        size = min(self.recipe.batch_size, len(self._rows))
        rows = np.sort(rng.choice(self._rows, size, replace=False))
        return {
            **self._about(rows),
            "pictures": viewed(self._pixels[rows], Views().scaled(self.recipe.views)),
        }

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on pictures of people that the net was not trained on."""
        parts = np.split(self._held_out, range(AT_ONCE, len(self._held_out), AT_ONCE))
        batches = (
            (len(rows), {**self._about(rows), "pictures": scaled(self._pixels[rows])})
            for rows in parts
        )
        means = mean_losses(self.net, batches, device)
        return {**means, "selection": means["loss"]}

    def _about(self, rows: Int64[np.ndarray, " rows"]) -> Batch:
        owners = torch.from_numpy(self.portraits.identity[rows])
        about = {name: value[owners] for name, value in self._facts.items()}
        return {**about, "shape": torch.from_numpy(self.portraits.shape_params[rows])}


def measure_scales(people: People) -> Float[np.ndarray, "2 measures"]:
    """Mean and deviation of the proportions of people."""
    shown = proportions(people)
    return np.stack([shown.mean(0), shown.std(0)])


def facts(people: People, scales: Float[np.ndarray, "2 measures"]) -> Batch:
    """Standard scores of the proportions and of the age, and 1 for a woman."""
    mean, deviation = TRAIT_SCALES["age"]
    return {
        "measures": torch.from_numpy((proportions(people) - scales[0]) / scales[1]).float(),
        "age": torch.from_numpy((people.age - mean) / deviation).float(),
        "sex": torch.from_numpy(people.mode == 1).float(),
    }


def shrunk(
    pixels: UInt8[np.ndarray, "rows size size 3"], side: int
) -> UInt8[np.ndarray, "rows {side} {side} 3"]:
    """Pictures as `voicemesh.images.prepare` scales them for a net of this side."""
    if pixels.shape[1] == side:
        return pixels
    resized = (Image.fromarray(p).resize((side, side), Image.Resampling.BICUBIC) for p in pixels)
    return np.stack([np.asarray(picture) for picture in resized])


@torch.inference_mode()
def face_codes(
    backbone: IrBackbone, pixels: UInt8[Tensor, "rows side side 3"], views: Views | None
) -> Float32[np.ndarray, "rows features"]:
    """What the backbone says of one view of each picture; None: of the picture itself."""
    found, device = [], next(backbone.parameters()).device
    backbone.eval()
    with tqdm(total=len(pixels), unit="picture", desc="looking", disable=None) as bar:
        for some in pixels.split(AT_ONCE):
            pictures = scaled(some) if views is None else viewed(some, views)
            found.append(backbone(pictures.to(device)).cpu().numpy())
            bar.update(len(some))
    return np.concatenate(found)


def begin_with(backbone: IrBackbone, other: IrBackbone) -> None:
    """Take over another backbone but for its last layers, which say what of a face is told.

    Raises:
        ValueError: they are not alike.
    """
    for name in ("input_layer", "body"):
        own, given = (getattr(net, name).state_dict() for net in (backbone, other))
        sizes = [{(k, tuple(v.shape)) for k, v in some.items()} for some in (own, given)]
        if unlike := sizes[0] ^ sizes[1]:
            raise ValueError(
                f"The face backbone to begin with has other sizes: {sorted(unlike)[:3]};"
                " choose its units and widths, or face_start= for none"
            )
        getattr(backbone, name).load_state_dict(given)


def trained_backbone(run: Path, recipe: FaceRecipe) -> IrBackbone:
    """The backbone of a run's best net."""
    backbone = IrBackbone(
        recipe.units, recipe.widths, recipe.side, recipe.code, dropout=0.0, stem=2
    )
    backbone.load_state_dict(best_of(run, "backbone"))
    return backbone.eval()

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
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.devices import halved
from voicemesh.nets.irse import IrBackbone, ResidualUnit
from voicemesh.population.law import People
from voicemesh.population.likelihood import proportions
from voicemesh.population.portrait_set import PortraitShard

from .face_marks import Marks
from .face_views import Views, random_moves, scaled, seen, viewed
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
    marks_weight: float = 1.0  # of where landmarks lie, which teaches the layers below the code
    looks_weight: float = 0.3  # of skin, eyes and hair, which do the same
    views: float = 1.0  # strength of what is done to pictures
    seed: int = 0


class FaceNets(nn.Module):
    """The backbone, and what it is asked while it learns."""

    def __init__(
        self,
        recipe: FaceRecipe,
        shapes: int,
        measures: int,
        looks: int,
        ties: Float[Tensor, " told"],
        marks: Marks | None = None,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        backbone = IrBackbone(
            recipe.units, recipe.widths, recipe.side, recipe.code, dropout=0.0, stem=2
        )
        self.backbone = backbone.to(memory_format=torch.channels_last)
        below = backbone.output_layer[-2].in_features
        self.looks = nn.Linear(below, looks)
        if marks is not None:
            usual, apart = marks.scales()
            self.marks = nn.Linear(below, usual.numel())
            self.register_buffer("usual", usual, persistent=False)
            self.register_buffer("apart", apart, persistent=False)
        self.shape = nn.Linear(recipe.code, shapes)
        self.measures = nn.Linear(recipe.code, measures)
        self.traits = nn.Linear(recipe.code, 2)  # sex, age
        self.told = nn.Linear(recipe.code, len(ties))
        self.register_buffer("ties", ties / ties.sum(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum."""
        pictures = batch["pictures"].contiguous(memory_format=torch.channels_last)
        backbone = self.backbone
        with halved(pictures.device, self.training):
            maps = backbone.body(backbone.input_layer(pictures))
            features = backbone.output_layer(maps)
        features, below = features.float(), maps.float().flatten(1)
        traits = self.traits(features)
        errors = (self.told(features) - batch["told"]).square()
        losses = {
            "tied": (errors @ self.ties).mean(),
            "shape": (self.shape(features) - batch["shape"]).square().mean(),
            "measures": (self.measures(features) - batch["measures"]).square().mean(),
            "age": (traits[:, 1] - batch["age"]).square().mean(),
            "sex": functional.binary_cross_entropy_with_logits(traits[:, 0], batch["sex"]),
            "looks": (self.looks(below) - batch["looks"]).square().mean(),
        }
        if "marks" in batch:
            meant = (batch["marks"] - self.usual) / self.apart
            told = self.marks(below).view_as(meant)
            losses["marks"] = (told - meant).norm(dim=2).mean()
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
        face_model: MorphableModel | None = None,
    ) -> None:
        """`held_out` are the people to judge by, of those whom `portraits` show.

        Without the model of their heads nothing is asked of landmarks.
        """
        self.recipe, self.portraits = recipe, portraits
        torch.manual_seed(recipe.seed)
        judged = np.isin(portraits.identity, held_out)
        self._rows, self._held_out = np.flatnonzero(~judged), np.flatnonzero(judged)
        self._pixels = torch.from_numpy(shrunk(portraits.pixels, recipe.side))
        self._facts = facts(people, measure_scales(people))
        self._facts["told"] = habits.told_by(people)
        self._looks = standard(portraits.look)
        self._marks = Marks.of(portraits, face_model) if face_model else None
        told = portraits.shape_params.shape[1], self._facts["measures"].shape[1]
        ties = torch.from_numpy(habits.ties[:TOLD]).float()
        looks = self._looks.shape[1]
        self.net: nn.Module = FaceNets(recipe, *told, looks, ties, self._marks)
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )

    def batch(self, rng: np.random.Generator) -> Batch:
        """Pictures drawn by lot, each in its own view."""
        size = min(self.recipe.batch_size, len(self._rows))
        rows = np.sort(rng.choice(self._rows, size, replace=False))
        views = Views().scaled(self.recipe.views)
        moves = random_moves(size, views)
        return {
            **self._about(rows, moves),
            "pictures": seen(self._pixels[rows], views, moves),
        }

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on pictures of people that the net was not trained on."""
        parts = np.split(self._held_out, range(AT_ONCE, len(self._held_out), AT_ONCE))
        batches = (
            (len(rows), {**self._about(rows, None), "pictures": scaled(self._pixels[rows])})
            for rows in parts
        )
        means = mean_losses(self.net, batches, device)
        return {**means, "selection": means["loss"]}

    def _about(
        self, rows: Int64[np.ndarray, " rows"], moves: Float[Tensor, "rows 2 3"] | None
    ) -> Batch:
        """What is known of pictures, or of views of them."""
        owners = torch.from_numpy(self.portraits.identity[rows])
        about = {name: value[owners] for name, value in self._facts.items()}
        about["shape"] = torch.from_numpy(self.portraits.shape_params[rows])
        about["looks"] = self._looks[torch.from_numpy(rows)]
        if self._marks:
            plain = torch.eye(2, 3).expand(len(rows), 2, 3)
            about["marks"] = self._marks.seen(rows, plain if moves is None else moves)
        return about


def standard(values: Float32[np.ndarray, "rows k"]) -> Float[Tensor, "rows k"]:
    """z-scores; zeros where all rows are alike."""
    deviation = values.std(0)
    return torch.from_numpy((values - values.mean(0)) / np.where(deviation > 1e-6, deviation, 1))


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

    Units that a stage has more than the other's begin by adding nothing.

    Raises:
        ValueError: they are not alike.
    """
    stages = stages_of(backbone), stages_of(other)
    pairs = [(backbone.input_layer, other.input_layer)]
    for own, given in zip(*stages, strict=False):
        pairs += zip(own, given, strict=False)
    sizes = [[{k: v.shape for k, v in n.state_dict().items()} for n in p] for p in pairs]
    longer = any(len(given) > len(own) for own, given in zip(*stages, strict=False))
    if longer or len(stages[0]) != len(stages[1]) or any(own != given for own, given in sizes):
        raise ValueError(
            "The face backbone to begin with has other sizes; choose its units (or more of a stage)"
            " and widths, or face_start= for none"
        )
    for own, given in pairs:
        own.load_state_dict(given.state_dict())
    for own, given in zip(*stages, strict=True):
        for unit in own[len(given) :]:
            nn.init.zeros_(unit.res_layer[-1].weight)


def stages_of(backbone: IrBackbone) -> list[list[ResidualUnit]]:
    """The units of each stage, whose first one halves the picture."""
    stages: list[list[ResidualUnit]] = []
    for unit in backbone.body:
        if unit.res_layer[3].stride != (1, 1):
            stages.append([])
        stages[-1].append(unit)
    return stages


def trained_backbone(run: Path, recipe: FaceRecipe) -> IrBackbone:
    """The backbone of a run's best net."""
    backbone = IrBackbone(
        recipe.units, recipe.widths, recipe.side, recipe.code, dropout=0.0, stem=2
    )
    backbone.load_state_dict(best_of(run, "backbone"))
    return backbone.eval()

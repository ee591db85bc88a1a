"""The image teacher of Cross-Modal Perceptionist: photographs to a morphable head (SynergyNet).

The publication took its teacher from a corpus of fitted photographs; ours learns from portraits of
the population, whose heads and cameras are known.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.mesh.basel import MICROMETRES
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.synergynet import CROP, IMAGE_TOP, POSE, Pose, SynergyNet
from voicemesh.population.portrait_set import PortraitSet, PortraitShard
from voicemesh.population.portraits import LOOKS
from voicemesh.systems.cmp import shape_gram, squared_distance

from .face_crops import Cropping, halved, moved, plain_crops, random_moves, varied_crops
from .loop import Batch, LoopSettings, mean_losses, train
from .runs import best_of
from .schedules import one_cycle

SAMPLED = 4000  # cameras that the whitening of the pose is measured on
Z_OFFSET = 11  # of the pose: where the head is along the view, which no weak perspective tells
VALIDATION_AT_ONCE = 60


@dataclass(frozen=True)
class TeacherRecipe:
    """A regressor of the published size; its losses are on parameters and on landmarks."""

    width: float = 1.0
    side: int = 0  # pixels that crops are averaged to before the net looks; 0 leaves them
    halve: bool = False  # the portraits, which spares time where `side` is small
    size: int = 128  # of the portraits
    partial: bool = False  # take portraits that are still being made, as far as they are
    steps: int = 30_000
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    pose_weight: float = 1.0
    shape_weight: float = 0.2
    mesh_weight: float = 0.02  # of the squared error of the resting mesh, mm2
    expression_weight: float = 0.3
    landmark_weight: float = 0.1  # of the mean distance in the crop, pixels
    look_weight: float = 0.05
    start: str = ""  # folder of a run to start from
    seed: int = 0


BUNDLE = TeacherRecipe(
    width=0.5, side=60, halve=True, steps=2600, batch_size=64, learning_rate=5e-3
)
RECIPES = {"published": TeacherRecipe(), "bundle": BUNDLE}


class TeacherNets(nn.Module):
    """The regressor and its losses."""

    def __init__(self, recipe: TeacherRecipe, face_model: MorphableModel) -> None:
        super().__init__()
        shapes, expressions = (
            basis.shape[2] for basis in (face_model.shape_basis, face_model.expression_basis)
        )
        self.recipe = recipe
        net = SynergyNet(shapes, expressions, len(LOOKS), recipe.width, recipe.side)
        self.teacher = net.to(memory_format=torch.channels_last)
        moving = (face_model.expression_basis * face_model.expression_deviation).square()
        fixed = {
            "gram": shape_gram(face_model) / len(face_model.mean),
            "movement": moving.sum((0, 1)) / moving.sum(),
            "rest": landmarks_of(face_model, face_model.vertices(torch.zeros(shapes))),
            "basis": torch.cat(
                [
                    landmarks_of(face_model, basis * deviation)
                    for basis, deviation in (
                        (face_model.shape_basis, face_model.shape_deviation),
                        (face_model.expression_basis, face_model.expression_deviation),
                    )
                ],
                2,
            ),
        }
        for name, value in fixed.items():
            self.register_buffer(name, value, persistent=False)  # known to every run

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum."""
        net, recipe = self.teacher, self.recipe
        params = net(batch["image"].contiguous(memory_format=torch.channels_last)).params
        shape, expression = net.face_params(params)
        looks = params[:, POSE + shape.shape[1] + expression.shape[1] :]
        pose = (batch["pose"] - net.pose_mean) / net.pose_deviation
        seen = Pose.of(net.pose_numbers(params))
        told = seen.image(self.landmarks(shape, expression) * scaled(seen))
        true = Pose.of(batch["pose"])
        meant = true.image(self.landmarks(batch["shape"], batch["expression"]) * scaled(true))
        known = [number for number in range(POSE) if number != Z_OFFSET]
        losses = {
            "pose": (params[:, known] - pose[:, known]).square().mean(),
            "shape": (shape - batch["shape"]).square().mean(),
            "mesh": squared_distance(shape - batch["shape"], self.gram).mean(),
            "expression": ((expression - batch["expression"]).square() @ self.movement).mean(),
            "landmark": (told - meant)[..., :2].norm(dim=2).mean(),
            "look": (looks - batch["looks"]).square().mean(),
        }
        total = sum(getattr(recipe, f"{name}_weight") * value for name, value in losses.items())
        return {"loss": total, **losses}

    def landmarks(
        self, shape: Float[Tensor, "batch s"], expression: Float[Tensor, "batch e"]
    ) -> Float[Tensor, "batch 68 3"]:
        """The landmarks of heads, mm."""
        params = torch.cat([shape, expression], 1)
        return self.rest + torch.einsum("vcp,bp->bvc", self.basis, params)


def landmarks_of(
    face_model: MorphableModel, values: Float[Tensor, " v *rest"]
) -> Float[Tensor, " 68 *rest"]:
    """The rows of the landmarks."""
    return values[face_model.landmarks]


def scaled(pose: Pose) -> Float[Tensor, "batch 1 1"]:
    """Pixels of the crop per millimetre."""
    return (MICROMETRES * pose.scale)[:, None, None]


def pose_of(camera: Float[Tensor, "batch 3 4"]) -> Float[Tensor, "batch 12"]:
    """The published numbers of a camera: pixels per micrometre, y up from row IMAGE_TOP."""
    up = camera.clone()
    up[:, 1] = -up[:, 1]
    up[:, 1, 3] += IMAGE_TOP
    up[:, :, :3] /= MICROMETRES
    return up.flatten(1)


class TeacherTask:
    """Portraits to learn from and portraits to judge by: what the loop needs to train."""

    def __init__(
        self,
        recipe: TeacherRecipe,
        portraits: PortraitShard,
        judging: PortraitShard,
        face_model: MorphableModel,
    ) -> None:
        self.recipe, self.judging = recipe, judging
        self.portraits = halved(portraits) if recipe.halve else portraits
        torch.manual_seed(recipe.seed)
        self.net: nn.Module = TeacherNets(recipe, face_model)
        self.looks = look_scales(portraits)
        whiten(self.net.teacher, self.portraits, recipe.seed)
        if recipe.start:
            self.net.load_state_dict(best_of(Path(recipe.start)))
        self.optimiser, self.schedule = one_cycle(
            self.net.parameters(), recipe.steps, recipe.learning_rate, recipe.weight_decay
        )

    def batch(self, rng: np.random.Generator) -> Batch:
        """Pictures drawn by lot, each cropped and spoilt in its own way."""
        there, asked = len(self.portraits), self.recipe.batch_size
        rows = np.sort(rng.choice(there, asked, replace=asked > there))
        some = self.portraits.rows(rows)
        side = self.recipe.side or CROP
        return self._about(some, *varied_crops(some, rng, Cropping(), side))

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on whole portraits of people that the net was not trained on."""
        rows = np.arange(len(self.judging))
        parts = np.split(rows, range(VALIDATION_AT_ONCE, len(rows), VALIDATION_AT_ONCE))
        judged = (self.judging.rows(some) for some in parts)
        batches = ((len(some), self._about(some, *plain_crops(some))) for some in judged)
        means = mean_losses(self.net, batches, device)
        return {**means, "selection": means["loss"]}

    def _about(
        self,
        portraits: PortraitShard,
        image: Float[Tensor, "batch 3 _ _"],
        camera: Float[Tensor, "batch 3 4"],
    ) -> Batch:
        middle, spread = self.looks
        return {
            "image": image,
            "pose": pose_of(camera),
            "shape": torch.from_numpy(portraits.shape_params),
            "expression": torch.from_numpy(portraits.expression_params),
            "looks": torch.from_numpy((portraits.look - middle) / spread),
        }


def look_scales(portraits: PortraitShard) -> Float[np.ndarray, "2 looks"]:
    """Mean and deviation of everyone's look, by which the net's texture numbers are whitened.

    Where all are the same, as in small populations without a beard, the deviation is put at 1.
    """
    deviation = portraits.look.std(0)
    scale = np.where(deviation > 1e-6, deviation, 1.0)
    return np.stack([portraits.look.mean(0), scale]).astype(np.float32)


def whiten(net: SynergyNet, portraits: PortraitShard, seed: int) -> None:
    """Measure the whitening of the pose on crops as they are trained on."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(portraits), size=SAMPLED)
    moves = random_moves(SAMPLED, portraits.pixels.shape[1], rng, Cropping())
    numbers = pose_of(moved(portraits.camera[rows], moves))
    net.pose_mean.copy_(numbers.mean(0))
    net.pose_deviation.copy_(numbers.std(0).clamp(min=1e-9))


def start(
    data: Path,
    run: Path,
    recipe: TeacherRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the portraits of the population in `data`, in the folder `run`; again to go on.

    The face model is that of `bundle`. Returns the best validation so far.
    """
    portraits = PortraitSet.open(data / f"portraits-{recipe.size}", partial=recipe.partial)
    task = TeacherTask(
        recipe,
        portraits.gathered("train"),
        portraits.gathered("validation"),
        bundle.face_model(),
    )
    return train(task, recipe, run, LoopSettings(recipe.steps, recipe.seed, minutes=minutes))

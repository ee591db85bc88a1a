"""CMPC as a task of the loop: its videos, its schedule, what it begins with, its validation."""

import logging
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_VOICE
from voicemesh.evaluation import verification
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.population.dataset import Population

from . import cmpc_losses
from .cmp import hide
from .cmpc_coded import coded_videos
from .cmpc_nets import RECIPES as RECIPES
from .cmpc_nets import CmpcNets, CmpcRecipe, begin_with
from .cmpc_videos import Videos, population_videos, published_videos
from .loop import Batch, LoopSettings, train

log = logging.getLogger(__name__)

VALIDATION_FRAMES = 300
VALIDATION_VIDEOS = 2000
VALIDATION_BATCH = 50


def beginning(recipe: CmpcRecipe, bundle: Bundle) -> VoiceEncoder | None:
    """The voice encoder that a recipe begins with, if any.

    Raises:
        ValueError: the recipe wants another.
    """
    if recipe.start not in ("", "bundle"):
        raise ValueError(f'start={recipe.start!r}; there are "bundle" and none')
    return bundle.net(CMP_VOICE) if recipe.start else None


def warm_cosine(
    net: nn.Module, recipe: CmpcRecipe
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam at a rate that rises in a line, then falls to the first rate along a cosine."""
    low, peak, warm = recipe.first_rate, recipe.peak_rate, max(1, recipe.warm_steps)

    def rate(step: int) -> float:
        if step < warm:
            return (low + (peak - low) * step / warm) / peak
        share = min(1.0, (step - warm) / max(1, recipe.steps - warm))
        return (low + (peak - low) * (1 + math.cos(math.pi * share)) / 2) / peak

    optimiser = torch.optim.Adam(net.parameters(), lr=peak, weight_decay=recipe.weight_decay)
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


class CmpcTask:
    """Videos and nets: what the loop needs to train."""

    def __init__(self, recipe: CmpcRecipe, videos: Videos, start: nn.Module | None = None) -> None:
        self.recipe, self.videos = recipe, videos
        most = max(recipe.levels, default=0)
        if most > len(videos.learnt):
            raise ValueError(
                f"{len(videos.learnt)} videos cannot make {most} clusters; choose smaller levels"
            )
        torch.manual_seed(recipe.seed)
        self.net: nn.Module = CmpcNets(recipe, len(videos.learnt))
        if start is not None:
            begin_with(self.net.voice, start)
        self.optimiser, self.schedule = warm_cosine(self.net, recipe)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Videos drawn with replacement, as published: a voice and a face of each."""
        recipe = self.recipe
        drawn = rng.integers(len(self.videos.learnt), size=recipe.batch_size)
        frames = int(rng.integers(recipe.shortest_crop, recipe.longest_crop + 1))
        numbers = self.videos.learnt[drawn]
        heard = self.videos.voices(numbers, frames, rng)
        if not recipe.coded:
            hide(heard, recipe.masked_bands, recipe.masked_frames, rng)
        return {
            "features": heard,
            "pixels": self.videos.pictures(numbers, rng),
            "video": torch.from_numpy(drawn),
        }

    def validate(self, device: torch.device) -> dict[str, float]:
        """Which of two faces came with a voice, on videos of other people: no label is looked at.

        Where nobody is held out, as published, the newest net counts as the best.
        """
        every = max(1, len(self.videos.held_out) // VALIDATION_VIDEOS)
        chosen = self.videos.held_out[::every][:VALIDATION_VIDEOS]
        if len(chosen) < 2:
            return {"selection": -float(self.net.steps)}
        parts: list[tuple[Tensor, Tensor]] = []
        frames = min(max(VALIDATION_FRAMES, self.recipe.shortest_crop), self.recipe.longest_crop)
        for some in np.split(chosen, range(VALIDATION_BATCH, len(chosen), VALIDATION_BATCH)):
            heard = self.videos.voices(some, frames, None).to(device)
            seen = self.videos.pictures(some, None).to(device)
            parts.append(self.net.embeddings(heard, seen))
        voices, faces = (torch.cat(side) for side in zip(*parts, strict=True))
        cosines = cmpc_losses.cosines(voices, faces).cpu()
        pairs = torch.eye(len(chosen), dtype=torch.bool)
        contrast = cmpc_losses.instance_contrast(voices, faces, self.recipe.temperature)
        area = verification.auc(cosines.numpy().ravel(), pairs.numpy().ravel())
        return {"contrast": float(contrast.mean()), "auc": area, "selection": 1 - area}


def videos_of(data: Path, recipe: CmpcRecipe, workers: int = 1) -> Videos:
    """The videos of a population's folder, or of the published data."""
    if (data / "dataset.json").exists():
        population = Population.open(data)
        return population_videos(
            population,
            recipe.front_end,
            recipe.side,
            recipe.held_out,
            workers,
            recipe.long_videos,
        )
    return published_videos(
        data, recipe.splits, recipe.measured_splits, recipe.front_end, recipe.side
    )


def start(
    data: Path,
    run: Path,
    recipe: CmpcRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on a population or on the published data, in the folder `run`; call again to go on.

    Returns the best validation so far.
    """
    if recipe.coded:
        return train_on_codes(Population.open(data), run, recipe, bundle, minutes, workers)
    videos, voice = videos_of(data, recipe, workers), beginning(recipe, bundle)
    task = CmpcTask(recipe, videos, voice)
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes, validate_every=100)
    return train(task, recipe, run, settings)


def train_on_codes(
    population: Population,
    run: Path,
    recipe: CmpcRecipe,
    bundle: Bundle,
    minutes: float,
    workers: int,
) -> dict[str, float]:
    """Backbones first, then their codes, then CMPC with heads on them."""
    found = coded_videos(population, run, recipe, bundle, minutes, workers)
    if found is None:
        return {}
    videos, trunk, backbone = found
    task = CmpcTask(recipe, videos)
    task.net.voice.model.load_state_dict(trunk.state_dict())
    task.net.face.model.load_state_dict(backbone.state_dict())
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes, validate_every=100)
    return train(task, recipe, run, settings)

"""CMPC as a task of the loop: recipes, the nets with their memory and clusters, one step."""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from safetensors.torch import load_file
from torch import Tensor, distributed, nn

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation import verification
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder, ResNetEncoder
from voicemesh.population.dataset import Population

from . import cmpc
from .cmp import hide
from .cmpc_videos import PopulationVideos, Videos, population_videos, published_videos
from .face_views import Views, scaled, viewed
from .heard import heard
from .loop import Batch, LoopSettings, train
from .prototypes import clusters_of
from .voice_backbone import trained_encoder

log = logging.getLogger(__name__)

VALIDATION_FRAMES = 300
VALIDATION_VIDEOS = 2000
VALIDATION_BATCH = 50
SIDES = ("voice", "face")


@dataclass(frozen=True)
class CmpcRecipe:
    """CMPC without labels; the defaults are the published run, faults included."""

    front_end: str = "cmpc"
    voice_widths: tuple[int, ...] = ()  # of a small voice net; none: as the face net, one channel
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    grid: int = 0  # of a small face net; 0: the mean over the plane
    embedding: int = 512
    side: int = 224  # of the pictures, in pixels
    steps: int = 25_000  # 3 200 000 samples
    batch_size: int = 128
    shortest_crop: int = 500  # frames
    longest_crop: int = 500
    masked_bands: int = 0  # at most so many neighbouring channels of a crop are hidden
    masked_frames: int = 0
    views: float = 0.0  # strength of what is done to pictures; the authors do nothing
    first_rate: float = 1e-4
    peak_rate: float = 5e-3
    warm_steps: int = 2500
    weight_decay: float = 1e-5
    published: bool = True  # False: losses and clustering as meant, see `training.cmpc`
    temperature: float = cmpc.TEMPERATURE
    levels: tuple[int, ...] = (500, 1000, 1500)  # clusters; none: instances alone
    rounds: int = 20
    cluster_from: int = 300_000  # samples
    cluster_every: int = 282  # steps
    mean_density: float = 0.2
    momentum: float = 0.5  # of the memory
    shift: float = -1.0
    sharpness: float = 0.1
    splits: tuple[int, ...] = (1, 2)  # of published data: SETs of identity_splits.txt
    measured_splits: tuple[int, ...] = ()  # SETs to measure on while training
    long_videos: bool = False  # of a population: all sessions of a person are one video
    held_out: int = 0  # people of a population's training split to measure on
    start: str = ""  # voice trunk to begin with: "bundle" (its cmp-voice-encoder), a run's folder
    fixed_trunk: bool = False  # and to leave as it is: only the last layer of the voice learns
    start_face: str = ""  # folder of a run of CMPC whose face net to begin with
    bfloat16: bool = False  # convolutions of training in half precision
    seed: int = 0


BUNDLE = CmpcRecipe(
    front_end="voicemesh",
    voice_widths=(128, 192, 288, 432),
    blocks=(1, 1, 1, 1),
    widths=(24, 48, 96, 160),
    grid=3,
    embedding=128,
    side=96,
    steps=1600,
    batch_size=128,
    shortest_crop=160,
    longest_crop=348,
    masked_bands=8,
    masked_frames=20,
    views=1.0,
    peak_rate=2e-3,
    first_rate=1e-5,
    warm_steps=150,
    weight_decay=1e-4,
    published=False,
    temperature=0.1,
    levels=(64, 128, 256),
    cluster_from=100_000,
    cluster_every=150,
    long_videos=True,
    held_out=150,
    start="bundle",
    fixed_trunk=True,
    bfloat16=True,
)
RECIPES = {"published": CmpcRecipe(), "bundle": BUNDLE}


class CmpcNets(nn.Module):
    """Both encoders, and what is remembered of every video: banks and their clusters.

    All of it is state: a run goes on from its state dict alone.
    """

    def __init__(self, recipe: CmpcRecipe, videos: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.voice, self.face = encoders(recipe)
        self.face = self.face.to(memory_format=torch.channels_last)
        if recipe.fixed_trunk:
            self.voice.trunk.requires_grad_(False)
        generator = torch.Generator().manual_seed(recipe.seed)
        memory = cmpc.Memory.random(videos, recipe.embedding, generator)
        self.register_buffer("voice_bank", memory.voices)
        self.register_buffer("face_bank", memory.faces)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("samples", torch.zeros((), dtype=torch.long))
        self.register_buffer("clustered", torch.zeros((), dtype=torch.bool))
        for side in SIDES:
            for level, count in enumerate(recipe.levels):
                empty = torch.zeros(count, recipe.embedding)
                self.register_buffer(f"{side}_centroids_{level}", empty)
                self.register_buffer(f"{side}_density_{level}", torch.ones(count))
                rows = torch.zeros(videos, dtype=torch.long)
                self.register_buffer(f"{side}_assignment_{level}", rows)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses of a batch; while training also what it does to the memory."""
        recipe, videos = self.recipe, batch["video"]
        if self.training:
            self.cluster()
        voices, faces = self.embeddings(batch["features"], batch["pixels"])
        clusters = [self.clusters(side) for side in SIDES] if self.clustered else [(), ()]
        terms = cmpc.losses(
            voices,
            faces,
            videos,
            *clusters,
            temperature=recipe.temperature,
            recalibration=cmpc.Recalibration(recipe.shift, recipe.sharpness),
            published=recipe.published,
        )
        if self.training:
            self.remember(videos, voices, faces)
        right = cmpc.cosines(voices, faces).argmax(1) == torch.arange(len(videos)).to(videos)
        return {
            "loss": terms.total,
            "voice_to_face": terms.voice_to_face.mean(),
            "face_to_voice": terms.face_to_voice.mean(),
            "right": right.float().mean(),
        }

    def embeddings(
        self,
        features: Float[Tensor, "batch channels frames"],
        pixels: UInt8[Tensor, "batch side _ 3"],
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Of voices and of faces; while training, of random views of the faces.

        Where the trunk is fixed, the features are what it heard, see `training.heard`.
        """
        recipe = self.recipe
        seen = self.training and recipe.views > 0
        image = viewed(pixels, Views().scaled(recipe.views)) if seen else scaled(pixels)
        image = image.contiguous(memory_format=torch.channels_last)
        half = recipe.bfloat16 and self.training
        with torch.autocast(features.device.type, torch.bfloat16, enabled=half):
            if recipe.fixed_trunk:
                voices = self.voice.of_maps(features)
            elif isinstance(self.voice, ResNetEncoder):
                voices = self.voice(features[:, None])
            else:
                voices = self.voice(features)
            faces = self.face(image)
        return voices.float(), faces.float()

    @torch.no_grad()
    def cluster(self) -> None:
        """K-means of both banks when it is time; as published, what it found serves one batch."""
        recipe = self.recipe
        if recipe.published:
            self.clustered.fill_(False)
        due = self.samples >= recipe.cluster_from and self.steps % recipe.cluster_every == 0
        if not recipe.levels or not due:
            return
        for side in SIDES:
            for level, count in enumerate(recipe.levels):
                made, _ = clusters_of(
                    self.get_buffer(f"{side}_bank"),
                    count,
                    recipe.rounds,
                    recipe.published,
                    recipe.mean_density,
                    recipe.seed + int(self.steps),
                )
                for name in ("centroids", "density", "assignment"):
                    self.get_buffer(f"{side}_{name}_{level}").copy_(getattr(made, name))
        self.clustered.fill_(True)

    def clusters(self, side: str) -> list[cmpc.Clusters]:
        """The newest clusters of one side, level by level."""
        return [
            cmpc.Clusters(
                *(
                    self.get_buffer(f"{side}_{name}_{level}")
                    for name in ("centroids", "density", "assignment")
                )
            )
            for level in range(len(self.recipe.levels))
        ]

    @torch.no_grad()
    def remember(
        self,
        videos: Int64[Tensor, " batch"],
        voices: Float[Tensor, "batch embedding"],
        faces: Float[Tensor, "batch embedding"],
    ) -> None:
        """Move the banks after the videos of all processes, and count them."""
        videos, voices, faces = (everywhere(part.detach()) for part in (videos, voices, faces))
        cmpc.moved(self.voice_bank, videos, voices, self.recipe.momentum)
        cmpc.moved(self.face_bank, videos, faces, self.recipe.momentum)
        self.steps += 1
        self.samples += len(videos)


def encoders(recipe: CmpcRecipe) -> tuple[nn.Module, nn.Module]:
    """The voice net and the face net of a recipe, untrained."""
    channels = FRONT_ENDS[recipe.front_end].channels
    if recipe.voice_widths:
        voice = FeatureVoiceEncoder(
            recipe.front_end, channels, recipe.voice_widths, recipe.embedding
        )
    else:
        voice = ResNetEncoder(1, recipe.blocks, recipe.widths, recipe.embedding)
    if recipe.grid:
        face = GridFaceEncoder(
            recipe.side, recipe.blocks, recipe.widths, recipe.grid, recipe.embedding
        )
    else:
        face = ResNetEncoder(3, recipe.blocks, recipe.widths, recipe.embedding)
    return voice, face


def begin_with(voice: nn.Module, other: nn.Module) -> None:
    """Take over a voice encoder but for its last layer.

    Raises:
        ValueError: the nets are not alike.
    """
    if not isinstance(voice, FeatureVoiceEncoder) or not isinstance(other, VoiceEncoder):
        raise ValueError("Only a small voice net can begin with the trunk of a voice encoder")
    own, given = voice.trunk.state_dict(), other.model[:-1].state_dict()
    unlike = [k for k, v in own.items() if k not in given or given[k].shape != v.shape]
    if unlike or len(own) != len(given):
        raise ValueError(f"The voice encoder to begin with has other sizes: {unlike or 'layers'}")
    voice.trunk.load_state_dict(given)


def beginning(recipe: CmpcRecipe, bundle: Bundle) -> VoiceEncoder | None:
    """The voice encoder that a recipe begins with, if any."""
    if not recipe.start:
        return None
    encoder = bundle.net("cmp-voice-encoder")
    return encoder if recipe.start == "bundle" else trained_encoder(Path(recipe.start), encoder)


def everywhere(part: Tensor) -> Tensor:
    """The rows of all processes; those of this one where it is alone."""
    if not distributed.is_available() or not distributed.is_initialized():
        return part
    parts = [torch.empty_like(part) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


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
        if recipe.start_face:
            tensors = load_file(Path(recipe.start_face) / "best.safetensors")
            own = {k.removeprefix("face."): v for k, v in tensors.items() if k.startswith("face.")}
            self.net.face.load_state_dict(own)
        self.optimiser, self.schedule = warm_cosine(self.net, recipe)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Videos drawn with replacement, as published: a voice and a face of each."""
        recipe = self.recipe
        drawn = rng.integers(len(self.videos.learnt), size=recipe.batch_size)
        frames = int(rng.integers(recipe.shortest_crop, recipe.longest_crop + 1))
        numbers = self.videos.learnt[drawn]
        heard = self.voices(numbers, frames, rng)
        if not recipe.fixed_trunk:
            hide(heard, recipe.masked_bands, recipe.masked_frames, rng)
        return {
            "features": heard,
            "pixels": self.videos.pictures(numbers, rng),
            "video": torch.from_numpy(drawn),
        }

    def voices(
        self, videos: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Float[Tensor, "batch channels _"]:
        """Crops of so many frames of features, or of what became of them in a fixed trunk."""
        halvings = len(self.recipe.voice_widths) if self.recipe.fixed_trunk else 0
        return self.videos.voices(videos, max(1, frames >> halvings), rng)

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
            heard = self.voices(some, frames, None).to(device)
            seen = self.videos.pictures(some, None).to(device)
            parts.append(self.net.embeddings(heard, seen))
        voices, faces = (torch.cat(side) for side in zip(*parts, strict=True))
        cosines = cmpc.cosines(voices, faces).cpu()
        pairs = torch.eye(len(chosen), dtype=torch.bool)
        contrast = cmpc.instance_contrast(voices, faces, self.recipe.temperature)
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
    videos, voice = videos_of(data, recipe, workers), beginning(recipe, bundle)
    if recipe.fixed_trunk:
        if voice is None or not isinstance(videos, PopulationVideos):
            raise ValueError("fixed_trunk=true needs a population and a `start` to fix")
        utterances = heard(data, videos.utterances, voice.model[:-1])
        videos = replace(videos, utterances=utterances)
    task = CmpcTask(recipe, videos, voice)
    settings = LoopSettings(recipe.steps, recipe.seed, minutes=minutes, validate_every=100)
    return train(task, recipe, run, settings)

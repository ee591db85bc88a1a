"""CMPC's recipes, and its nets with the memory of every video: banks and their clusters."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, distributed, nn

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.parts import CMP_VOICE
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder, ResNetEncoder
from voicemesh.nets.devices import halved
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder

from . import cmpc_losses
from .face_views import Views, scaled, viewed
from .loop import Batch
from .prototypes import clusters_of

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
    published: bool = True  # False: losses and clustering as meant, see `training.cmpc_losses`
    temperature: float = cmpc_losses.TEMPERATURE
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
    more: tuple[str, ...] = ()  # folders of further populations, of coded videos
    coded: bool = False  # heads on backbones that SSS trains, which stay as they are
    backbones: str = ""  # folder of a run of SSS that trained them; none: they are trained here
    voice_steps: int = 0  # if so
    face_steps: int = 0
    voice_start: str = ""  # part of the bundle that the voice backbone begins with
    masked_tracks: float = 0.0  # share of what it hears without any tracks of cycles
    voice_blocks: tuple[int, ...] = ()
    voice_code: int = 0
    face_code: int = 0
    features: int = 0  # that both codes are widened to
    dropout: float = 0.0
    kept_views: int = 0  # of every portrait, whose codes are kept besides those of itself
    start: str = ""  # voice trunk to begin with: "bundle" (its cmp-voice-encoder)
    bfloat16: bool = False  # convolutions of training in half precision
    seed: int = 0


BUNDLE = CmpcRecipe(
    front_end="voicemesh-cycles",
    voice_widths=(192, 288, 432, 648),
    blocks=(1, 2, 2, 2),
    widths=(24, 48, 96, 160),
    embedding=128,
    side=112,
    steps=600,
    batch_size=256,
    views=1.0,
    peak_rate=7e-4,
    first_rate=1e-5,
    warm_steps=60,
    weight_decay=1e-3,
    published=False,
    temperature=0.2,
    levels=(64, 128, 256),
    cluster_from=25_000,
    cluster_every=50,
    long_videos=True,
    held_out=533,
    coded=True,
    voice_steps=900,  # on 15,500 people; 7500 on 5800 learnt them by heart: no gain on others
    face_steps=2400,
    voice_start=CMP_VOICE,
    masked_tracks=0.1,
    voice_blocks=(0, 0, 1, 1),
    voice_code=64,
    face_code=48,
    features=256,
    dropout=0.3,
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
        if recipe.coded:
            for net in (self.voice, self.face):
                net.model.requires_grad_(False)
        generator = torch.Generator().manual_seed(recipe.seed)
        memory = cmpc_losses.Memory.random(videos, recipe.embedding, generator)
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
        terms = cmpc_losses.losses(
            voices,
            faces,
            videos,
            *clusters,
            temperature=recipe.temperature,
            recalibration=cmpc_losses.Recalibration(recipe.shift, recipe.sharpness),
            published=recipe.published,
        )
        if self.training:
            self.remember(videos, voices, faces)
        right = cmpc_losses.cosines(voices, faces).argmax(1) == torch.arange(len(videos)).to(videos)
        return {
            "loss": terms.total,
            "voice_to_face": terms.voice_to_face.mean(),
            "face_to_voice": terms.face_to_voice.mean(),
            "right": right.float().mean(),
        }

    def embeddings(
        self,
        features: Float[Tensor, "batch channels *frames"],
        pixels: Shaped[Tensor, " batch *picture"],
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Of voices and of faces; while training, of random views of the faces.

        Where the backbones stay as they are, features and pixels are their codes.
        """
        recipe = self.recipe
        if recipe.coded and features.ndim == 2:
            return self.voice.of_code(features), self.face.of_code(pixels)
        seen = self.training and recipe.views > 0
        image = viewed(pixels, Views().scaled(recipe.views)) if seen else scaled(pixels)
        image = image.contiguous(memory_format=torch.channels_last)
        half = recipe.bfloat16 and self.training
        with halved(features.device, half):
            if isinstance(self.voice, ResNetEncoder):
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

    def clusters(self, side: str) -> list[cmpc_losses.Clusters]:
        """The newest clusters of one side, level by level."""
        return [
            cmpc_losses.Clusters(
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
        cmpc_losses.moved(self.voice_bank, videos, voices, self.recipe.momentum)
        cmpc_losses.moved(self.face_bank, videos, faces, self.recipe.momentum)
        self.steps += 1
        self.samples += len(videos)


def encoders(recipe: CmpcRecipe) -> tuple[nn.Module, nn.Module]:
    """The voice net and the face net of a recipe, untrained."""
    channels = FRONT_ENDS[recipe.front_end].channels
    if recipe.coded:
        return TrunkVoiceEncoder(
            recipe.front_end,
            channels,
            recipe.voice_widths,
            recipe.voice_blocks,
            recipe.voice_code,
            recipe.features,
            recipe.embedding,
            recipe.dropout,
        ), PortraitFaceEncoder(
            recipe.side,
            recipe.blocks,
            recipe.widths,
            recipe.features,
            recipe.embedding,
            recipe.dropout,
            recipe.face_code,
        )
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


def everywhere(part: Tensor) -> Tensor:
    """The rows of all processes; those of this one where it is alone."""
    if not distributed.is_available() or not distributed.is_initialized():
        return part
    parts = [torch.empty_like(part) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)

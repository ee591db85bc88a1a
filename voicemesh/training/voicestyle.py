"""What VoiceStyle needs beside a generator: known faces, and a start from any voice in one pass.

All of it is fitted on people trained on. Their heads, at rest and in neutral light, go through the
generator; its images go through CMPC's face net; their recordings through its voice net. So every
image has an embedding and a latent, and every voice a face and a latent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.evaluation.predictions import speech_of
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import SILENT, Generator
from voicemesh.nets.voicestyle import LatentStart
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.association import VOICES, VoiceFaceSpace
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.voicestyle import (
    GENERATOR,
    MEMBERS,
    NEUTRAL,
    START,
    STATISTICS,
    Members,
    VoiceStyle,
    space_of,
)

from .data import FeatureSet, features
from .portrait_law import ParameterLaw, parameters_of
from .publish import LICENCE

CHUNK = 32  # images at once


@dataclass(frozen=True)
class StartRecipe:
    """How to fit the start."""

    people: int = 3000  # at most, trained on
    others: int = 2000  # further heads, drawn from the law of the first
    recordings: int = 4  # of each person, at most
    members: int = 2000  # whose latents are kept
    axes: int = 96  # of the latents of neutral portraits
    hidden: int = 256
    steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 2e-3
    ridge: float = 0.02  # of linear maps, in the mean variance of what they read
    held_out: float = 0.1  # share of the people on whom the rest is measured
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Shown:
    """Neutral portraits as the generator makes them."""

    w: Float[Tensor, "people style"]
    faces: Float[Tensor, "people embedding"]  # unit embeddings of their images


@torch.no_grad()
def shown(generator: Generator, space: VoiceFaceSpace, z: Float[Tensor, "people z"]) -> Shown:
    """The latents of whitened parameters, and what the face net says of their images."""
    viewer = VoiceStyle(generator, Statistics.sampled(generator, samples=500), space)
    padded = functional.pad(z, (0, generator.features - z.shape[1]))
    styles, faces = [], []
    for part in padded.split(CHUNK):
        w = generator.style[1:](part)  # z is white without its idle rest: not to be normalised
        styles.append(w)
        faces.append(viewer.unit_faces(space, generator(w, SILENT)))
    return Shown(torch.cat(styles), torch.cat(faces))


def more_heads(
    z: Float[Tensor, "people z"], count: int, rng: np.random.Generator
) -> Float[Tensor, "count z"]:
    """Heads that nobody has, of the same mean and covariance."""
    drawn = rng.multivariate_normal(z.mean(0).numpy(), np.cov(z.numpy().T), count)
    return torch.from_numpy(drawn).float()


@torch.no_grad()
def voices_of(
    space: VoiceFaceSpace, population: Population, people: Int64[np.ndarray, " people"], most: int
) -> tuple[Float[Tensor, "recordings embedding"], Int64[np.ndarray, " recordings"]]:
    """Unit embeddings of these people's recordings, and whose each is (a place in `people`).

    Nets of our own read the features that training cached; others hear the recordings.
    """
    place = {int(person): number for number, person in enumerate(people)}
    if isinstance(space.voice, VOICES):
        cached = features(population.folder, space.voice.front_end)
        rows = chosen_rows(cached, people, most)
        found = [
            functional.normalize(space.voice(cached.crops(part, cached.frames, None)))
            for part in np.array_split(rows, max(1, len(rows) // 64))
        ]
        owners = np.array([place[int(p)] for p in cached.identity[rows]])
        return torch.cat(found), owners
    found, owners, heard = [], [], dict.fromkeys(place, 0)
    for shard in population.recordings("train"):
        for person, waveform in zip(shard.identity.tolist(), shard.waveform, strict=True):
            if heard.get(person, most) < most:
                heard[person] += 1
                found.append(space.embed_voice(speech_of(waveform)))
                owners.append(place[person])
    return torch.stack(found), np.array(owners)


def chosen_rows(
    cached: FeatureSet, people: Int64[np.ndarray, " people"], most: int
) -> Int64[np.ndarray, " rows"]:
    """At most so many recordings of each person, those through a channel."""
    rows = np.flatnonzero(np.isin(cached.identity, people) & ~cached.clean)
    order = rows[np.argsort(cached.identity[rows], kind="stable")]
    owners = cached.identity[order]
    first = np.searchsorted(owners, owners)
    return np.sort(order[np.arange(len(order)) - first < most])


def fit(
    seen: Shown,
    people: int,
    voices: Float[Tensor, "recordings embedding"],
    owners: Int64[np.ndarray, " recordings"],
    recipe: StartRecipe,
) -> tuple[Statistics, LatentStart, dict[str, float]]:
    """The law of neutral portraits, the start, and how much of a held-out latent it tells.

    The first `people` of `seen` have voices.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    statistics = Statistics.of(seen.w).shortened(recipe.axes)
    v = statistics.whiten(seen.w)
    own = torch.from_numpy(owners)
    tested = torch.from_numpy(rng.random(people) < recipe.held_out)
    train_faces = torch.ones(len(v), dtype=torch.bool)
    train_faces[:people] = ~tested
    train_voices = ~tested[own]
    start = LatentStart(seen.faces.shape[1], v.shape[1], recipe.hidden)
    bridge(start, voices[train_voices], seen.faces[own[train_voices]], recipe.ridge)
    inputs = torch.cat([seen.faces[train_faces], start.as_face(voices[train_voices])])
    targets = torch.cat([v[train_faces], v[own[train_voices]]])
    weight, offset = ridge_regression(inputs, targets, recipe.ridge)
    with torch.no_grad():
        start.linear.weight.copy_(weight)
        start.linear.bias.copy_(offset)
    adam = torch.optim.AdamW(start.parameters(), recipe.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, recipe.steps)
    for _ in range(recipe.steps):
        rows = torch.from_numpy(rng.integers(len(inputs), size=recipe.batch_size))
        loss = (start(inputs[rows]) - targets[rows]).square().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        schedule.step()
    start.eval().requires_grad_(False)
    testing = tested[own]
    of_voices = start.of_voice(voices[testing])
    left = v[own[testing]] - of_voices
    power, axes = torch.linalg.eigh((left.T @ left / len(left)).double())
    start.open.copy_((axes * power.clamp(min=0).sqrt() @ axes.T).float())
    of_faces = (start(seen.faces[:people][tested]) - v[:people][tested]).square().mean()
    spread = v[:people][tested].var(0).mean()
    return (
        statistics,
        start,
        {
            "people": people,
            "told_by_faces": float(1 - of_faces / spread),
            "told_by_voices": float(1 - left.square().mean() / spread),
        },
    )


@torch.no_grad()
def bridge(
    start: LatentStart,
    voices: Float[Tensor, "pairs embedding"],
    faces: Float[Tensor, "pairs embedding"],
    ridge: float,
) -> None:
    """Tell the start both means and the ridge regression of faces on voices."""
    start.voice_mean.copy_(voices.mean(0))
    start.face_mean.copy_(faces.mean(0))
    start.face_of_voice.copy_(ridge_regression(voices, faces, ridge)[0])


@torch.no_grad()
def ridge_regression(
    x: Float[Tensor, "rows given"], y: Float[Tensor, "rows asked"], ridge: float
) -> tuple[Float[Tensor, "asked given"], Float[Tensor, " asked"]]:
    """Weight and offset of the regression of y on x; `ridge` counts in the mean variance of x."""
    middle, target = x.mean(0), y.mean(0)
    apart, aside = (x - middle).double(), (y - target).double()
    gram = apart.T @ apart / len(x)
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, apart.T @ aside / len(x)).T.float()
    return weight, target - weight @ middle


def prepare(
    generator: Generator,
    space: VoiceFaceSpace,
    population: Population,
    z: Float[Tensor, "people z"],
    people: Int64[np.ndarray, " people"],
    recipe: StartRecipe,
) -> tuple[Statistics, LatentStart, Members, dict[str, float]]:
    """All that VoiceStyle needs, from the whitened parameters of people's neutral portraits."""
    z, people = z[: recipe.people], people[: recipe.people]
    others = more_heads(z, recipe.others, np.random.default_rng(recipe.seed))
    seen = shown(generator, space, torch.cat([z, others]))
    voices, owners = voices_of(space, population, people, recipe.recordings)
    statistics, start, told = fit(seen, len(people), voices, owners, recipe)
    rows = slice(0, min(recipe.members, len(people)))
    members = Members(seen.faces[rows], seen.w[rows], torch.from_numpy(people[rows]))
    return statistics, start, members, told


def publish_generator(
    generator: Generator,
    law: ParameterLaw | None,
    results: Mapping[str, float],
    population: Population,
    source: Bundle,
    writer: BundleWriter,
    recipe: StartRecipe | None = None,
) -> str:
    """Write a generator and its statistics; with CMPC's nets and a law, all of VoiceStyle."""
    generator = generator.eval().requires_grad_(False)
    portraits = PortraitSet.open(population.folder / f"portraits-{generator.size}", partial=True)
    shard = portraits.gathered("train")
    about = {
        "licence": LICENCE,
        "training": f"rendered portraits of {len(np.unique(shard.identity))} synthetic people",
    }
    arguments, told = arguments_of(generator), {}
    writer.net(GENERATOR, generator, arguments, half=True, results=dict(results), **about)
    writer.tensors(STATISTICS, Statistics.sampled(generator).tensors(), **about)
    if law is not None and set(Cmpc.parts) <= set(source.parts):
        neutral = shard.picture == 0
        z = law.z(torch.from_numpy(parameters_of(shard)[neutral]))
        statistics, start, members, told = prepare(
            *(generator, space_of(source), population, z, shard.identity[neutral]),
            recipe or StartRecipe(),
        )
        writer.tensors(NEUTRAL, statistics.tensors(), **about)
        writer.net(START, start, arguments_of(start), results=told, **about)
        writer.tensors(MEMBERS, members.tensors(), **about)
    return f"{GENERATOR}: {dict(results)}\n{START}: {told or 'no voices or no law'}"

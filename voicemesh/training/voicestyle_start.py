"""What VoiceStyle needs beside a generator: known faces, and a start from any voice in one pass.

All of it is fitted on people trained on. Their heads, at rest and in neutral light, go through the
generator; its images go through CMPC's face net; their recordings through its voice net. What a
voice tells of a person, sex, age and lengths, is regressed on voices first, and latents on what it
tells: along these directions a start follows the voice, across them it leaves a look as it is.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from voicemesh.evaluation.predictions import speech_of
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.sss_small import TrunkVoiceEncoder
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.voicestyle import VoiceStart
from voicemesh.population.dataset import Population
from voicemesh.population.law import People
from voicemesh.systems.association import VOICES, VoiceFaceSpace
from voicemesh.systems.voicestyle import VoiceStyle
from voicemesh.systems.voicestyle_members import Members

from .data import FeatureSet, features
from .voices import VoiceCodes, voice_codes

CHUNK = 32  # images at once
SHOWN = 2  # first traits, which faces show: sex and age


@dataclass(frozen=True)
class StartRecipe:
    """How to fit the start."""

    people: int = 4000  # at most, trained on
    recordings: int = 4  # of each person, at most
    members: int = 1500  # whose latents are kept
    axes: int = 128  # of the latents of neutral portraits
    told: int = 8  # directions that a voice tells of, at most
    least: float = 0.015  # variance that a voice explains along each
    ridge: float = 0.005  # of linear maps, in the mean variance of what they read
    held_out: float = 0.1  # share of the people on whom the rest is measured
    seed: int = 0


@torch.no_grad()
def faces_of(
    generator: Generator, space: VoiceFaceSpace, w: Float[Tensor, "people style"]
) -> Float[Tensor, "people embedding"]:
    """What the face net says of the images of latents; units."""
    viewer = VoiceStyle(generator, Statistics.of(w[:2]), space)
    return torch.cat([viewer.unit_faces(space, viewer.images(part)) for part in w.split(CHUNK)])


@torch.no_grad()
def voices_of(
    space: VoiceFaceSpace, population: Population, people: Int64[np.ndarray, " people"], most: int
) -> tuple[Float[Tensor, "recordings embedding"], Int64[np.ndarray, " recordings"]]:
    """Unit embeddings of these people's recordings, and whose each is (a place in `people`).

    Nets of our own read the features or the codes that training cached; others hear the
    recordings.
    """
    place = {int(person): number for number, person in enumerate(people)}
    if isinstance(space.voice, TrunkVoiceEncoder):
        coded = voice_codes(population, space.voice.model, space.voice.front_end)
        rows = chosen_rows(coded, people, most)
        found = space.voice.of_code(torch.from_numpy(coded.codes[rows]))
        owners = np.array([place[int(person)] for person in coded.identity[rows]])
        return functional.normalize(found), owners
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
    cached: FeatureSet | VoiceCodes, people: Int64[np.ndarray, " people"], most: int
) -> Int64[np.ndarray, " rows"]:
    """At most so many recordings of each person, those through a channel."""
    rows = np.flatnonzero(np.isin(cached.identity, people) & ~cached.clean)
    order = rows[np.argsort(cached.identity[rows], kind="stable")]
    owners = cached.identity[order]
    first = np.searchsorted(owners, owners)
    return np.sort(order[np.arange(len(order)) - first < most])


def fit(
    statistics: Statistics,
    w: Float[Tensor, "people style"],
    faces: Float[Tensor, "people embedding"],
    told: Float[Tensor, "people traits"],
    voices: Float[Tensor, "recordings embedding"],
    owners: Int64[np.ndarray, " recordings"],
    recipe: StartRecipe,
) -> tuple[VoiceStart, dict[str, float]]:
    """The start, and how much it tells of people held out.

    `told` is what a voice may tell of each person, sex and age first.
    """
    rng = np.random.default_rng(recipe.seed)
    v, own = statistics.whiten(w), torch.from_numpy(owners)
    tested = torch.from_numpy(rng.random(len(v)) < recipe.held_out)
    voices, own = longer(voices, own)
    learnt, testing = ~tested[own], tested[own]
    line = ridge_regression(faces[~tested], told[~tested, :SHOWN], recipe.ridge)
    shown = faces @ line[0].T + line[1]
    known = (every[own[learnt]] for every in (told, shown, v))
    ways = what_is_told(voices[learnt], *known, recipe)
    true = v[own[testing]] @ ways.readings.T
    left = true - voices[testing] @ ways.weight.T - ways.offset
    shares = 1 - left.square().mean(0) / true.var(0)
    kept = shares >= recipe.least  # what holds for people held out
    kept[:SHOWN] = True
    true, left, shares = true[:, kept], left[:, kept], shares[kept]
    start = VoiceStart(voices.shape[1], v.shape[1], int(kept.sum()), SHOWN).requires_grad_(False)
    bridge(start, voices[learnt], faces[own[learnt]], recipe.ridge)
    start.apparent.weight.copy_(line[0])
    start.apparent.bias.copy_(line[1] - ways.middle)
    start.directions.copy_(ways.directions[kept])
    start.readings.copy_(ways.readings[kept])
    start.heard.weight.copy_(ways.weight[kept])
    start.heard.bias.copy_(ways.offset[kept])
    start.eval()
    power, axes = torch.linalg.eigh((left.T @ left / len(left)).double())
    start.open.copy_((axes * power.clamp(min=0).sqrt() @ axes.T).float())
    return start, {
        "people": len(v),
        "directions": len(shares),
        **{f"explained of direction {n + 1}": float(s) for n, s in enumerate(shares[:3])},
        **ages(v, told, tested, own, start.heard(voices) @ start.directions, recipe.ridge),
    }


def longer(
    voices: Float[Tensor, "recordings embedding"], own: Int64[Tensor, " recordings"]
) -> tuple[Float[Tensor, "more embedding"], Int64[Tensor, " more"]]:
    """Also what two successive recordings of a person say together: a voice heard for longer."""
    pairs = (own[1:] == own[:-1]).nonzero()[:, 0]
    both = functional.normalize(voices[pairs] + voices[pairs + 1])
    return torch.cat([voices, both]), torch.cat([own, own[pairs]])


@dataclass(frozen=True, eq=False)
class Ways:
    """Directions of latents that voices tell of, and how to find a place along them."""

    directions: Float[Tensor, "told axes"]
    readings: Float[Tensor, "told axes"]  # of a latent's place: 1 along its own direction, else 0
    weight: Float[Tensor, "told embedding"]  # of a voice
    offset: Float[Tensor, " told"]
    middle: Float[Tensor, " shown"]  # what faces show at the place 0


@torch.no_grad()
def what_is_told(
    voices: Float[Tensor, "recordings embedding"],
    told: Float[Tensor, "recordings traits"],
    shown: Float[Tensor, "recordings shown"],
    v: Float[Tensor, "recordings axes"],
    recipe: StartRecipe,
) -> Ways:
    """Directions of latents that voices tell of, and the line from a voice to its place on them.

    Traits are regressed on voices and latents on traits, not latents on voices: chance in that
    many numbers would look like something told. The first places are how much a latent shows of
    the sex and of the age: what somebody lends changes neither.
    """
    weight, offset = ridge_regression(voices, told, recipe.ridge)
    onwards, beside = ridge_regression(told, v, recipe.ridge)
    showing, plain = ridge_regression(told, shown, recipe.ridge)
    seen, middle = ridge_regression(v, shown, recipe.ridge)
    first = (told - told.mean(0))[:, : shown.shape[1]].T @ (v - v.mean(0)) / len(v)
    first = torch.linalg.solve(first @ seen.T, first)
    expected = (voices @ weight.T + offset) @ onwards.T
    expected = expected - expected @ seen.T @ first
    power, axes = torch.linalg.eigh(torch.cov(expected.T).double())
    enough = (power > recipe.least).nonzero()[:, 0].flip(0)[: recipe.told - len(first)]
    rest = axes[:, enough].T.float()
    readings = torch.cat([seen, rest - rest @ first.T @ seen])
    along = readings[len(first) :]
    whole = torch.cat([showing, along @ onwards])
    begun = torch.cat([plain - middle, along @ beside])
    directions = torch.cat([first, rest])
    return Ways(directions, readings, whole @ weight, whole @ offset + begun, middle)


def ages(
    v: Float[Tensor, "people axes"],
    told: Float[Tensor, "people traits"],
    tested: Bool[Tensor, " people"],
    own: Int64[Tensor, " recordings"],
    expected: Float[Tensor, "recordings axes"],
    ridge: float,
) -> dict[str, float]:
    """How the ages of latents, read by a line, follow the true ones of people held out."""
    weight, _ = ridge_regression(v[~tested], told[~tested, 1:2], ridge)
    true, testing = told[:, 1], tested[own]
    readings = {"age of latents": (v[tested] @ weight[0], true[tested])}
    readings["age of starts"] = (expected[testing] @ weight[0], true[own[testing]])
    return {name: float(torch.corrcoef(torch.stack(pair))[0, 1]) for name, pair in readings.items()}


@torch.no_grad()
def bridge(
    start: VoiceStart,
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


def traits_of(people: People) -> Float[Tensor, "people traits"]:
    """What a voice may tell: sex, age and the lengths of the head, as scores."""
    columns = np.column_stack([people.mode, people.age, people.lengths])
    return torch.from_numpy((columns - columns.mean(0)) / columns.std(0)).float()


def prepare(
    generator: Generator,
    statistics: Statistics,
    space: VoiceFaceSpace,
    population: Population,
    w: Float[Tensor, "people style"],
    people: Int64[np.ndarray, " people"],
    recipe: StartRecipe,
) -> tuple[VoiceStart, Members, dict[str, float]]:
    """The start and the known faces, from the latents of people's neutral portraits."""
    w, people = w[: recipe.people], people[: recipe.people]
    faces = faces_of(generator, space, w)
    voices, owners = voices_of(space, population, people, recipe.recordings)
    traits = traits_of(population.people.take(people))
    start, told = fit(statistics, w, faces, traits, voices, owners, recipe)
    rows = slice(0, min(recipe.members, len(people)))
    return start, Members.of(faces[rows], w[rows], torch.from_numpy(people[rows])), told

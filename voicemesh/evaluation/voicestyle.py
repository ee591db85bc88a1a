"""Face images for the voices of people held out: what can be read off them, and by whom.

Nothing that was optimised judges alone: sex and age are read by linear maps, fitted on true
portraits, from embeddings of a face net that no image was driven towards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from voicemesh.latent.projection import pixels_of
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.association import VoiceFaceSpace
from voicemesh.systems.voicestyle import Heard, Imagined, VoiceStyle, Wish

from .voice_faces import SPLIT, together, voices_of

RIDGE = 0.01  # in the mean variance of an embedding
LIKELY = 95.0  # per cent of plain samples that are as near to the mean or nearer


@dataclass(frozen=True, eq=False)
class Reader:
    """Apparent sex and age of a face, by linear maps of its embedding."""

    space: VoiceFaceSpace
    weights: Float[np.ndarray, "d 2"]
    offsets: Float[np.ndarray, "2"]

    @classmethod
    def fit(
        cls,
        space: VoiceFaceSpace,
        pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        male: Bool[np.ndarray, " pictures"],
        age: Float[np.ndarray, " pictures"],
    ) -> "Reader":
        """Least squares on true pictures, with a little ridge."""
        x = space.embed_faces(pictures).cpu().double().numpy()
        y = np.stack([np.where(male, 1.0, -1.0), age], 1)
        middle, target = x.mean(0), y.mean(0)
        gram = np.cov(x.T) + RIDGE * x.var(0).mean() * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, (x - middle).T @ (y - target) / len(x))
        return cls(space, weights, target - middle @ weights)

    def read(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> tuple[Bool[np.ndarray, " pictures"], Float[np.ndarray, " pictures"]]:
        """Apparently male, and the apparent age."""
        told = self.space.embed_faces(pictures).cpu().double().numpy() @ self.weights + self.offsets
        return told[:, 0] > 0, told[:, 1]


def evaluate(
    system: VoiceStyle,
    population: Population,
    portraits: PortraitSet,
    shown: PortraitSet | None = None,
    people: int = 300,
    refined: int = 100,
    seed: int = 0,
) -> dict[str, Any]:
    """All figures of a system on people held out who have portraits.

    Args:
        portraits: of the population.
        shown: portraits that the reader is fitted on, of other people; those of the population
            that are no test unless given.
        refined: of how many of the voices the images are also refined.
    """
    judge = system.judge or system.space
    true = portraits.gathered(SPLIT)
    frontal = true.picture == 0
    who = true.identity[frontal][:people]
    reader, read_true = fitted_reader(judge, population, portraits, shown, frontal)
    heard = dict(hear(system, population, who))
    who = np.array([person for person in who if person in heard])
    first = [images_of(system, heard[person], Wish()) for person in who]
    male, age = population.people.mode[who] == 0, population.people.age[who]
    pictures = dict(zip(true.identity[frontal].tolist(), true.pixels[frontal], strict=True))
    faces = judge.embed_faces([pictures[int(person)] for person in who]).cpu().numpy()
    results = {
        "people": len(who),
        "true portraits": read_true,
        "first": figures(reader, judge, first, faces, male, age),
        "mean face": figures(reader, judge, [mean_face(system)] * len(who), faces, male, age),
    }
    if refined:
        results["refined"] = refinement(system, [heard[p] for p in who[:refined]], seed)
        last = results["refined"].pop("pixels")
        some = slice(0, len(last))
        results["refined"] |= figures(reader, judge, last, faces, male[some], age[some])
    return results


def fitted_reader(
    judge: VoiceFaceSpace,
    population: Population,
    portraits: PortraitSet,
    shown: PortraitSet | None,
    frontal: Bool[np.ndarray, " rows"],
) -> tuple[Reader, dict[str, float]]:
    """A reader, and how well it reads true portraits of the test's people."""
    true, people = portraits.gathered(SPLIT), population.people
    if shown is None:
        rest = np.flatnonzero(frontal)
        known, test = rest[1::2], rest[::2]
        pixels, owners = true.pixels[known], true.identity[known]
        reader = Reader.fit(judge, list(pixels), people.mode[owners] == 0, people.age[owners])
    else:
        others = Population.open(shown.folder.parent).people
        shard = shown.gathered("train")
        rows = np.flatnonzero(shard.picture == 0)
        owners = shard.identity[rows]
        pixels = list(shard.pixels[rows])
        reader = Reader.fit(judge, pixels, others.mode[owners] == 0, others.age[owners])
        test = np.flatnonzero(frontal)
    male, age = reader.read(list(true.pixels[test]))
    owners = true.identity[test]
    return reader, {
        "sex": float((male == (people.mode[owners] == 0)).mean()),
        "age": float(np.corrcoef(age, people.age[owners])[0, 1]),
    }


def hear(
    system: VoiceStyle, population: Population, who: Int[np.ndarray, " people"]
) -> Iterator[tuple[int, Heard]]:
    """Each person's voice, all usual recordings in one piece."""
    for person, waveforms in voices_of(population, who):
        yield person, system.hear(together(waveforms))


def images_of(system: VoiceStyle, heard: Heard, wish: Wish) -> UInt8[np.ndarray, "_ _ 3"]:
    """The first image."""
    return next(iter(system.imagine(heard, wish))).pixels[0]


@torch.no_grad()
def mean_face(system: VoiceStyle) -> UInt8[np.ndarray, "_ _ 3"]:
    """The image of the mean latent: what is shown to everyone if a voice tells nothing."""
    return pixels_of(system.images(system.statistics.mean[None]))[0]


def figures(
    reader: Reader,
    judge: VoiceFaceSpace,
    pixels: list[UInt8[np.ndarray, "_ _ 3"]],
    faces: Float[np.ndarray, "people d"],
    male: Bool[np.ndarray, " images"],
    age: Float[np.ndarray, " images"],
) -> dict[str, float]:
    """Sex, age and identity of images; image i is of person i.

    `identity` is the mean share of the other people whose true portrait is less like the image
    than the right one's: 0.5 by chance.
    """
    seen_male, seen_age = reader.read(pixels)
    units = judge.embed_faces(pixels).cpu().numpy()
    similarity = units @ faces.T
    own = similarity[np.arange(len(pixels)), np.arange(len(pixels))]
    less = (similarity < own[:, None]).sum(1) + 0.5 * ((similarity == own[:, None]).sum(1) - 1)
    told = {
        "sex": float((seen_male == male).mean()),
        "age": correlation(seen_age, age),
        "identity": float((less / (len(faces) - 1)).mean()),
        "top tenth": float((less / (len(faces) - 1) >= 0.9).mean()),
    }
    for name, some in (("age of women", ~male), ("age of men", male)):
        if some.sum() > 2:
            told[name] = correlation(seen_age[some], age[some])
    return told


def correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Pearson's; 0 where one side never changes."""
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-9 else 0.0


def refinement(system: VoiceStyle, voices: Sequence[Heard], seed: int = 0) -> dict[str, Any]:
    """What the climb gains where it climbs and with the judge, and whether it stays likely."""
    before, after, judged, likely, pixels = [], [], [], [], []
    limit = plain_limit(system, seed)
    for heard in voices:
        states: list[Imagined] = list(system.imagine(heard, Wish(), show_every=10_000))
        first, last = states[0], states[-1]
        before.append(first.similarity[0])
        after.append(last.similarity[0])
        if first.judged is not None and last.judged is not None:
            judged.append(last.judged[0] - first.judged[0])
        v = system.statistics.whiten(torch.from_numpy(last.w).to(system.statistics.mean.device))
        likely.append(float(v.square().mean()) <= limit)
        pixels.append(last.pixels[0])
    gain = np.array(after) - np.array(before)
    return {
        "voices": len(voices),
        "similarity before": float(np.mean(before)),
        "similarity after": float(np.mean(after)),
        "raised": float((gain > 0).mean()),
        "judge's gain": float(np.mean(judged)) if judged else None,
        "likely": float(np.mean(likely)),
        "pixels": pixels,
    }


@torch.no_grad()
def plain_limit(system: VoiceStyle, seed: int) -> float:
    """Mean squared deviation that most plain samples stay below."""
    rng = torch.Generator().manual_seed(seed)
    samples: Tensor = torch.randn(2000, len(system.statistics.axes), generator=rng)
    return float(np.percentile(samples.square().mean(1).numpy(), LIKELY))


def table(results: dict[str, Any]) -> str:
    """The figures in words."""
    lines = [f"{results['people']} people held out"]
    for name in ("true portraits", "mean face", "first", "refined"):
        told = results.get(name, {})
        shown = ", ".join(f"{k} {v:.3f}" for k, v in told.items() if isinstance(v, float))
        if shown:
            lines.append(f"{name}: {shown}")
    return "\n".join(lines)

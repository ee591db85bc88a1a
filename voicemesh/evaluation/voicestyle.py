"""Face images for the voices of people held out: what can be read off them, and how real they are.

Nothing that was optimised judges alone: sex, age and identity are read by face networks that no
image was driven towards, by maps fitted on true portraits of other people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.latent.projection import pixels_of
from voicemesh.nets.portrait_critic import PortraitCritic
from voicemesh.nets.stylegan2 import Discriminator
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet, PortraitShard
from voicemesh.systems.voicestyle import Heard, VoiceStyle, Wish

from .face_reading import Look, Reader, figures, read
from .realness import Classifier, critic_of, discriminator_scores, fid, frechet_distance, within
from .voice_faces import SPLIT, together, voices_of
from .voicestyle_images import Portraits, drawn_images, mean_face, samples_of, varied_pictures

LIKELY = 95.0  # per cent of plain samples that are as near to the mean or nearer
AT_ONCE = 20  # voices that are refined together


@dataclass(frozen=True, eq=False)
class Judges:
    """Who looks at the images: face networks, a discriminator if there is one, Inception if."""

    look: Look
    critic: Discriminator | PortraitCritic | None = None
    inception: Path | None = None  # its published weights

    @classmethod
    def of(
        cls,
        system: VoiceStyle,
        bundle: Bundle,
        critic: Path | None = None,
        inception: Path | None = None,
    ) -> "Judges":
        """The networks of a bundle.

        Args:
            critic: folder of a run of StyleGAN2 whose discriminator scores the images.
        """
        device = system.statistics.mean.device
        look = Look.of(system.judge or system.space, bundle, device)
        return cls(look, None if critic is None else critic_of(critic, device), inception)


@dataclass(frozen=True)
class Counts:
    """How much is looked at."""

    people: int = 300  # whose first images are measured
    refined: int = 100  # of whom the images are also refined
    samples: int = 600  # of the generator
    known: int = 1500  # other people that judges are fitted on, at most
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Seen:
    """Images for voices, and what they are compared with."""

    true: Portraits
    first: Portraits
    refined: Portraits  # of the first people
    samples: Portraits  # of the law of portraits at rest, of no voice
    voices: tuple[Heard, ...]
    varied: Portraits  # true pictures in any pose and light, or at rest where there are no others
    drawn: Portraits  # images of Gaussian z


def evaluate(
    system: VoiceStyle,
    judges: Judges,
    population: Population,
    portraits: PortraitSet,
    others: PortraitSet | None = None,
    counts: Counts = Counts(),
) -> tuple[dict[str, Any], Seen]:
    """All figures of a system on people held out who have portraits, and the images.

    Args:
        portraits: of the population.
        others: portraits that judges are fitted on, of people whom nobody is tested on; those of
            the population that are no test unless given.
    """
    shown = frontal(portraits.gathered(SPLIT))
    known, ages, sexes = known_people(population, shown, others, counts)
    reader = Reader.fit(judges.look, list(known), sexes, ages)
    heard = dict(hear(system, population, shown.identity[: counts.people]))
    who = np.array(list(heard))
    tested = shown.rows(np.flatnonzero(np.isin(shown.identity, who)))
    voices = [heard[int(person)] for person in tested.identity]
    first = np.concatenate([pixels_of(system.images(system.first(one))) for one in voices])
    gains, refined = refinement(system, voices[: counts.refined], counts.seed)
    samples = samples_of(system, counts.samples, counts.seed)
    varied = varied_pictures(portraits.gathered(SPLIT), counts.samples)
    drawn = drawn_images(system, counts.samples, counts.seed)
    seen = Seen(tested.pixels, first, refined, samples, tuple(voices), varied, drawn)
    male = population.people.mode[tested.identity] == 0
    age, faces = population.people.age[tested.identity], tested.pixels
    mean = np.repeat(mean_face(system), len(who), 0)
    results = {
        "people": len(who),
        "true portraits": read(reader, tested.pixels, male, age),
        "mean face": figures(reader, mean, faces, male, age),
        "first": figures(reader, first, faces, male, age),
    }
    if len(refined):
        told = figures(reader, refined, faces, male, age)
        results["refined"] = gains | told
    results["realness"] = realness(judges, seen, known)
    return results, seen


def frontal(shard: PortraitShard) -> PortraitShard:
    """Everybody's first picture."""
    return shard.rows(np.flatnonzero(shard.picture == 0))


def known_people(
    population: Population, shown: PortraitShard, others: PortraitSet | None, counts: Counts
) -> tuple[Portraits, Float[np.ndarray, " people"], Bool[np.ndarray, " people"]]:
    """Portraits to fit judges on, ages and who is male: other people's, or of those not tested.

    Raises:
        ValueError: everybody is tested.
    """
    if others is not None:
        shard = frontal(others.gathered("train"))
        people = Population.open(others.folder.parent).people
    else:
        rest = np.arange(counts.people, len(shown))
        shard, people = shown.rows(rest), population.people
    if len(shard) < 2:
        raise ValueError(
            f"All {len(shown)} people with portraits are tested, none is left to fit judges on;"
            " name a population of other people (--others), or test fewer"
        )
    shard = shard.rows(np.arange(min(counts.known, len(shard))))
    return shard.pixels, people.age[shard.identity], people.mode[shard.identity] == 0


def hear(
    system: VoiceStyle, population: Population, who: Int[np.ndarray, " people"]
) -> Iterator[tuple[int, Heard]]:
    """Each person's voice, all usual recordings in one piece."""
    for person, waveforms in voices_of(population, who):
        yield person, system.hear(together(waveforms))


def refinement(
    system: VoiceStyle, voices: list[Heard], seed: int = 0
) -> tuple[dict[str, Any], Portraits]:
    """What the climb gains where it climbs and with the judge, and whether it stays likely.

    Several voices climb side by side, each towards its own.
    """
    size = system.generator.size
    before, after, judged, lengths = [], [], [], []
    pixels = [np.zeros((0, size, size, 3), np.uint8)]
    search = Wish().search
    for begin in range(0, len(voices), AT_ONCE):
        some = voices[begin : begin + AT_ONCE]
        start = torch.cat([system.first(one) for one in some])
        units = torch.stack([one.voice for one in some])
        states = list(system.climb(units, start, search, search.steps))
        for kept, state in ((before, states[0]), (after, states[-1])):
            kept += state.similarity.tolist()
        if system.judge is not None and all(one.judge is not None for one in some):
            told = torch.stack([one.judge for one in some])
            with torch.no_grad():
                looks = [system.similarity(system.judge, told)(s.images) for s in states]
            judged += (looks[-1] - looks[0]).tolist()
        lengths += system.statistics.whiten(states[-1].w).square().mean(1).tolist()
        pixels.append(pixels_of(states[-1].images))
    if not voices:
        return {}, pixels[0]
    gain = np.array(after) - np.array(before)
    return {
        "voices": len(voices),
        "similarity before": float(np.mean(before)),
        "similarity after": float(np.mean(after)),
        "raised": float((gain > 0).mean()),
        "least gain": float(gain.min()),
        "judge's gain": float(np.mean(judged)) if judged else None,
        "likely": float((np.array(lengths) <= plain_limit(system, seed)).mean()),
    }, np.concatenate(pixels)


@torch.no_grad()
def plain_limit(system: VoiceStyle, seed: int) -> float:
    """Mean squared deviation that most plain samples stay below."""
    rng = torch.Generator().manual_seed(seed)
    samples = torch.randn(2000, len(system.statistics.axes), generator=rng)
    return float(np.percentile(samples.square().mean(1).numpy(), LIKELY))


def realness(judges: Judges, seen: Seen, known: Portraits) -> dict[str, Any]:
    """What discriminators and our face networks say of the images, and FID where it can be.

    The classifier is fitted on other people's portraits and on half of the samples; the rest and
    the images for voices are new to it. Without an adversarial discriminator its score is taken.
    """
    count = len(seen.samples)
    groups = {"true": seen.true, "first": seen.first, "samples": seen.samples}
    groups |= {"refined": seen.refined} if len(seen.refined) else {}
    look = {name: judges.look.features(list(pixels)) for name, pixels in groups.items()}
    others = judges.look.features(list(known[:count]))
    classifier = Classifier.fit(others, look["samples"])
    plain = look["samples"][count // 2 :]
    images = {"plain samples": plain, "first images": look["first"]}
    images |= {"refined": look["refined"]} if "refined" in look else {}
    told: dict[str, Any] = {"classifier right": classifier.accuracy}
    for name, features in images.items():
        told[f"{name} taken for true"] = float((classifier.scores(features) > 0).mean())
    told["true taken for true"] = float((classifier.scores(look["true"]) > 0).mean())
    if judges.critic is None:
        told["score"] = "classifier of our face networks' features"
        scores = {name: classifier.scores(features) for name, features in images.items()}
    else:
        told["score"] = "adversarial discriminator"
        shown = (seen.samples, seen.first, seen.refined)
        pairs = zip(images, shown, strict=False)
        scores = {name: discriminator_scores(judges.critic, pixels) for name, pixels in pairs}
    for name in scores.keys() - {"plain samples"}:
        told[f"{name} in range"] = within(scores[name], scores["plain samples"])
    told |= drawn_realness(judges, seen)
    half = len(others) // 2
    told["frechet of our features"] = frechet_distance(others, look["samples"])
    told["frechet of true portraits"] = frechet_distance(others[:half], others[half:])
    told["frechet of first images"] = frechet_distance(others, look["first"])
    if judges.inception is not None:
        told["FID"] = fid(list(known), list(seen.samples), judges.inception)
    return told


def drawn_realness(judges: Judges, seen: Seen) -> dict[str, float]:
    """How images of Gaussian z compare with true pictures in any pose and light."""
    true, made = (judges.look.features(list(images)) for images in (seen.varied, seen.drawn))
    classifier = Classifier.fit(true, made)
    half, scores = len(true) // 2, classifier.scores(made[len(made) // 2 :])
    return {
        "drawn classifier right": classifier.accuracy,
        "drawn taken for true": float((scores > 0).mean()),
        "frechet of drawn": frechet_distance(true, made),
        "frechet of varied portraits": frechet_distance(true[:half], true[half:]),
    }


def table(results: dict[str, Any]) -> str:
    """The figures in words."""
    lines = [f"{results['people']} people held out"]
    for name in ("true portraits", "mean face", "first", "refined", "realness"):
        told = results.get(name, {})
        shown = ", ".join(f"{k} {v:.3f}" for k, v in told.items() if isinstance(v, float))
        if shown:
            lines.append(f"{name}: {shown}")
    if score := results.get("realness", {}).get("score"):
        lines.append(f"in range: by the score of the {score}, of the middle 95 % of plain samples")
    return "\n".join(lines)

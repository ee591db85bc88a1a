"""SF2F's own protocol on the people of a population that were held out, made repeatable.

Windows of fixed places, no noise, people in order: the same figures every time. Imagined and true
faces are compared by a face network: the published one where a bundle has it, else one of ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from voicemesh.audio import sf2f as front
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMPC_FACE, IDENTITY, SF2F_FACENET, SF2F_VGGFACE, SSS_FACE
from voicemesh.latent.losses import Identity
from voicemesh.nets import sf2f_facenet, sf2f_vggface
from voicemesh.nets.sf2f import bytes_of, coloured
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.association import VoiceFaceSpace
from voicemesh.systems.cmpc import Cmpc
from voicemesh.systems.sf2f import SpeechToFace
from voicemesh.systems.sss import SeekingTheShapeOfSound

from . import sf2f_measures as measures
from .bootstrap import mean, resampled
from .voice_faces import together, voices_of

WINDOWS = 20  # of a person, at most
FUSED, VOICE, FACE = "fused", "mean of voices", "mean of faces"
SEX, TRUE = "sex alone", "a true picture"
WHOLE = 128  # pixels of the portraits that the identity encoder learnt from
SPACES = {CMPC_FACE: Cmpc, SSS_FACE: SeekingTheShapeOfSound}
BATCH, SHUFFLE = 32, 0  # images at once, seed

Images = UInt8[Tensor, "batch 3 height width"]


@dataclass(frozen=True, eq=False)
class Judge:
    """What compares faces: its part of the bundle, and bytes to embeddings."""

    name: str
    embed: Callable[[Images], Tensor]

    def __call__(self, images: Images) -> Float[Tensor, "batch features"]:
        """Embeddings of faces, a batch after the other."""
        return torch.cat([self.embed(part).float().cpu() for part in images.split(BATCH)])


def judge_of(bundle: Bundle, device: torch.device | str = "cpu") -> Judge:
    """The face network of a bundle that measures go by.

    Raises:
        ValueError: there is none.
    """
    if SF2F_FACENET in bundle.parts:
        net = bundle.net(SF2F_FACENET).to(device)

        @torch.inference_mode()
        def embed(images: Images) -> Float[Tensor, "batch features"]:
            image = coloured(images.to(device).float() / 255)
            return net(sf2f_facenet.prepared(image))

        return Judge(SF2F_FACENET, embed)
    if IDENTITY in bundle.parts:
        whose = Identity(bundle.net(IDENTITY)).to(device)

        @torch.inference_mode()
        def known(images: Images) -> Float[Tensor, "batch features"]:
            image = images.to(device).float() / 127.5 - 1
            return whose(functional.interpolate(image, (WHOLE, WHOLE), mode="bilinear"))

        return Judge(IDENTITY, known)
    for name, kind in SPACES.items():
        if set(kind.parts) <= bundle.parts.keys():
            space = kind.from_bundle(bundle, device)
            return Judge(name, partial(seen_by, space))
    raise ValueError(
        f"The bundle {bundle.name!r} has no face network to measure by: {SF2F_FACENET} or"
        f" {' or '.join((IDENTITY, *SPACES))}"
    )


def seen_by(space: VoiceFaceSpace, images: Images) -> Float[Tensor, "batch features"]:
    """Embeddings by the face network of an association system."""
    return space.embed_faces(list(pictures(images)))


def pictures(images: Images) -> UInt8[np.ndarray, "batch height width 3"]:
    """Bytes as pictures."""
    return images.permute(0, 2, 3, 1).cpu().numpy()


@dataclass(frozen=True, eq=False)
class Compared:
    """Everyone's faces by the judge, true and imagined, and the imagined pictures themselves."""

    who: Int[np.ndarray, " people"]  # rows of the population's people
    gallery: Float[Tensor, "people features"]  # means over a person's pictures
    first: Float[Tensor, "people features"]  # of one picture each
    others: Float[Tensor, "people features"]  # means over all pictures but that one
    imagined: dict[str, Float[Tensor, "people features"]]  # by mode
    images: UInt8[Tensor, "people 3 side side"]  # of the first mode


def compare(
    system: SpeechToFace, judge: Judge, population: Population, portraits: PortraitSet
) -> Compared:
    """Hear everybody held out who has portraits, through usual channels, and imagine their faces.

    A system with a fuser fuses all windows of a voice; one without takes the mean of their
    embeddings. Beside that, every window becomes a face and the judge's views are averaged.
    """
    shown = portraits.gathered("validation")
    who, rows, member = np.unique(shown.identity, return_index=True, return_inverse=True)
    faces = judge(torch.from_numpy(shown.pixels).permute(0, 3, 1, 2))
    sums = torch.zeros(len(who), faces.shape[1]).index_add(0, torch.from_numpy(member), faces)
    counts = torch.from_numpy(np.bincount(member))[:, None]
    main = FUSED if system.net.encoder.fused else VOICE
    images, apart = [], []
    with tqdm(total=len(who), unit="identity", desc="imagining", disable=None) as bar:
        for windows in heard(system, population, who):
            whole = windows[None] if main == FUSED else windows
            images.append(bytes_of(system.images(whole, together=main == VOICE)).cpu())
            apart.append(judge(bytes_of(system.images(windows))).mean(0))
            bar.update()
    made = torch.cat(images)
    imagined = {main: judge(made), FACE: torch.stack(apart)}
    first = faces[torch.from_numpy(rows)]
    others = (sums - first) / (counts - 1).clamp(min=1)
    return Compared(who, sums / counts, first, others, imagined, made)


def heard(
    system: SpeechToFace, population: Population, who: Int[np.ndarray, " people"]
) -> Iterator[Float[Tensor, "windows channels 125"]]:
    """The first windows of each person's recordings together, side by side."""
    for _, waveforms in voices_of(population, who):
        _, features = system.hear(together(waveforms))
        yield front.segments(features, front.SEGMENT)[:WINDOWS]


def evaluate(
    system: SpeechToFace, population: Population, portraits: PortraitSet, bundle: Bundle
) -> dict[str, Any]:
    """All figures: by mode, of what the sex alone would give, and of one true picture."""
    device = next(system.net.parameters()).device
    judge = judge_of(bundle, device)
    compared = compare(system, judge, population, portraits)
    women = torch.from_numpy(population.people.mode[compared.who] > 0)
    contenders = compared.imagined | {SEX: mean_of_sex(compared.gallery, women)}
    told = {name: figures(compared.gallery, face) for name, face in contenders.items()}
    if bool(compared.others.any()):  # a second picture, which the first can be looked for among
        told[TRUE] = figures(compared.others, compared.first)
    results: dict[str, Any] = {
        "people": len(compared.who),
        "judge": judge.name,
        "systems": told,
        "frechet": measures.frechet(compared.first, judge(compared.images)),
    }
    if SF2F_VGGFACE in bundle.parts:
        net = bundle.net(SF2F_VGGFACE).to(device)
        results["vggface"] = vggface_scores(net, compared.images)
    return results


def figures(
    gallery: Float[Tensor, "people features"], told: Float[Tensor, "people features"]
) -> dict[str, Any]:
    """Distances, and recall among galleries of a hundred with 95 % intervals over people."""
    size = min(measures.GALLERY, len(gallery))
    ranks = torch.cat(
        [
            measures.ranks(gallery[start : start + size], told[start : start + size])
            for start in range(0, len(gallery) - size + 1, size)
        ]
    ).numpy()
    weights = resampled(len(ranks), np.random.default_rng(0))
    recall = {
        str(k): asdict(mean((ranks < k).astype(float), weights)) for k in measures.AT if k <= size
    }
    return {**measures.distances(gallery, told), "recall": recall, "gallery": size}


def mean_of_sex(
    gallery: Float[Tensor, "people features"], women: Bool[Tensor, " people"]
) -> Float[Tensor, "people features"]:
    """The mean view of everyone else of a person's sex: all that knowing the sex can tell."""
    told = torch.zeros_like(gallery)
    for side in (women, ~women):
        count = int(side.sum())
        if count:
            others = gallery[side].sum(0) - gallery[side]
            told[side] = others / max(1, count - 1)
    return functional.normalize(told)


@torch.inference_mode()
def vggface_scores(net: torch.nn.Module, images: Images) -> dict[str, Any]:
    """The VGGFace Score as published, of RGB, and in the order that the network was trained on."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SHUFFLE))
    device = next(net.parameters()).device
    found = {}
    for name, swapped in (("rgb", False), ("bgr", True)):
        logits = [
            net(sf2f_vggface.prepared(part, swapped)).cpu()
            for part in images[order].to(device).split(BATCH)
        ]
        score, deviation = measures.certainty(torch.cat(logits))
        found[name] = {"score": score, "deviation": deviation}
    return found


def table(results: dict[str, Any]) -> str:
    """The figures beside chance, one row per way to a face."""
    size = next(iter(results["systems"].values()))["gallery"]
    at = [k for k in measures.AT if k <= size]
    heads = "".join(f"{f'R@{k}':>22}" for k in at)
    lines = [f"{'':<18}{'cosine':>8}{'L1':>8}{'L2':>8}{'others':>8}{heads}"]
    for name, found in results["systems"].items():
        near = "".join(
            f"{found[key]:>8.3f}" if key != "l1" else f"{found[key]:>8.2f}"
            for key in ("cosine", "l1", "l2", "inter_human")
        )
        recall = "".join(f"{percent(found['recall'][str(k)]):>22}" for k in at)
        lines.append(f"{name:<18}{near}{recall}")
    chance = "".join(f"{100 * k / size:>22.1f}" for k in at)
    lines.append(f"{'chance':<18}{'':>32}{chance}")
    lines.append(
        f"{results['people']} people held out, galleries of {size}, 95 % intervals over people;"
        f" faces seen by {results['judge']}; Fréchet distance {results['frechet']:.3f}."
    )
    for name, found in results.get("vggface", {}).items():
        lines.append(f"VGGFace Score ({name}): {found['score']:.2f} +- {found['deviation']:.2f}")
    return "\n".join(lines)


def percent(entry: dict[str, float]) -> str:
    """A share with its interval, in percent."""
    value, low, high = (100 * entry[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"

"""The published evaluation of Seeking the Shape of Sound: its own lists on its own files.

VGG_ALL_FRONTAL/NAME/*.jpg are pictures, wav/ID/VIDEO/*.wav recordings, list_wav holds the tables
of identities and the query lists.
"""

import logging
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn
from torch.nn import functional

from voicemesh import images
from voicemesh.audio.association import sss_features, sss_loaded
from voicemesh.images import CONVENTIONS
from voicemesh.systems.sss import SeekingTheShapeOfSound

from . import lists, matching, retrieval, verification

log = logging.getLogger(__name__)

FACES, VOICES, LISTS = "VGG_ALL_FRONTAL", "wav", "list_wav"
TABLES = ("vox1_train.csv", "vox1_val.csv", "vox1_test.csv")
KINDS = {"match": "accuracy", "verify": "AUC", "reterival": "mAP"}  # spelt as the files are
RATE = 16_000
THREADS = 8  # that read files of a batch
AT_ONCE = 32


def is_layout(folder: Path) -> bool:
    """Does the folder hold the authors' data?"""
    return (folder / FACES).is_dir() and (folder / LISTS).is_dir()


def evaluate(space: SeekingTheShapeOfSound, folder: Path) -> dict[str, float]:
    """The figure of every query list in the folder, by the list's name.

    As published: the first ten seconds of a recording, no mirror image of a picture.

    Raises:
        ValueError: nets that are not of the published layout, or no lists.
    """
    if space.convention != CONVENTIONS["sss"]:
        raise ValueError("The published lists are for nets of the published layout; convert one")
    people = [
        person
        for name in TABLES
        if (folder / LISTS / name).exists()
        for person in lists.identity_table(folder / LISTS / name)
    ]
    paths = [
        path for path in sorted((folder / LISTS).iterdir()) if path.name.split("_")[0] in KINDS
    ]
    if not paths:
        raise ValueError(f"{folder / LISTS} holds no list named {', '.join(KINDS)}_...")
    known: dict[str, np.ndarray] = {}

    def embeddings(names: Sequence[str]) -> Float[np.ndarray, "names embedding"]:
        new = [name for name in dict.fromkeys(names) if name not in known]
        for wav in (True, False):
            some = [name for name in new if name.endswith(".wav") == wav]
            root, read = (folder / VOICES, heard) if wav else (folder / FACES, seen)
            net = space.voice if wav else space.face
            known.update(zip(some, embedded(some, root, read, net, space.device), strict=True))
        return np.stack([known[name] for name in names])

    found = {}
    for path in paths:
        found[path.name] = figure(path, people, embeddings)
        log.info("%s %.4f", path.name, found[path.name])
    return found


def figure(
    path: Path,
    people: Sequence[lists.Identity],
    embeddings: Callable[[Sequence[str]], Float[np.ndarray, "names embedding"]],
) -> float:
    """Accuracy, area under the ROC or mean average precision of one list."""
    kind = path.name.split("_")[0]
    if kind == "reterival":
        probes, gallery = lists.retrieval(path)
        numbers = lists.numbering(people)
        owners = [
            np.array([lists.owner(name, numbers, path) for name in names])
            for names in (probes, gallery)
        ]
        sides = embeddings(probes), embeddings(gallery)
        return float(retrieval.average_precisions(*sides, *owners).mean())
    queries = lists.matching(path) if kind == "match" else lists.verification_pairs(path, people)
    probes, candidates = embeddings(queries.probes), embeddings(queries.candidates)
    if queries.labels is None:
        return matching.accuracy(probes, candidates, queries.rows)
    scores = verification.scores(probes, candidates, queries.rows)
    return verification.auc(scores, queries.labels)


def table(found: dict[str, float]) -> str:
    """Lists and their figures in percent."""
    return "\n".join(
        f"{name:<24}{KINDS[name.split('_')[0]]:<10}{100 * value:6.2f}"
        for name, value in found.items()
    )


@torch.inference_mode()
def embedded(
    names: Sequence[str],
    root: Path,
    read: Callable[[Path], Tensor],
    net: nn.Module,
    device: torch.device,
) -> Float[np.ndarray, "names embedding"]:
    """Unit embeddings of files."""
    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(names), AT_ONCE):
            paths = [root / name for name in names[start : start + AT_ONCE]]
            batch = torch.stack(list(pool.map(read, paths))).to(device)
            found.append(functional.normalize(net(batch)).cpu().numpy())
    return np.concatenate(found) if found else np.zeros((0, 1), np.float32)


def heard(path: Path) -> Float[Tensor, "40 frames"]:
    """Ten seconds of a recording as the voice net reads them."""
    return sss_features(torch.from_numpy(sss_loaded(read_wav(path)))[None])[0]


def seen(path: Path) -> Float[Tensor, "3 side side"]:
    """A picture as the face net reads it."""
    return images.prepare(images.read(path), CONVENTIONS["sss"])


def read_wav(path: Path) -> Int16[np.ndarray, " samples"]:
    """The left channel of a recording as published: 16-bit PCM at 16 kHz.

    Raises:
        ValueError: another format.
    """
    try:
        with wave.open(str(path), "rb") as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is no PCM WAV file: {error}") from error
    if (rate, width) != (RATE, 2) or not content:
        raise ValueError(
            f"{path} has {rate} Hz and {8 * width} bits; SSS reads 16 bits at {RATE} Hz"
        )
    return np.frombuffer(content, "<i2").reshape(-1, channels)[:, 0].copy()

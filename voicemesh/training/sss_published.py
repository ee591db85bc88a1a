"""Seeking the Shape of Sound on the authors' data, as it lies on disk.

VGG_ALL_FRONTAL/NAME/*.jpg are pictures, wav/ID/VIDEO/*.wav recordings, list_wav holds the tables
of identities and the query lists.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from voicemesh import images
from voicemesh.checkpoints.upstream import load
from voicemesh.evaluation import lists, matching
from voicemesh.evaluation.sss_lists import (
    FACES,
    LISTS,
    THREADS,
    VOICES,
    embedded,
    heard,
    read_wav,
    seen,
)
from voicemesh.images import CONVENTIONS, MIDDLE, Picture
from voicemesh.nets.sss import IdentityState, ShapeOfSound

from .sss_data import Sitters, cut
from .sss_recipe import SssRecipe
from .sss_task import SssNets, in_three_steps

TRIPLES = "match_v2f_2_val"  # what a net is chosen by
TURN = 15  # degrees, either way
GREY = 127
BORDER = (0, 0, GREY)  # R, G, B; the authors' single number fills one channel, which is blue


def train_on_published(
    folder: Path, run: Path, recipe: SssRecipe, minutes: float = float("inf")
) -> dict[str, float]:
    """The three steps on the authors' data, in the folder `run`; call again to go on.

    Raises:
        ValueError: the recipe is one for populations, or a person has no files.
    """
    if recipe.small:
        raise ValueError(
            f"{folder} holds the authors' data; small nets train on populations alone: choose"
            " --recipe published"
        )
    people = lists.identity_table(folder / LISTS / "vox1_train.csv")
    sitters = Sitters(
        WavFiles(files(folder / VOICES, [p.voxceleb for p in people], "*/*.wav"), recipe),
        JpgFiles(files(folder / FACES, [p.vggface for p in people], "*.jpg")),
        np.array([p.gender.lower().startswith("f") for p in people], np.int64),
    )
    judge = by_triples(folder)

    def fresh(state: IdentityState, adjusts: bool) -> SssNets:
        return published_nets(recipe, state, adjusts)

    return in_three_steps(run, recipe, fresh, sitters, judge, minutes)


def published_nets(recipe: SssRecipe, state: IdentityState, adjusts: bool) -> SssNets:
    """Nets of the published layout, on the authors' backbones where a recipe names their files."""
    whole = ShapeOfSound(
        recipe.voice_blocks,
        recipe.voice_widths,
        recipe.face_units,
        recipe.face_widths,
        recipe.side,
        recipe.features,
        recipe.embedding,
        len(state.weight),
    )
    if recipe.voice_backbone:
        backbone = load("sss-voice-backbone", recipe.voice_backbone)
        whole.V.model.load_state_dict(backbone.state_dict())
    if recipe.face_backbone:
        backbone = load("sss-face-backbone", recipe.face_backbone)
        whole.F.model.load_state_dict(backbone.state_dict())
    return SssNets(recipe, whole.V, whole.F, whole.F.cls, state, adjusts)


@dataclass(frozen=True, eq=False)
class WavFiles:
    """Recordings on disk by person."""

    files: Sequence[Sequence[Path]]
    recipe: SssRecipe

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch 40 frames"]:
        """One cut of one length out of a random recording of each."""
        paths = [chosen(self.files[person], rng) for person in people]
        with ThreadPoolExecutor(THREADS) as pool:
            waveforms = list(pool.map(read_wav, paths))
        return cut(waveforms, self.recipe.shortest_cut, self.recipe.longest_cut, rng)


@dataclass(frozen=True, eq=False)
class JpgFiles:
    """Pictures on disk by person."""

    files: Sequence[Sequence[Path]]

    def draw(
        self, people: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch 3 side side"]:
        """One random picture of each, varied as the authors do."""
        paths = [chosen(self.files[person], rng) for person in people]
        with ThreadPoolExecutor(THREADS) as pool:
            pictures = list(pool.map(images.read, paths))
        if rng is None:
            return torch.stack([images.prepare(p, CONVENTIONS["sss"]) for p in pictures])
        return torch.stack([varied(picture, rng) for picture in pictures])


def chosen(paths: Sequence[Path], rng: np.random.Generator | None) -> Path:
    """A random file, or the first."""
    return paths[0 if rng is None else int(rng.integers(len(paths)))]


def files(root: Path, names: Sequence[str], pattern: str) -> list[list[Path]]:
    """The sorted files of everybody.

    Raises:
        ValueError: somebody has none.
    """
    found = [sorted((root / name).glob(pattern)) for name in names]
    lacking = [name for name, own in zip(names, found, strict=True) if not own]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(names)} people have no {pattern} under {root}, such as"
            f" {', '.join(lacking[:3])}; complete the data or mark them `none` in the table"
        )
    return found


def varied(picture: Picture, rng: np.random.Generator, side: int = 112) -> Float[Tensor, "3 _ _"]:
    """A picture as the authors vary it: mirrored, turned on a larger canvas, cut on a diagonal."""
    height, width = picture.shape[:2]
    share = side / max(height, width)
    size = max(1, int(height * share)), max(1, int(width * share))
    scaled = images.bilinear(picture, size)
    if rng.random() < 0.5:
        scaled = scaled[:, ::-1]
    if rng.random() < 0.5:
        scaled = turned(scaled, int(rng.integers(-TURN, TURN)))
    offset = rng.random()
    height, width = scaled.shape[:2]
    top, left = (int(offset * max(0, length - side)) for length in (height, width))
    square = np.full((side, side, 3), GREY, np.uint8)
    part = scaled[top : top + side, left : left + side]
    square[: part.shape[0], : part.shape[1]] = part
    pixels = torch.from_numpy(square[:, :, ::-1].astype(np.float32)).permute(2, 0, 1)
    return ((pixels - MIDDLE) / MIDDLE).contiguous()


def turned(picture: Picture, degrees: int) -> Picture:
    """Turned about its centre, on a canvas that would hold it whole but is not moved along."""
    height, width = picture.shape[:2]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    canvas = (
        int(height * abs(sine) + width * abs(cosine)),
        int(height * abs(cosine) + width * abs(sine)),
    )
    x, y = width / 2, height / 2
    back = (cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y)
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(
        image.transform(
            canvas, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR, fillcolor=BORDER
        )
    )


def by_triples(folder: Path) -> Callable[[SssNets, torch.device], dict[str, float]]:
    """A judge: how often a voice of the published list finds its face, of two."""
    queries = lists.matching(folder / LISTS / TRIPLES)

    def judge(nets: SssNets, device: torch.device) -> dict[str, float]:
        voices = embedded(queries.probes, folder / VOICES, heard, nets.V, device)
        faces = embedded(queries.candidates, folder / FACES, seen, nets.F, device)
        right = matching.accuracy(voices, faces, queries.rows)
        return {"matching": right, "selection": 1 - right}

    return judge

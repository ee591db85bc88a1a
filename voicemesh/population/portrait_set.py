"""The portraits of a population on disk, beside its recordings and in the same shards.

POPULATION/portraits-SIZE holds portraits.json (recipe, names of the columns, which splits), shape
parameters and hair style of everyone's head, and shards of pictures. Every shard depends on the
recipe, the heads and its own number alone: an interrupted build continues and ends bit-identical.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from voicemesh.mesh.hair_styles import HairStyle
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.whole_files import write_json

from .appearance import styles
from .dataset import SPLITS, Population, read_arrays, shards_of, write_arrays
from .faces import shape_params
from .law import People
from .portraits import LIGHTS, LOOKS, looks_of, portraits
from .workers import each

log = logging.getLogger(__name__)

FORMAT = 1
DESCRIPTION, HEADS = "portraits.json", "heads.safetensors"


@dataclass(frozen=True)
class PortraitRecipe:
    """Portraits of a population; what is left out can be added by another build."""

    pictures: int = 4  # of each person
    size: int = 128  # pixels of a side
    seed: int = 0
    splits: tuple[str, ...] = SPLITS
    identities: int = 0  # at most so many of each split, rounded up to whole shards; 0 is all
    workers: int = 1


@dataclass(frozen=True, eq=False)
class PortraitShard:
    """Pictures of one shard's people; row i of every array is picture i."""

    pixels: UInt8[np.ndarray, "rows size size 3"]  # RGB
    identity: Int64[np.ndarray, " rows"]  # row of the population's people
    picture: Int64[np.ndarray, " rows"]  # 0: frontal, at rest, in neutral light
    shape_params: Float32[np.ndarray, "rows s"]  # whitened
    expression_params: Float32[np.ndarray, "rows e"]
    camera: Float32[np.ndarray, "rows 3 4"]  # (x, y, z, 1) in mm -> pixels right, down, to the eye
    look: Float32[np.ndarray, "rows looks"]  # columns of LOOKS
    light: Float32[np.ndarray, "rows lights"]  # columns of LIGHTS
    backdrop: Float32[np.ndarray, "rows 3"]

    def __len__(self) -> int:
        return len(self.identity)

    def rows(self, some: Int64[np.ndarray, " some"]) -> "PortraitShard":
        """Those of some pictures."""
        return PortraitShard(**{name: value[some] for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class PortraitSet:
    """Portraits on disk."""

    folder: Path
    recipe: PortraitRecipe
    files: dict[str, tuple[Path, ...]]  # the shards that are there, by split

    @classmethod
    def open(cls, folder: str | Path, partial: bool = False) -> "PortraitSet":
        """Open a folder that `build` made; `partial` takes what an unfinished one has so far.

        Raises:
            ValueError: no portraits are there, or shards that were asked for are missing.
        """
        folder = Path(folder)
        if not (folder / DESCRIPTION).exists():
            raise ValueError(f"{folder} holds no portraits; make some with `picture`")
        told = described(folder / DESCRIPTION)
        wanted = {
            split: [_path(folder, shard) for shard in told["shards"].get(split, ())]
            for split in SPLITS
        }
        missing = [path.name for paths in wanted.values() for path in paths if not path.exists()]
        if missing and not partial:
            raise ValueError(
                f"{folder} lacks {len(missing)} shards, the first is {missing[0]}; run `picture`"
                " with the same recipe to finish it"
            )
        recipe = PortraitRecipe(**told["recipe"], splits=tuple(s for s in SPLITS if wanted[s]))
        return cls(
            folder,
            recipe,
            {split: tuple(p for p in paths if p.exists()) for split, paths in wanted.items()},
        )

    def shards(self, split: str) -> Iterator[PortraitShard]:
        """Shard after shard of "train" or "validation", people ascending."""
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
        for path in self.files[split]:
            yield PortraitShard(**read_arrays(path))

    def gathered(self, split: str) -> PortraitShard:
        """All pictures of a split in memory.

        Raises:
            ValueError: there are none.
        """
        shards = list(self.shards(split))
        if not shards:
            raise ValueError(f"{self.folder} has no portraits of the split {split!r}")
        columns = PortraitShard.__dataclass_fields__
        return PortraitShard(
            **{c: np.concatenate([getattr(s, c) for s in shards]) for c in columns}
        )


def build(
    population: Population, face_model: MorphableModel, recipe: PortraitRecipe
) -> PortraitSet:
    """Take the portraits of a recipe, or those that are still missing.

    Splits and people may be added to a folder by further builds.

    Raises:
        ValueError: the folder holds portraits of another recipe or of other heads.
    """
    from tqdm import tqdm

    _check(recipe)
    folder = population.folder / f"portraits-{recipe.size}"
    folder.mkdir(exist_ok=True)
    face_model = face_model.to("cpu")
    shards = shards_of(population.recipe)
    wanted = _wanted(population, recipe)
    _describe(folder, recipe, wanted, _heads(folder, population, face_model))
    missing = [n for ns in wanted.values() for n in ns if not _path(folder, n).exists()]
    total = sum(len(shards[n]) for ns in wanted.values() for n in ns)
    left = sum(len(shards[n]) for n in missing)
    work = partial(_take_shard, folder, population.people, face_model, recipe)
    with tqdm(total=total, initial=total - left, unit="identity", desc=folder.name) as bar:
        for count in each(work, [(n, shards[n]) for n in missing], recipe.workers):
            bar.update(count)
    return PortraitSet.open(folder)


def take_shard(
    people: People,
    heads: Float32[np.ndarray, "people s"],
    worn: Float32[np.ndarray, "people 14"],
    face_model: MorphableModel,
    recipe: PortraitRecipe,
    identities: Int64[np.ndarray, " identities"],
) -> PortraitShard:
    """All portraits of these people."""
    from voicemesh.mesh.render import openness_of

    columns: dict[str, list] = {name: [] for name in PortraitShard.__dataclass_fields__}
    openness = openness_of(face_model.mesh(torch.zeros(heads.shape[1])))
    rest = np.zeros(face_model.expression_basis.shape[2], np.float32)
    for person in map(int, identities):
        head = torch.from_numpy(heads[person])
        look, style = looks_of(people, person, worn[person]), HairStyle(*map(float, worn[person]))
        what = (recipe.pictures, recipe.size, recipe.seed, openness)
        taken = portraits(people, person, face_model, head, style, *what)
        for number, picture in enumerate(taken):
            sat = picture.sitting
            moved = rest if sat.expression is None else sat.expression
            row = (picture.pixels, person, number, heads[person], moved, picture.camera, look)
            row = (*row, np.float32(sat.light), np.float32(sat.backdrop))
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return PortraitShard(**{name: np.array(column) for name, column in columns.items()})


def described(path: Path) -> dict[str, Any]:
    """What portraits.json says.

    Raises:
        ValueError: it is damaged, or of another format.
    """
    try:
        told = json.loads(path.read_text())
        if told["format"] != FORMAT:
            raise ValueError(f"{path} has format {told['format']}; this version reads {FORMAT}")
        PortraitRecipe(**told["recipe"])
        return {name: told[name] for name in ("recipe", "shards", "face_model", "looks")}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} describes no portraits: {error}") from error


def _wanted(population: Population, recipe: PortraitRecipe) -> dict[str, list[int]]:
    """Numbers of the shards that a recipe asks for, by split."""
    wanted: dict[str, list[int]] = {}
    for split in recipe.splits:
        own, had = getattr(population, split), 0
        for shard, identities in shards_of(population.recipe).items():
            if own[0] <= identities[0] <= own[-1] and (
                not recipe.identities or had < recipe.identities
            ):
                wanted.setdefault(split, []).append(shard)
                had += len(identities)
    return wanted


def _check(recipe: PortraitRecipe) -> None:
    least = dict(pictures=1, size=8, identities=0, workers=1)
    for name, low in least.items():
        if getattr(recipe, name) < low:
            raise ValueError(f"{name} is {getattr(recipe, name)}; it must be at least {low}")
    unknown = [split for split in recipe.splits if split not in SPLITS]
    if unknown or not recipe.splits:
        raise ValueError(f"splits is {recipe.splits}; there are {', '.join(SPLITS)}")


def _heads(folder: Path, population: Population, face_model: MorphableModel) -> str:
    """Write everyone's shape parameters and hair style once; the fingerprint of the face model."""
    path = folder / HEADS
    bases = (face_model.mean, face_model.shape_basis * face_model.shape_deviation)
    drawn = hashlib.sha256(b"".join(part.numpy().tobytes() for part in bases)).hexdigest()[:16]
    if not path.exists():
        people = population.people
        worn = styles(population.recipe.seed, people.mode, people.age).astype(np.float32)
        params = shape_params(people, face_model).numpy()
        write_arrays(path, {"shape_params": params, "styles": worn}, "heads")
    return drawn


def _describe(
    folder: Path, recipe: PortraitRecipe, wanted: dict[str, list[int]], heads: str
) -> None:
    """Write what the folder is to hold, or add to it if it is of this recipe."""
    content = {name: getattr(recipe, name) for name in ("pictures", "size", "seed")}
    path = folder / DESCRIPTION
    shards = {split: set(numbers) for split, numbers in wanted.items()}
    if path.exists():
        told = described(path)
        known = {**told["recipe"], "face model": told["face_model"], "looks": told["looks"]}
        given = {**content, "face model": heads, "looks": list(LOOKS)}
        other = {k: known[k] for k, v in given.items() if known[k] != v}
        if other:
            raise ValueError(
                f"{folder} holds portraits with other {', '.join(other)} ({other}); remove it or"
                " choose that recipe"
            )
        for split, numbers in told["shards"].items():
            shards[split] = shards.get(split, set()) | set(numbers)
    told = {
        "format": FORMAT,
        "recipe": content,
        "face_model": heads,
        "looks": list(LOOKS),
        "lights": list(LIGHTS),
        "shards": {split: sorted(numbers) for split, numbers in shards.items()},
    }
    write_json(path, told)


def _take_shard(
    folder: Path,
    people: People,
    face_model: MorphableModel,
    recipe: PortraitRecipe,
    shard: int,
    identities: Int64[np.ndarray, " some"],
) -> int:
    """Take and write one shard; how many people it shows."""
    torch.set_num_threads(1)
    heads = read_arrays(folder / HEADS)
    shot = take_shard(
        people, heads["shape_params"], heads["styles"], face_model, recipe, identities
    )
    arrays = {name: getattr(shot, name) for name in PortraitShard.__dataclass_fields__}
    write_arrays(_path(folder, shard), arrays, "portraits")
    return len(identities)


def _path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.safetensors"

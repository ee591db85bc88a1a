"""Voxceleb-3D as its authors lay it out on disk, and the published protocol on it.

A root holds vox1_meta.csv, the voices as fbank/<VoxCeleb id>/<video>/<number>.npy, and folders of
identities by name with pictures (.jpg), meshes (.obj), point clouds (.xyz) and parameters (.npy).
Names from A to E are evaluated on, those from F to Z are trained on.
Source: choyingw/Cross-Modal-Perceptionist, README, eval_sup.py, cal_size_ARE.py, cal_size_kpts.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from tqdm import tqdm

from voicemesh.audio import feature_files
from voicemesh.audio.recording import UnusableRecording
from voicemesh.checkpoints.unpickle import MALFORMED
from voicemesh.mesh import export
from voicemesh.mesh.basel import EXPRESSION_PARAMS, SHAPE_PARAMS
from voicemesh.mesh.landmarks import BASEL_VERTICES, RATIOS
from voicemesh.mesh.metrics import keypoint_error, pair_lengths, ratio_error
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.systems.cmp import CrossModalPerceptionist, Perception

from . import bootstrap
from .lists import Identity, identity_table

META, VOICES = "vox1_meta.csv", "fbank"
LAST_EVALUATED = "E"  # initial letter
BASEL_SHAPES, BASEL_EXPRESSIONS = 199, 29  # numbers of a parameter file
EACH = 3  # feature files of an identity that the published evaluation reads
MEASURES = (*(f"are_{name}" for name in RATIOS), "keypoint")


@dataclass(frozen=True)
class Person:
    """One identity and the files there are of it."""

    identity: Identity
    features: tuple[Path, ...]  # of the voice, by video and number
    faces: Path  # folder

    @property
    def female(self) -> bool:
        """As the table of identities says."""
        return self.identity.gender.lower().startswith("f")


@dataclass(frozen=True)
class Voxceleb3D:
    """People who have both a voice and a face on the disk."""

    root: Path
    people: tuple[Person, ...]

    @classmethod
    def open(cls, root: str | Path, split: str) -> "Voxceleb3D":
        """The people to train on ("train", F to Z) or held out ("validation", A to E), by name.

        Raises:
            ValueError: the root is not laid out so, or has nobody of the split.
        """
        if split not in ("train", "validation"):
            raise ValueError(f"no split {split!r}; there are train, validation")
        root = Path(root)
        for needed in (META, VOICES):
            if not (root / needed).exists():
                raise ValueError(f"{root} is no Voxceleb-3D: it has no {needed}")
        named = face_folders(root)
        people = []
        for identity in sorted(identity_table(root / META), key=lambda one: one.vggface):
            held_out = identity.vggface[:1].upper() <= LAST_EVALUATED
            if identity.vggface not in named or held_out != (split == "validation"):
                continue
            files = sorted((root / VOICES / identity.voxceleb).glob("*/*.npy"))
            if files:
                people.append(Person(identity, tuple(files), named[identity.vggface]))
        if not people:
            raise ValueError(f"{root} has nobody of the {split} split with a voice and a face")
        return cls(root, tuple(people))


def is_layout(root: str | Path) -> bool:
    """Whether a folder is a Voxceleb-3D, by what lies in it."""
    return (Path(root) / META).is_file() and (Path(root) / VOICES).is_dir()


def face_folders(root: Path) -> dict[str, Path]:
    """Folders of identities by name, one or two levels below the root; the first of a name."""
    found: dict[str, Path] = {}
    for pattern in ("*.xyz", "*.obj", "*.npy"):
        for depth in ("*/", "*/*/"):
            for file in sorted(root.glob(f"{depth}{pattern}")):
                if VOICES not in file.relative_to(root).parts:
                    found.setdefault(file.parent.name, file.parent)
    return found


def read_points(path: Path) -> Float32[np.ndarray, "v 3"]:
    """The vertices of a point cloud (.xyz) or of a mesh (.obj), in the file's own units.

    Raises:
        ValueError: the file holds anything else.
    """
    rows = []
    with path.open() as lines:
        for line in lines:
            words = line.split()
            if path.suffix == ".obj":
                if words[:1] != ["v"]:
                    continue
                words = words[1:]
            if words:
                rows.append(words[:3])
    try:
        points = np.array(rows, np.float32)
    except ValueError as error:
        raise ValueError(f"{path} holds something else than points: {error}") from error
    if points.ndim != 2 or points.shape[1:] != (3,) or not np.isfinite(points).all():
        raise ValueError(f"{path} holds no list of points x y z")
    return points


def read_params(
    path: Path, shapes: int = SHAPE_PARAMS, expressions: int = EXPRESSION_PARAMS
) -> tuple[Float32[np.ndarray, " s"], Float32[np.ndarray, " e"]]:
    """The first shape and expression coefficients of a parameter file of 199 and 29, raw.

    Raises:
        ValueError: the file holds another number of values.
    """
    try:
        values = np.load(path, allow_pickle=False).astype(np.float32).ravel()
    except (OSError, *MALFORMED) as error:
        raise ValueError(f"{path} is no array of numbers") from error
    if len(values) != BASEL_SHAPES + BASEL_EXPRESSIONS:
        raise ValueError(
            f"{path} holds {len(values)} values; {BASEL_SHAPES} of the shape and"
            f" {BASEL_EXPRESSIONS} of the expression are needed"
        )
    return values[:shapes], values[BASEL_SHAPES : BASEL_SHAPES + expressions]


def target_of(person: Person, vertices: int) -> Float32[np.ndarray, "v 3"]:
    """The published target: the first point cloud of an identity, or its first mesh.

    Raises:
        ValueError: there is neither, or it has another number of vertices.
    """
    files = sorted(person.faces.glob("*.xyz")) or sorted(person.faces.glob("*.obj"))
    if not files:
        raise ValueError(f"{person.faces} has no .xyz and no .obj to compare with")
    points = read_points(files[0])
    if len(points) != vertices:
        raise ValueError(f"{files[0]} has {len(points)} vertices; the face model has {vertices}")
    return points


@torch.inference_mode()
def evaluate(
    system: CrossModalPerceptionist,
    data: Voxceleb3D,
    meshes: Path | None = None,
    each: int = EACH,
    seed: int = 0,
) -> dict[str, Any]:
    """Published ARE and keypoint error over identities, against the mean face, with intervals.

    Reads the first `each` feature files of every identity, as published, and writes their meshes
    as <meshes>/<Name>/<video>_<number>.obj where a folder is given. With mean faces in the bundle
    the mean of the right sex is measured too, and how often the mesh tells the sex.

    Raises:
        ValueError: the face model has not the vertices of the targets.
    """
    model = system.face_model
    if len(model.mean) != BASEL_VERTICES:
        raise ValueError(
            f"The published protocol compares faces of {BASEL_VERTICES} vertices; this bundle's"
            f" have {len(model.mean)}: convert the published download and choose its bundle"
        )
    means = {sex: system.statistics.get(f"mean_{sex}") for sex in ("male", "female")}
    mean_face = model.vertices(torch.zeros_like(model.shape_mean))
    known = {sex: model.vertices(params) for sex, params in means.items() if params is not None}
    rows: dict[str, list[list[float]]] = {"system": [], "mean_face": []}
    right, skipped = [], []
    for person in tqdm(data.people, unit="identity", desc="listening", disable=None):
        target = torch.from_numpy(target_of(person, BASEL_VERTICES)).to(model.mean)
        errors = []
        for file, heard in heard_in(person, system, each, skipped):
            vertices = model.vertices(heard.shape_params[0], heard.expression_params[0])
            errors.append(errors_of(vertices, target, model))
            if len(known) == 2:
                right.append(bool(system.female(heard.shape_params)[0]) == person.female)
            if meshes:
                name = f"{file.parent.name}_{file.stem}.obj"
                (meshes / person.identity.vggface).mkdir(parents=True, exist_ok=True)
                face = model.mesh(heard.shape_params[0], heard.expression_params[0])
                export.write(face, meshes / person.identity.vggface / name)
        rows["system"].append(np.mean(errors, 0).tolist())
        rows["mean_face"].append(errors_of(mean_face, target, model))
        if len(known) == 2:
            own = known["female" if person.female else "male"]
            rows.setdefault("right_sex", []).append(errors_of(own, target, model))
    return {
        "data": "Voxceleb-3D, names A to E",
        "people": len(data.people),
        "errors": summary({name: np.array(values) for name, values in rows.items()}, seed),
        "sex": float(np.mean(right)) if right else None,
        "skipped": skipped,
    }


def heard_in(
    person: Person, system: CrossModalPerceptionist, each: int, skipped: list[str]
) -> Iterator[tuple[Path, Perception]]:
    """The first `each` feature files of a person and what is heard in them.

    Why a file could not be read goes into `skipped`.

    Raises:
        ValueError: none could be read.
    """
    read = 0
    for file in person.features[:each]:
        try:
            log_mel = torch.from_numpy(feature_files.load(file))
        except UnusableRecording as error:
            skipped.append(str(error))
            continue
        read += 1
        yield file, system.perceive_published(log_mel[None].to(system.face_model.mean))
    if not read:
        raise ValueError(f"No feature file of {person.identity.vggface} could be read")


def errors_of(
    vertices: Float[Tensor, "v 3"], target: Float[Tensor, "v 3"], model: MorphableModel
) -> list[float]:
    """The four absolute ratio errors and the keypoint error, as published."""
    ratios = ratio_error(pair_lengths(vertices), pair_lengths(target))
    return [*ratios.tolist(), float(keypoint_error(vertices, target, model.landmarks))]


def summary(rows: Mapping[str, Float[np.ndarray, "people k"]], seed: int) -> dict[str, Any]:
    """Means over people with 95 % intervals, and what is gained over each baseline."""
    count = len(next(iter(rows.values())))
    weights = bootstrap.resampled(count, np.random.default_rng(seed))
    told: dict[str, Any] = {}
    for column, name in enumerate(MEASURES):
        told[name] = {key: asdict(bootstrap.mean(v[:, column], weights)) for key, v in rows.items()}
        for baseline in rows.keys() - {"system"}:
            gain = rows[baseline][:, column] - rows["system"][:, column]
            told[name][f"gain_over_{baseline}"] = asdict(bootstrap.mean(gain, weights))
    return told


def table(results: Mapping[str, Any]) -> str:
    """The errors as text, lower is better."""
    columns = [
        name
        for name in ("system", "mean_face", "right_sex")
        if name in results["errors"][MEASURES[0]]
    ]
    head = f"{results['data']}: {results['people']} people"
    lines = [head, f"{'error':<12}" + "".join(f"{name:>26}" for name in columns)]
    for name in MEASURES:
        cells = (bootstrap.Estimate(**results["errors"][name][column]) for column in columns)
        lines.append(f"{name:<12}" + "".join(f"{cell!s:>26}" for cell in cells))
    if results["sex"] is not None:
        lines.append(f"sex by mesh right for {100 * results['sex']:.1f} % of recordings")
    return "\n".join(lines)

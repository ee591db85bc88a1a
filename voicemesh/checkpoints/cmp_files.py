"""The unzipped downloads of Cross-Modal Perceptionist: which file is what, and all of them read."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from voicemesh.mesh import basel
from voicemesh.mesh.face_types import FACE_TYPES, SEXES
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.synergynet import SynergyNet
from voicemesh.whole_files import sha256_of

from . import upstream
from .basel_files import load_basel
from .parts import (
    CMP_GENERATOR,
    CMP_HEAD,
    CMP_STATISTICS,
    CMP_STUDENT,
    CMP_TEACHER,
    CMP_VOICE,
    FACE_MODEL,
)
from .published_files import Converted
from .unpickle import torch_file

SYSTEM, TITLE = "cmp", "Cross-Modal Perceptionist, published networks"
log = logging.getLogger(__name__)

# Training leaves the iteration in the names, so any will do.
PATTERNS = {
    CMP_VOICE: "voice_embedding*.pth",
    "generators": "generator*.pth",  # of images and, under the same name, the supervised head
    CMP_STUDENT: "image3D*.pth",
    CMP_TEACHER: "2D-to-3D-pretrained.tar",
    "triangles": "tri.mat",
    "landmarks": "keypoints_sim.npy",
    **{name: f"{name}.obj" for name in (*SEXES, *FACE_TYPES)},
}


@dataclass(frozen=True)
class Download:
    """The files found under a folder, by what they are."""

    folder: Path
    files: Mapping[str, Path] = field(default_factory=dict)

    def read(self) -> dict[str, Converted]:
        """All parts that the files make.

        Raises:
            ValueError: files are missing without which no branch works; the message names them.
        """
        self.check()
        files, parts = self.files, {}
        for name in (CMP_VOICE, CMP_HEAD, CMP_GENERATOR, CMP_STUDENT, CMP_TEACHER):
            if name in files:
                parts[name] = Converted(upstream.load(name, files[name]), (files[name],))
        student, teacher = parts.get(CMP_STUDENT), parts[CMP_TEACHER].content
        if student:
            assert isinstance(student.content, SynergyNet) and isinstance(teacher, SynergyNet)
            student.content.whitened_as(teacher)
        surface = [files.get(name) for name in ("triangles", "landmarks")]
        model = load_basel(files[CMP_TEACHER], *surface)
        used = (files[CMP_TEACHER], *(file for file in surface if file))
        parts[FACE_MODEL] = Converted(model, used)
        references = {name: files[name] for name in (*SEXES, *FACE_TYPES) if name in files}
        if references:
            parts[CMP_STATISTICS] = Converted(
                reference_params(model, references), tuple(references.values())
            )
        if CMP_GENERATOR not in files:
            del parts[CMP_TEACHER]
        return parts

    def check(self) -> None:
        """Refuse a download without a whole branch; log what else it lacks."""
        lacking = [PATTERNS[name] for name in (CMP_VOICE, CMP_TEACHER) if name not in self.files]
        images = [name for name in (CMP_GENERATOR, CMP_STUDENT) if name in self.files]
        if CMP_HEAD not in self.files and not images:
            lacking.append("generator_48000.pth, of face images or supervised_64")
        elif len(images) == 1:
            lacking.append("generator_48000.pth of face images and image3D_48000.pth together")
        if lacking:
            raise ValueError(
                f"{self.folder} is no complete download of Cross-Modal Perceptionist: it lacks"
                f" {'; '.join(lacking)}"
            )
        for name, consequence in (
            (CMP_HEAD, "there is no supervised branch"),
            (CMP_GENERATOR, "there is no unsupervised branch"),
            ("triangles", "faces are clouds of points"),
            ("landmarks", "the landmarks of 3DDFA serve"),
            ("male", "no sex is told"),
            ("wide", "no face type is told"),
        ):
            if name not in self.files:
                log.info("%s has no %s: %s", self.folder, wanted_file(name), consequence)


def find(folder: str | Path, given: Mapping[str, Path | None] | None = None) -> Download:
    """Look for the published files, however deep they lie; those `given` need no search.

    Raises:
        ValueError: two different files of one kind; the message names them.
    """
    folder = Path(folder)
    found = {kind: file for kind, file in (given or {}).items() if file}
    for kind, pattern in PATTERNS.items():
        if kind in found:
            continue
        for file in sorted(folder.rglob(pattern)):
            if not file.is_file():
                continue
            part = generator_kind(file) if kind == "generators" else kind
            twin = found.setdefault(part, file)
            if twin != file and sha256_of(twin) != sha256_of(file):
                raise ValueError(f"{twin} and {file} are both {part}; leave one of them")
    return Download(folder, found)


def generator_kind(file: Path) -> str:
    """The supervised head is published under the name of the generator; keys tell them apart."""
    content = torch_file(file)
    keys = content if isinstance(content, Mapping) else ()
    heads = any(str(key).removeprefix("module.").startswith("classifier_") for key in keys)
    return CMP_HEAD if heads else CMP_GENERATOR


def wanted_file(name: str) -> str:
    """The published name of a file."""
    return upstream.TABLE[name].file if name in upstream.TABLE else PATTERNS[name]


def reference_params(
    model: MorphableModel, meshes: Mapping[str, Path]
) -> dict[str, Shaped[Tensor, "..."]]:
    """Mean faces and face types as shape parameters, by the names of a bundle's statistics.

    The published meshes are means of scaled meshes of the model, so they lie in its span.
    """
    told = {}
    for name, path in meshes.items():
        vertices = obj_vertices(path)
        if vertices.shape != tuple(model.mean.shape):
            raise ValueError(
                f"{path} has {len(vertices)} vertices; the face model has {len(model.mean)}"
            )
        kind = "mean" if name in SEXES else "type"
        told[f"{kind}_{name}"] = basel.shape_of_scaled(model, torch.from_numpy(vertices))
    means = [told[f"mean_{sex}"] for sex in SEXES if f"mean_{sex}" in told]
    if len(means) == len(SEXES):
        told["measure_mean"] = model.measurements(torch.stack(means))
    return told


def obj_vertices(path: Path) -> Float64[np.ndarray, "v 3"]:
    """The `v` lines of a Wavefront file, wherever they stand.

    Raises:
        ValueError: it is no text, or a vertex is no three numbers.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="strict").splitlines()
        found = [line.split()[1:4] for line in lines if line.startswith("v ")]
        return np.array(found, np.float64).reshape(-1, 3)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a mesh: {error}") from error

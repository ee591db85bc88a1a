"""A photograph of a face: its head as the image branch's teacher reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from voicemesh import images
from voicemesh.mesh import export
from voicemesh.mesh.morphable import FaceMesh
from voicemesh.systems.cmp_unsupervised import FaceReader

from .plain import REPORT, rounded, together, write_report
from .portrait import Measurement

PORTRAIT = 128  # pixels of the side of the portraits that the teacher learnt from
SHOWN = 480  # pixels of the side of the pictures
VEIL = 0.75  # how much of the mesh over the photograph covers it


@dataclass(frozen=True, eq=False)
class Photographed:
    """The largest face of a photograph, and its head."""

    name: str
    found: images.FoundFace
    picture: UInt8[np.ndarray, "size size 3"]  # the face, framed like a portrait
    overlay: UInt8[np.ndarray, "size size 3"]  # with the lit mesh on it
    face: FaceMesh  # with the expression of the photograph
    parameters: Float32[np.ndarray, " params"]  # scale, shape, expression; whitened
    sex: str  # whose mean shape is nearest
    measurements: tuple[Measurement, ...]

    def __repr__(self) -> str:
        return f"Photographed({self.name!r}: {self.sex or 'no sex known'})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the photograph."""
        return self.found.notes

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write the mesh (obj, ply, glb), the cropped face, the mesh on it, the report."""
        from PIL import Image

        names = {kind: f"mesh.{kind}" for kind in ("obj", "ply", "glb")}
        with together(folder) as scratch:
            for name in names.values():
                export.write(self.face, scratch / name)
            for name, pixels in (("face", self.picture), ("overlay", self.overlay)):
                names[name] = f"{name}.png"
                Image.fromarray(pixels).save(scratch / names[name])
            names["json"] = REPORT
            write_report(scratch / REPORT, self.report())
        return {kind: Path(folder) / name for kind, name in names.items()}

    def report(self) -> dict[str, Any]:
        """All but the arrays, as plain data."""
        return rounded(
            {
                "photograph": self.name,
                "face_width_pixels": self.found.width,
                "faces": self.found.count,
                "sex": self.sex,
                "lengths_mm": {row.name: row.value for row in self.measurements},
                "parameters": self.parameters.tolist(),
                "notes": list(self.notes),
            }
        )


def read(
    reader: FaceReader,
    found: images.FoundFace,
    name: str,
    sex_of: Callable[[Float[Tensor, "v 3"]], str],
    measure: Callable[[Float[Tensor, "v 3"], str], tuple[Measurement, ...]],
) -> Photographed:
    """The head of a found face; `sex_of` and `measure` judge its vertices at rest."""
    faces = reader.read(portrait_of(found).to(reader.face_model.mean.device))
    resting = reader.face_model.vertices(faces.shape_params[0])
    sex = sex_of(resting)
    return Photographed(
        name=name,
        found=found,
        picture=resized(found.crop, SHOWN),
        overlay=reader.overlay(faces, size=SHOWN, alpha=VEIL),
        face=reader.mesh(faces),
        parameters=faces.parameters[0].float().cpu().numpy(),
        sex=sex,
        measurements=measure(resting, sex),
    )


def portrait_of(found: images.FoundFace) -> Float[Tensor, "1 3 side side"]:
    """The crop at the size of the portraits, in [-1, 1]."""
    pixels = torch.from_numpy(resized(found.crop, PORTRAIT).copy()).permute(2, 0, 1)[None]
    return pixels.float() / 127.5 - 1


def resized(picture: UInt8[np.ndarray, "_ _ 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """A square picture at another size."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))

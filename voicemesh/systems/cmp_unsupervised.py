"""Cross-Modal Perceptionist, unsupervised: embedding -> face image -> 3DMM parameters -> mesh.

No pair of a voice and a 3D face is needed to train it: the images come from an adversarial game,
the reader of the images learns of a teacher that knows photographs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_GENERATOR, CMP_STUDENT, CMP_TEACHER
from voicemesh.mesh import render
from voicemesh.mesh.basel import MICROMETRES, SCALE_DEVIATION, SCALE_MEAN
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.mesh.view import without_slivers
from voicemesh.nets.cmp import FaceGenerator
from voicemesh.nets.synergynet import CROP, Pose, SynergyNet, crop_of


@dataclass(frozen=True, eq=False)
class Faces:
    """What is read from a batch of face images."""

    image: Float[Tensor, "batch 3 height width"]  # RGB, [-1, 1] and beyond
    shape_params: Float[Tensor, "batch s"]  # whitened
    expression_params: Float[Tensor, "batch e"]
    scale: Float[Tensor, " batch"]  # the student's own, pixels of the crop per micrometre
    pose: Pose  # the teacher's, where there is one
    pose_numbers: Float[Tensor, "batch 12"]

    @property
    def parameters(self) -> Float[Tensor, "batch params"]:
        """Scale, shape and expression, whitened as the supervised head gives them."""
        scale = (self.scale - SCALE_MEAN) / SCALE_DEVIATION
        return torch.cat([scale[:, None], self.shape_params, self.expression_params], 1)


class FaceReader:
    """Reads the mesh of a face image, and where on the image it is."""

    def __init__(
        self, student: SynergyNet, face_model: MorphableModel, teacher: SynergyNet | None = None
    ) -> None:
        self.student, self.teacher = student.eval(), (teacher or student).eval()
        self.face_model = face_model

    @classmethod
    def of_photographs(
        cls, bundle: Bundle, face_model: MorphableModel, device: torch.device | str = "cpu"
    ) -> "FaceReader":
        """The teacher of a bundle alone: it knows photographs, its student imagined faces."""
        return cls(bundle.net(CMP_TEACHER).to(device), face_model)

    @torch.inference_mode()
    def read(self, image: Float[Tensor, "batch 3 height width"]) -> Faces:
        """The 3D faces on images that a face fills, RGB in [-1, 1].

        The colours reach the regressors as they are, though the published teacher grew up on BGR:
        its student was trained that way. Nor is the image clamped.
        """
        crop = crop_of(image)
        told = self.student(crop).params
        shape, expression = self.student.face_params(told)
        posed = told if self.teacher is self.student else self.teacher(crop).params
        numbers = self.teacher.pose_numbers(posed)
        return Faces(
            image=image,
            shape_params=shape,
            expression_params=expression,
            scale=Pose.of(self.student.pose_numbers(told)).scale,
            pose=Pose.of(numbers),
            pose_numbers=numbers,
        )

    def scaled_vertices(self, faces: Faces) -> Float[Tensor, "batch v 3"]:
        """The published mesh: frontal, pixels of the crop, y up; neither turned nor moved."""
        vertices = self.face_model.vertices(faces.shape_params, faces.expression_params)
        return vertices * (MICROMETRES * faces.scale)[:, None, None]

    def vertices_in_image(self, faces: Faces) -> Float[Tensor, "batch v 3"]:
        """The mesh where the face is on the crop: y down in pixels, z towards the viewer."""
        return faces.pose.image(self.scaled_vertices(faces))

    def mesh(self, faces: Faces, index: int = 0) -> FaceMesh:
        """One face in millimetres."""
        return self.face_model.mesh(faces.shape_params[index], faces.expression_params[index])

    def picture(
        self, faces: Faces, index: int = 0, size: int = CROP
    ) -> UInt8[np.ndarray, "size size 3"]:
        """One of the images, enlarged without a change of its corners."""
        image = functional.interpolate(
            faces.image[index : index + 1], (size, size), mode="bilinear", align_corners=True
        )
        bytes_ = (image[0].clamp(-1, 1) * 127.5 + 128).to(torch.uint8)
        return bytes_.permute(1, 2, 0).cpu().numpy()

    def overlay(
        self, faces: Faces, index: int = 0, size: int = CROP, alpha: float = 1.0
    ) -> UInt8[np.ndarray, "size size 3"]:
        """The lit mesh over its image."""
        enlarged = self.vertices_in_image(faces)[index] * ((size - 1) / (CROP - 1))
        # y turned over, so triangles that faced outward face inward.
        inward = self.face_model.triangles[:, [0, 2, 1]].cpu().numpy().astype(np.int32)
        vertices = enlarged.cpu().numpy().astype(np.float32)
        return render.overlay(
            self.picture(faces, index, size),
            vertices,
            without_slivers(vertices, inward),
            alpha=alpha,
        )


class ImageBranch(FaceReader):
    """Pictures the face of a voice and reads its mesh."""

    def __init__(
        self,
        generator: FaceGenerator,
        student: SynergyNet,
        face_model: MorphableModel,
        teacher: SynergyNet | None = None,
    ) -> None:
        super().__init__(student, face_model, teacher)
        self.generator = generator.eval()

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, face_model: MorphableModel, device: torch.device | str = "cpu"
    ) -> "ImageBranch":
        """The nets of a bundle; without a teacher the student's pose stands in."""
        return cls(
            generator=bundle.net(CMP_GENERATOR).to(device),
            student=bundle.net(CMP_STUDENT).to(device),
            face_model=face_model,
            teacher=bundle.net(CMP_TEACHER).to(device) if CMP_TEACHER in bundle.parts else None,
        )

    @torch.inference_mode()
    def imagine(self, unit: Float[Tensor, "batch embedding"]) -> Faces:
        """The faces of voices, from their embeddings of unit length."""
        return self.read(self.generator(unit))

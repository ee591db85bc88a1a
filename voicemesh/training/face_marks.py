"""Where landmarks lie in portraits and in views of them: what teaches a net to look closely."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.population.portrait_set import PortraitShard

AT_ONCE = 2000  # portraits


@dataclass(frozen=True, eq=False)
class Marks:
    """Landmarks of every portrait, right and down from -1 to 1 over the picture."""

    places: Float32[Tensor, "rows marks 2"]
    mirrored: Int64[Tensor, " marks"]  # which landmark each is in the mirror

    @classmethod
    def of(cls, portraits: PortraitShard, face_model: MorphableModel) -> "Marks":
        """Of the heads as they were turned and as they smiled."""
        face_model = face_model.to("cpu")
        chosen = face_model.landmarks
        rest = face_model.vertices(torch.zeros(portraits.shape_params.shape[1]))[chosen]
        bases = [
            (basis * deviation)[chosen].flatten(0, 1).numpy()
            for basis, deviation in (
                (face_model.shape_basis, face_model.shape_deviation),
                (face_model.expression_basis, face_model.expression_deviation),
            )
        ]
        size, found = portraits.pixels.shape[1], []
        for start in range(0, len(portraits), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            params = portraits.shape_params[some], portraits.expression_params[some]
            moved = sum(own @ basis.T for own, basis in zip(params, bases, strict=True))
            points = rest.numpy() + moved.reshape(-1, len(chosen), 3)
            camera = portraits.camera[some, :2]
            pixels = np.einsum("nij,nvj->nvi", camera[:, :, :3], points) + camera[:, None, :, 3]
            found.append((2 * pixels + 1) / size - 1)
        apart = (rest * torch.tensor([-1.0, 1.0, 1.0]))[:, None] - rest
        places = torch.from_numpy(np.concatenate(found)).float()
        return cls(places, apart.square().sum(2).argmin(1))

    def seen(
        self, rows: Int64[np.ndarray, " batch"], moves: Float[Tensor, "batch 2 3"]
    ) -> Float[Tensor, "batch marks 2"]:
        """Where they lie in views; a mirrored view shows the right of a head as its left."""
        back = torch.linalg.inv(moves[:, :, :2])
        places = self.places[torch.from_numpy(rows)] - moves[:, None, :, 2]
        places = places @ back.transpose(1, 2)
        flipped = torch.linalg.det(back)[:, None, None] < 0
        return torch.where(flipped, places[:, self.mirrored], places)

    def scales(self) -> tuple[Float[Tensor, "marks 2"], Float[Tensor, ""]]:
        """The usual place of each landmark, and how far they are from it on average."""
        usual = self.places.mean(0)
        return usual, (self.places - usual).square().mean().sqrt()

"""Two heads of one model beside each other: brought together, and how far apart part by part."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .landmarks import LANDMARK_GROUPS, SUBNASALE
from .lighting import vertex_normals
from .morphable import MorphableModel

NEAR = 16.0  # mm from a landmark of an eye, the nose or the lips: still the eye, the nose, the lips
JAW_NEAR = 22.0
FOREHEAD = 9.0, 55.0  # mm over the brows: from here to the hairline
NECK_BELOW = 10.0  # mm under the line of the jaw
PARTS = ("Forehead", "Eyes and brows", "Nose", "Cheeks", "Mouth", "Jaw and chin", "Ears", "Skull")
LANDMARKS_OF = {
    "Eyes and brows": ("right_brow", "left_brow", "right_eye", "left_eye"),
    "Nose": ("nose_bridge", "nose_base"),
    "Mouth": ("outer_lips", "inner_lips"),
}


def rigid(
    points: Float[Tensor, "n 3"], targets: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """The turn R and shift t for which `points @ R.T + t` are nearest to `targets`; no scaling."""
    centre, other = points.mean(0), targets.mean(0)
    u, _, vt = torch.linalg.svd((targets - other).T.double() @ (points - centre).double())
    mirror = torch.tensor([1.0, 1.0, float(torch.det(u @ vt).sign())], dtype=u.dtype)
    turn = (u * mirror.to(u) @ vt).to(points)
    return turn, other - turn @ centre


def brought_together(
    vertices: Float[Tensor, "v 3"], targets: Float[Tensor, "v 3"], by: Int64[Tensor, " n"]
) -> Float[Tensor, "v 3"]:
    """One mesh turned and moved onto another by some of its vertices; neither is scaled."""
    turn, shift = rigid(vertices[by], targets[by])
    return vertices @ turn.T + shift


def outward(
    vertices: Float[Tensor, "v 3"], reference: Float[Tensor, "v 3"], triangles: Int64[Tensor, "t 3"]
) -> Float[Tensor, " v"]:
    """How far each vertex stands out of the reference's surface; negative inside."""
    normals = vertex_normals(
        reference.cpu().float().numpy(), triangles.cpu().numpy().astype("int32")
    )
    return ((vertices - reference) * torch.from_numpy(normals).to(vertices)).sum(1)


def parts_of(model: MorphableModel) -> dict[str, Int64[Tensor, " _"]]:
    """The vertices of each part of the head, in the order of `PARTS`; the neck belongs to none.

    Told by distance from the landmarks of the mean head, so any model has them; ears only where
    the model names its own.
    """
    mean = model.vertices(torch.zeros_like(model.shape_mean))
    points = mean[model.landmarks]

    def of(*groups: str) -> Float[Tensor, "n 3"]:
        return points[[number for group in groups for number in LANDMARK_GROUPS[group]]]

    jaw, brows = of("jaw"), of("right_brow", "left_brow")
    front = mean[:, 2] > (jaw[0, 2] + jaw[-1, 2]) / 2
    ears = torch.zeros_like(front)
    if "ears" in model.regions:
        ears[model.regions["ears"]] = True
    over_brows = mean[:, 1] - brows[:, 1].max()
    above, scalp = over_brows > FOREHEAD[0], over_brows > FOREHEAD[1]
    right = jaw[: len(jaw) // 2 + 1].cpu().double().numpy()  # from the ear to the chin
    line = np.interp(mean[:, 2].cpu().numpy(), *right[right[:, 2].argsort()][:, [2, 1]].T)
    under = torch.from_numpy(line).to(mean) - mean[:, 1]
    neck = (under > NECK_BELOW) | (~front & (mean[:, 1] < points[SUBNASALE, 1]))
    nearest = {
        name: torch.cdist(mean, of(*groups)).amin(1) for name, groups in LANDMARKS_OF.items()
    }
    closest = torch.stack(list(nearest.values())).argmin(0)
    free, chosen = ~ears & ~neck, {}
    for number, name in enumerate(nearest):
        chosen[name] = free & front & ~above & (nearest[name] < NEAR) & (closest == number)
    taken = torch.stack(list(chosen.values())).any(0)
    at_jaw = (torch.cdist(mean, jaw[3:-3]).amin(1) < JAW_NEAR) | (under > 0)
    chosen["Forehead"] = free & front & above & ~scalp
    chosen["Jaw and chin"] = free & front & ~above & ~taken & at_jaw
    chosen["Cheeks"] = free & front & ~above & ~taken & ~at_jaw
    chosen["Ears"] = ears
    chosen["Skull"] = free & (scalp | ~front)
    return {name: chosen[name].nonzero()[:, 0] for name in PARTS if chosen[name].any()}

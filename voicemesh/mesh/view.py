"""Views of a mesh: where an eye stands, and what it sees from there."""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from voicemesh.kernels.rasterize import Fragments, rasterize

from .morphable import FaceMesh


def turn(yaw: float, pitch: float) -> Float32[np.ndarray, "3 3"]:
    """Rotation of the head in degrees: yaw to the viewer's right, pitch upwards."""
    a, b = np.radians([yaw, pitch])
    about_y = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    about_x = [[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]]
    return (np.array(about_x) @ np.array(about_y)).astype(np.float32)


def framing(
    mesh: FaceMesh, hair: Float[np.ndarray, "h 3"] | None = None
) -> tuple[Float32[np.ndarray, "3"], float]:
    """The point that the camera looks at, and the millimetres that fit across the picture.

    Hair is framed as far down as the head goes.
    """
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    if hair is not None and len(hair):
        high = np.maximum(high, [high[0], hair[:, 1].max(), high[2]]).astype(np.float32)
    return (low + high) / 2, float(1.1 * (high - low).max())


def project(
    points: Float[np.ndarray, "v 3"], distance: float, width: float, pixels: int
) -> Float32[np.ndarray, "v 3"]:
    """Image-space vertices of points about the middle of the view, through the portrait lens.

    Depth is the reciprocal of the distance to the camera plane, which is linear in the image.
    """
    nearness = 1 / (distance - points[:, 2])
    scale = nearness * (distance * pixels / width)
    middle = (pixels - 1) / 2
    image = [middle + points[:, 0] * scale, middle - points[:, 1] * scale, nearness]
    return np.stack(image, 1).astype(np.float32)


def axes_towards(direction: Float[np.ndarray, "3"]) -> Float32[np.ndarray, "3 3"]:
    """Right, up and forward of somebody who looks back from `direction`, as rows."""
    up = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.99 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction]).astype(np.float32)


def depth_map(
    points: Float32[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    axes: Float32[np.ndarray, "3 3"],
    reach: float,
    pixels: int,
) -> Float32[np.ndarray, "pixels pixels"]:
    """How near the mesh comes to somebody far away, in millimetres towards them.

    Only the triangles that face them are drawn.
    """
    x, y, z = (points @ axes.T).T
    a, b, c = triangles.T
    facing = (x[b] - x[a]) * (y[c] - y[a]) > (x[c] - x[a]) * (y[b] - y[a])
    scale, middle = pixels / (2 * reach), (pixels - 1) / 2
    image = np.stack([middle + x * scale, middle - y * scale, z], 1)
    return fragments_of(image, triangles[facing], (pixels, pixels)).depth.numpy()


def without_slivers(
    image: Float32[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]
) -> Int[np.ndarray, "kept 3"]:
    """The triangles that are not seen edge on: by the published rule those would fill their box."""
    a, b, c = (image[corner, :2] for corner in triangles.T)
    first, second = b - a, c - a
    twice_area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return triangles[twice_area**2 > 1e-5 * (first**2).sum(1) * (second**2).sum(1)]


def fragments_of(
    vertices: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    size: tuple[int, int],
) -> Fragments:
    """`rasterize` of float32 arrays on the CPU."""
    points = torch.from_numpy(np.ascontiguousarray(vertices, np.float32))
    return rasterize(points, torch.from_numpy(np.ascontiguousarray(triangles)), size)

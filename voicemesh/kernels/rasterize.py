"""Which triangle every pixel of an image sees, and what its corners' attributes become there."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .launching import launches

_spans = WeakTensorKeyDictionary()  # triangles -> their version, lowest and highest vertex

EMPTY_DEPTH = -1e8  # depth where nothing was drawn; a triangle must be nearer than this
EMPTY = -1  # triangle where nothing was drawn


class Fragments(NamedTuple):
    """What `rasterize` found at every pixel."""

    triangle: Int32[Tensor, "height width"]  # row of `triangles`, EMPTY where nothing was drawn
    weights: Float[Tensor, "height width 3"]  # of the three corners, 0 where nothing was drawn
    depth: Float[Tensor, "height width"]  # larger is nearer, EMPTY_DEPTH where nothing was drawn


def rasterize(
    vertices: Float[Tensor, "v 3"], triangles: Int[Tensor, "t 3"], size: tuple[int, int]
) -> Fragments:
    """The nearest triangle at every pixel of a (height, width) image.

    Vertices are in image space: x to the right and y down in pixels, z towards the viewer. The
    sample of a pixel is its integer coordinate (no half-pixel shift). With p = p0 + u (p2 - p0) +
    v (p1 - p0), a pixel is inside where u >= 0, v >= 0 and u + v < 1; both sides are drawn. A
    triangle without area covers its whole box with the depth of p0. Of equal depths the earlier
    triangle wins. Every form rounds alike, so float32 results agree to the bit. CUDA tensors run
    as Triton kernels, float32 CPU tensors as compiled row bands.

    Raises:
        ValueError: a triangle names a vertex that does not exist, vertices and triangles are on
            two devices, or the size is not positive.

    Source: Sim3DR (choyingw/Cross-Modal-Perceptionist, Sim3DR/lib/rasterize_kernel.cpp).
    """
    if min(size) < 1:
        raise ValueError(f"The image size is {size}; both height and width must be at least 1")
    check(vertices, triangles)
    if launches(vertices):
        from .rasterize_triton import rasterize_triton

        return rasterize_triton(vertices, triangles, size)
    if vertices.device.type != "cpu":
        found = rasterize(vertices.cpu(), triangles.cpu(), size)
        return Fragments(*(part.to(vertices.device) for part in found))
    if vertices.dtype == torch.float32:
        from .rasterize_cpu import rasterize_cpu

        return rasterize_cpu(vertices, triangles, size)
    return rasterize_reference(vertices, triangles, size)


def rasterize_reference(
    vertices: Float[Tensor, "v 3"], triangles: Int[Tensor, "t 3"], size: tuple[int, int]
) -> Fragments:
    """`rasterize` as its definition reads, one triangle after the other, in the vertices' dtype."""
    height, width = size
    triangle = torch.full(size, EMPTY, dtype=torch.int32, device=vertices.device)
    weights = vertices.new_zeros(height, width, 3)
    depth = vertices.new_full(size, EMPTY_DEPTH)
    for index, (p0, p1, p2) in enumerate(vertices[triangles.long()].unbind(0)):
        corners = torch.stack([p0, p1, p2])
        if not corners[:, :2].isfinite().all():
            continue
        left, top = corners[:, :2].amin(0).floor().clamp(min=0, max=max(size)).int().tolist()
        right, bottom = corners[:, :2].amax(0).ceil().clamp(min=-1, max=max(size)).int().tolist()
        bottom, right = min(bottom, height - 1), min(right, width - 1)
        if bottom < top or right < left:
            continue
        rows = torch.arange(top, bottom + 1, device=vertices.device)
        columns = torch.arange(left, right + 1, device=vertices.device)
        x2 = columns.to(vertices) - p0[0]
        y2 = rows.to(vertices)[:, None] - p0[1]
        u, v = _coordinates((p2 - p0).unbind(0), (p1 - p0).unbind(0), x2, y2)
        w = torch.stack([1 - u - v, v, u], -1)
        z = w[..., 0] * p0[2] + w[..., 1] * p1[2] + w[..., 2] * p2[2]
        window = (slice(top, top + len(rows)), slice(left, left + len(columns)))
        nearer = (u >= 0) & (v >= 0) & (u + v < 1) & (z > depth[window])
        triangle[window][nearer] = index
        weights[window][nearer] = w[nearer]
        depth[window][nearer] = z[nearer]
    return Fragments(triangle, weights, depth)


def interpolate(
    fragments: Fragments,
    triangles: Int[Tensor, "t 3"],
    attributes: Float[Tensor, "v channel"],
) -> Float[Tensor, "height width channel"]:
    """Attributes of the vertices at every pixel, 0 where nothing was drawn.

    Raises:
        ValueError: a triangle names a vertex that has no attributes, or the two and the fragments
            are on several devices.
    """
    check(attributes, triangles)
    if fragments.triangle.device != attributes.device:
        raise ValueError(
            f"Fragments on {fragments.triangle.device} and attributes on {attributes.device}; "
            "move them to one device"
        )
    single = attributes.dtype == fragments.weights.dtype == torch.float32
    if attributes.device.type == "cpu" and single:
        from .rasterize_cpu import interpolate_cpu

        return interpolate_cpu(fragments, triangles, attributes)
    wanted = torch.is_grad_enabled() and attributes.requires_grad
    if single and not wanted and launches(attributes):
        from .interpolate_triton import interpolate_triton

        return interpolate_triton(fragments, triangles, attributes)
    return interpolate_reference(fragments, triangles, attributes)


def interpolate_reference(
    fragments: Fragments,
    triangles: Int[Tensor, "t 3"],
    attributes: Float[Tensor, "v channel"],
) -> Float[Tensor, "height width channel"]:
    """`interpolate` as gathered corners; the form for gradients too."""
    image = attributes.new_zeros(*fragments.triangle.shape, attributes.shape[1])
    drawn = fragments.triangle >= 0
    corners = attributes[triangles[fragments.triangle[drawn].long()].long()]
    w = fragments.weights[drawn].to(attributes)
    image[drawn] = w[:, 0:1] * corners[:, 0] + w[:, 1:2] * corners[:, 1] + w[:, 2:3] * corners[:, 2]
    return image


def check(vertices: Float[Tensor, "v channel"], triangles: Int[Tensor, "t 3"]) -> None:
    """Refuse what would be read outside its memory."""
    if triangles.device != vertices.device:
        raise ValueError(
            f"Triangles on {triangles.device} and vertices on {vertices.device}; "
            "move them to one device"
        )
    if len(triangles):
        lowest, highest = _span(triangles, triangles.is_cuda)
        if lowest < 0 or highest >= len(vertices):
            raise ValueError(
                f"Triangles name vertices {lowest} to {highest}; "
                f"there are vertices 0 to {len(vertices) - 1}"
            )


def _span(triangles: Int[Tensor, "t 3"], keep: bool) -> list[int]:
    """The lowest and the highest vertex of some triangles.

    Args:
        keep: the answer until the tensor changes, since a GPU has to be waited for. Memory of the
            CPU may be NumPy's as well, which tells nobody of a change.
    """
    if not keep or triangles.is_inference():  # which count no changes either
        return torch.stack(triangles.aminmax()).tolist()
    version, *span = _spans.get(triangles, [None])
    if version != triangles._version:
        span = torch.stack(triangles.aminmax()).tolist()
        _spans[triangles] = [triangles._version, *span]
    return span


def _coordinates(
    edge0: tuple[Float[Tensor, ""], ...],
    edge1: tuple[Float[Tensor, ""], ...],
    x2: Float[Tensor, " width"],
    y2: Float[Tensor, "height 1"],
) -> tuple[Float[Tensor, "height width"], Float[Tensor, "height width"]]:
    """(u, v) of the points p0 + (x2, y2), in exactly this order of roundings."""
    (x0, y0, _), (x1, y1, _) = edge0, edge1
    d00, d01, d11 = x0 * x0 + y0 * y0, x0 * x1 + y0 * y1, x1 * x1 + y1 * y1
    determinant = d00 * d11 - d01 * d01
    inverse = torch.where(determinant == 0, 0, 1 / determinant)
    d02, d12 = x0 * x2 + y0 * y2, x1 * x2 + y1 * y2
    return (d11 * d02 - d01 * d12) * inverse, (d00 * d12 - d01 * d02) * inverse

"""Triton kernel of `interpolate`: one gather a value of the image.

Memory is the roof: 16 bytes of fragment and 4 a channel written for every pixel; corners and their
attributes come from the caches, since neighbours share them.
"""

from typing import no_type_check

import triton
import triton.language as tl
from jaxtyping import Float32, Int
from torch import Tensor
from torch.cuda import device_of

from .rasterize import Fragments

VALUES = 1024  # of the image, per program


@triton.jit(do_not_specialize=["values", "channels"])
@no_type_check
def _interpolate_kernel(
    triangle,  # [pixels] int32
    weights,  # [pixels, 3] float32
    triangles,  # [t, 3] int32
    attributes,  # [v, channels] float32
    image,  # [pixels, channels] float32, out
    values,  # pixels * channels
    channels,
    VALUES: tl.constexpr,
):
    # One program per VALUES values of the image.
    i = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
    inside = i < values
    pixel, channel = (i // channels).to(tl.int64), i % channels
    t = tl.load(triangle + pixel, mask=inside, other=-1)
    live = t >= 0
    corner = triangles + t.to(tl.int64) * 3
    value = tl.zeros((VALUES,), tl.float32)
    for k in tl.static_range(3):
        vertex = tl.load(corner + k, mask=live, other=0).to(tl.int64)
        attribute = tl.load(attributes + vertex * channels + channel, mask=live, other=0.0)
        value += tl.load(weights + pixel * 3 + k, mask=live, other=0.0) * attribute
    tl.store(image + i, value, mask=inside)


def interpolate_triton(
    fragments: Fragments,
    triangles: Int[Tensor, "t 3"],
    attributes: Float32[Tensor, "v channel"],
    block: int = VALUES,
) -> Float32[Tensor, "height width channel"]:
    """`interpolate` by one kernel, without its gradient."""
    channels = attributes.shape[1]
    image = attributes.new_empty(*fragments.triangle.shape, channels)
    if image.numel():
        with device_of(attributes):
            _interpolate_kernel[(triton.cdiv(image.numel(), block),)](
                fragments.triangle.contiguous(),
                fragments.weights.contiguous(),
                triangles.int().contiguous(),
                attributes.detach().contiguous(),
                image,
                image.numel(),
                channels,
                block,
                enable_fp_fusion=False,  # as every other form rounds
            )
    return image

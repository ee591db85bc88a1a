"""Triton kernel of `interpolate`: three gathers a value of the image.

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
COLUMNS = 32  # channels per program, at most


@triton.jit(do_not_specialize=["pixels"])
@no_type_check
def _interpolate_kernel(
    triangle,  # [pixels] int32
    weights,  # [pixels, 3] float32
    triangles,  # [t, 3] int32
    attributes,  # [v, CHANNELS] float32
    image,  # [pixels, CHANNELS] float32, out
    pixels,
    CHANNELS: tl.constexpr,
    PIXELS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    # One program per PIXELS pixels and COLUMNS channels: a fragment is read once for all of them.
    blocks: tl.constexpr = tl.cdiv(CHANNELS, COLUMNS)
    pixel = tl.program_id(0) // blocks * PIXELS + tl.arange(0, PIXELS)[:, None]
    channel = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside, known = pixel < pixels, channel < CHANNELS
    t = tl.load(triangle + pixel, mask=inside, other=-1)
    live = t >= 0
    place, corner = pixel.to(tl.int64), triangles + t.to(tl.int64) * 3
    value = tl.zeros((PIXELS, COLUMNS), tl.float32)
    for k in tl.static_range(3):
        vertex = tl.load(corner + k, mask=live, other=0).to(tl.int64)
        source = attributes + vertex * CHANNELS + channel
        attribute = tl.load(source, mask=live & known, other=0.0)
        value += tl.load(weights + place * 3 + k, mask=live, other=0.0) * attribute
    tl.store(image + place * CHANNELS + channel, value, mask=inside & known)


def interpolate_triton(
    fragments: Fragments,
    triangles: Int[Tensor, "t 3"],
    attributes: Float32[Tensor, "v channel"],
    values: int = VALUES,
) -> Float32[Tensor, "height width channel"]:
    """`interpolate` by one kernel, without its gradient."""
    pixels, channels = fragments.triangle.numel(), attributes.shape[1]
    image = attributes.new_empty(*fragments.triangle.shape, channels)
    if image.numel():
        columns = min(COLUMNS, triton.next_power_of_2(channels))
        rows = values // columns
        with device_of(attributes):
            _interpolate_kernel[(triton.cdiv(pixels, rows) * triton.cdiv(channels, columns),)](
                fragments.triangle.contiguous(),
                fragments.weights.contiguous(),
                triangles.int().contiguous(),
                attributes.detach().contiguous(),
                image,
                pixels,
                channels,
                rows,
                columns,
                enable_fp_fusion=False,  # as every other form rounds
            )
    return image

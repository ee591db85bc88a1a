"""Large matrices and kernels as whole numbers of eight bits, each row with a scale of its own.

Half the size of float16; what a row is off by is at most 1/254 of its largest value.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

SCALE = ":scale"  # what the name of a row's scale ends in
LARGE = 10_000  # values from which a tensor is stored so
LARGEST = 127.0

Tensors = dict[str, Shaped[Tensor, "..."]]


def narrowed(tensors: Mapping[str, Shaped[Tensor, "..."]]) -> Tensors:
    """Large matrices and kernels in eight bits beside their scales; the rest as it is."""
    found: Tensors = {}
    for name, value in tensors.items():
        if not value.is_floating_point() or value.ndim < 2 or value.numel() < LARGE:
            found[name] = value
            continue
        scale = value.float().flatten(1).abs().amax(1).clamp(min=1e-30) / LARGEST
        found[name] = (value.float() / in_rows(scale, value)).round().to(torch.int8)
        found[name + SCALE] = scale
    return found


def widened(tensors: Mapping[str, Shaped[Tensor, "..."]]) -> Tensors:
    """What `narrowed` was given, as near as it kept it.

    Raises:
        ValueError: scales that are not those of the rows of a tensor of eight bits.
    """
    found = {name: value for name, value in tensors.items() if not name.endswith(SCALE)}
    for name, scale in tensors.items():
        if not name.endswith(SCALE):
            continue
        whole = name.removesuffix(SCALE)
        value = found.get(whole)
        if value is None or value.dtype != torch.int8 or scale.shape != value.shape[:1]:
            raise ValueError(f"{name} holds no scales of the rows of {whole!r}")
        found[whole] = value.float() * in_rows(scale, value)
    return found


def in_rows(
    scale: Shaped[Tensor, " rows"], value: Shaped[Tensor, "rows ..."]
) -> Shaped[Tensor, "rows ..."]:
    """One scale per row, to multiply with."""
    return scale.reshape(-1, *(1 for _ in value.shape[1:]))


def round_to(net: nn.Module) -> nn.Module:
    """Give a net the values that eight bits keep of it."""
    net.load_state_dict(widened(narrowed(net.state_dict())))
    return net

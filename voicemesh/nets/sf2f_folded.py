"""SF2F for inference alone: norms folded into convolutions, and no map enlarged before its own.

Twice the side by nearest neighbours and then 3 x 3 taps is four times 2 x 2 taps of the small map,
one for each place among the four: 16 multiplications where there were 36.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .sf2f_decoders import START, GatedDecoder


class FoldedDecoder(nn.Module):
    """What `GatedDecoder.picture` gives in evaluation, of a copy of its weights."""

    def __init__(self, decoder: GatedDecoder) -> None:
        super().__init__()
        with torch.no_grad():
            layers = list(decoder.up_low_layers if decoder.large else decoder.up_layers)
            layers += [decoder.up_mid_layer] if decoder.large else []
            linear, norm = decoder.fc[0], decoder.fc[1]
            scale, shift = folded(norm)
            self.register_buffer("first", linear.weight * scale[:, None])
            self.register_buffer("first_bias", shift)
            for number, layer in enumerate(layers):
                scale, shift = folded(layer[2])
                taps = phases(layer[1].weight * scale[:, None, None, None])
                self.register_buffer(f"taps_{number}", taps)
                self.register_buffer(f"bias_{number}", shift)
            self.doublings = len(layers)
        self.colours = decoder.gnet_mid if decoder.large else decoder.gnet

    @torch.no_grad()
    def forward(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channels side side"]:
        """The largest image."""
        x = functional.linear(embedding, self.first, self.first_bias)
        x = functional.glu(x, 1).unflatten(1, (-1, START, START))
        for number in range(self.doublings):
            taps, bias = (self.get_buffer(f"{name}_{number}") for name in ("taps", "bias"))
            x = doubled(x, taps, bias)
        return self.colours(x)


def folded(
    norm: nn.BatchNorm1d | nn.BatchNorm2d,
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """What a norm in evaluation multiplies by, and what it adds."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def phases(weight: Float[Tensor, "after before 3 3"]) -> Float[Tensor, "4 after before 2 2"]:
    """The taps of each place among four: (up, left), (up, right), (down, left), (down, right).

    Of three taps the two that fall on one pixel of the small map are added up.
    """

    def halves(taps: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        a, b, c = taps.unbind(axis)
        return torch.stack([a, b + c], axis), torch.stack([a + b, c], axis)

    return torch.stack([part for side in halves(weight, 2) for part in halves(side, 3)])


def doubled(
    x: Float[Tensor, "batch before height width"],
    taps: Float[Tensor, "4 both before 2 2"],
    bias: Float[Tensor, " both"],
) -> Float[Tensor, "batch after tall wide"]:
    """Twice the side, convolved and gated."""
    height, width = x.shape[2:]
    padded = functional.pad(x, (1, 1, 1, 1))
    out = x.new_empty(len(x), len(bias) // 2, 2 * height, 2 * width)
    for place, own in enumerate(taps):
        down, right = divmod(place, 2)
        window = padded[:, :, down : down + height + 1, right : right + width + 1]
        out[:, :, down::2, right::2] = functional.glu(functional.conv2d(window, own, bias), 1)
    return out

"""How fast StyleGAN2's operations are beside the plain forms; only the figures of one run compare.

The plain forms are those the published code falls back to without its CUDA extensions: one
convolution grouped by item, a two-dimensional filter over single-channel maps, and separate steps
for noise, bias and rectifier. Times are of the processor, so other work on the machine counts
little.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from timing import fastest
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.kernels.bias_act import GAIN, SLOPE, bias_act
from voicemesh.kernels.modulated_conv import modulated_conv2d, weight_power
from voicemesh.kernels.upfirdn2d import upfirdn2d

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
FIR = torch.outer(TAPS, TAPS) / 64


def plain_upfirdn2d(
    x: torch.Tensor, kernel: torch.Tensor, up: int, down: int, padding: tuple[int, int]
) -> torch.Tensor:
    """Zeros stuffed, one channel at a time, all taps, then samples dropped."""
    batch, channels, height, width = x.shape
    stuffed = functional.pad(
        x.reshape(-1, height, 1, width, 1), (0, up - 1, 0, 0, 0, up - 1)
    ).reshape(-1, 1, height * up, width * up)
    padded = functional.pad(stuffed, (*padding, *padding))
    whole = functional.conv2d(padded, kernel.flip(0, 1)[None, None])[:, :, ::down, ::down]
    return whole.reshape(batch, channels, *whole.shape[2:])


def depthwise(x: torch.Tensor, kernel: torch.Tensor, down: int, padding: int) -> torch.Tensor:
    """A two-dimensional filter on all channels at once."""
    taps = kernel.flip(0, 1).expand(x.shape[1], 1, -1, -1)
    return functional.conv2d(x, taps, stride=down, padding=padding, groups=x.shape[1])


def depthwise_twice(x: torch.Tensor, down: int, padding: int) -> torch.Tensor:
    """Along y, then along x."""
    taps = (TAPS / 8).expand(x.shape[1], 1, -1)
    tall = functional.conv2d(
        x, taps[..., None], stride=(down, 1), padding=(padding, 0), groups=x.shape[1]
    )
    return functional.conv2d(
        tall, taps[..., None, :], stride=(1, down), padding=(0, padding), groups=x.shape[1]
    )


def plain_bias_act(
    x: torch.Tensor, bias: torch.Tensor, noise: torch.Tensor, strength: torch.Tensor
) -> torch.Tensor:
    """Noise, bias, rectifier and gain one after the other."""
    x = x + strength * noise
    return functional.leaky_relu(x + bias[:, None, None], SLOPE) * GAIN


def plain_styled_conv(
    x: torch.Tensor,
    weight: torch.Tensor,
    style: torch.Tensor,
    up: int,
    bias: torch.Tensor,
    noise: torch.Tensor,
    strength: torch.Tensor,
) -> torch.Tensor:
    """A weight for every item, and a convolution of as many groups."""
    batch, channels, height, width = x.shape
    outs, _, taps, _ = weight.shape
    filters = weight * (channels * taps**2) ** -0.5 * style[:, None, :, None, None]
    filters = filters * (filters.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, batch * channels, height, width)
    if up == 1:
        whole = functional.conv2d(x, filters.flatten(0, 1), padding=taps // 2, groups=batch)
        whole = whole.reshape(batch, outs, height, width)
    else:
        turned = filters.transpose(1, 2).reshape(batch * channels, outs, taps, taps)
        wide = functional.conv_transpose2d(x, turned, stride=2, groups=batch)
        wide = wide.reshape(batch, outs, 2 * height + 1, 2 * width + 1)
        whole = plain_upfirdn2d(wide, 4 * FIR, 1, 1, (1, 1))
    return plain_bias_act(whole, bias, noise, strength)


def with_gradients(run: Callable[[], torch.Tensor], wanted: list[torch.Tensor]) -> Callable:
    """The run and its gradients."""
    for tensor in wanted:
        tensor.requires_grad_()
    return lambda: torch.autograd.grad(run().sum(), wanted)


def report(name: str, ours: Callable, plain: dict[str, Callable], repeats: int) -> None:
    """One line: our time, and every other as a multiple of it."""
    base = fastest(ours, repeats, time.process_time)
    others = "".join(
        f"  {other} {fastest(run, repeats, time.process_time) / base:.2f} x"
        for other, run in plain.items()
    )
    print(f"{name:>44} {1e3 * base:9.2f} ms{others}", flush=True)


def filters(size: int, channels: int, repeats: int) -> None:
    for name, side, up, down, padding in (
        ("after an up-convolution", size + 1, 1, 1, (1, 1)),
        ("up 2", size // 2, 2, 1, (2, 1)),
        ("down 2", size, 1, 2, (1, 1)),
    ):
        x = torch.randn(1, channels, side, side)
        plain = {"plain": lambda a=(x, FIR, up, down, padding): plain_upfirdn2d(*a)}
        if up == 1:
            plain["depthwise"] = lambda a=(x, FIR, down, padding[0]): depthwise(*a)
            plain["twice 1-D"] = lambda a=(x, down, padding[0]): depthwise_twice(*a)
        report(
            f"filter, {channels} channels to {size} px, {name}",
            lambda a=(x, FIR, up, down, padding): upfirdn2d(*a),
            plain,
            repeats,
        )


def convolutions(size: int, channels: int, batch: int, repeats: int) -> None:
    bias, strength = torch.randn(channels), torch.ones(1)
    for up in (1, 2):
        wide, side = (channels, size) if up == 1 else (min(2 * channels, 512), size // 2)
        x, style = torch.randn(batch, wide, side, side), torch.randn(batch, wide)
        weight, noise = torch.randn(channels, wide, 3, 3), torch.randn(1, 1, size, size)
        power, then = weight_power(weight), {"slope": SLOPE, "gain": GAIN}

        def ours(x=x, style=style, weight=weight, noise=noise, power=power, up=up, then=then):
            fir = 4 * FIR if up == 2 else None
            then = then | {"bias": bias, "noise": noise, "strength": strength, "power": power}
            gain = (9 * x.shape[1]) ** -0.5
            return modulated_conv2d(x, weight, style, weight_gain=gain, up=up, fir=fir, **then)

        def plain(x=x, style=style, weight=weight, noise=noise, up=up):
            return plain_styled_conv(x, weight, style, up, bias, noise, strength)

        with torch.no_grad():
            torch.testing.assert_close(ours(), plain(), rtol=1e-3, atol=1e-3)
            name = f"styled convolution, {wide} to {channels}, {size} px, {batch}"
            report(name, ours, {"plain": plain}, repeats)
        report(
            "with gradients by map and style",
            with_gradients(ours, [x, style]),
            {"plain": with_gradients(plain, [x, style])},
            repeats,
        )


def activations(size: int, channels: int, repeats: int) -> None:
    x, bias = torch.randn(1, channels, size, size), torch.randn(channels)
    noise, strength = torch.randn(1, 1, size, size), torch.ones(1)

    def ours() -> torch.Tensor:
        return bias_act(x, bias, noise=noise, strength=strength)

    def plain() -> torch.Tensor:
        return plain_bias_act(x, bias, noise, strength)

    with torch.no_grad():
        report(f"activation, {channels} channels of {size} px", ours, {"plain": plain}, repeats)
    wanted = [x, bias, strength]
    both = with_gradients(ours, wanted), with_gradients(plain, wanted)
    report("with gradients", both[0], {"plain": both[1]}, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="*", default=[32, 64, 128, 256])
    given = parser.parse_args()
    torch.set_num_threads(1)
    channels = {64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
    largest = max(given.sizes)
    filters(largest, channels.get(largest, 512), given.repeats)
    activations(largest, channels.get(largest, 512), given.repeats)
    for size in given.sizes:
        convolutions(size, channels.get(size, 512), given.batch, given.repeats)


if __name__ == "__main__":
    main()

"""CPU time of StyleGAN2 and of VoiceStyle's steps at the published size, ours against naive forms.

The naive forms are those of the authors' code on a CPU: weights multiplied per image and one
grouped convolution, the filter as 16 taps in two dimensions on maps reshaped to one channel,
gradients for every weight, targets recomputed at every step. Weights are random, outputs compared.

    python benchmarks/stylegan2.py [--size 256] [--runs 3] [--only forward inversion refinement]

With `--half` ours in float32 is compared with ours in bfloat16 instead, and the embedded generator
takes the place of the published sizes, whose images are compared as they are shown, in bytes:

    python benchmarks/stylegan2.py --half

With `--authors` ours are compared with the authors' own code, whole, out of checkouts on this disk
(audio-visual/voicestyle and audio-visual/cmpc2; it needs torchvision besides):

    python benchmarks/stylegan2.py --authors VOICESTYLE CMPC2 [--threads 1]
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from timing import median
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.latent.losses import Identity
from voicemesh.latent.precision import lowered
from voicemesh.nets import stylegan2_layers as layers
from voicemesh.nets.cmpc import VoiceFacePair
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Generator, published_widths

TARGETS = {"forward": 0.60, "inversion": 0.45, "refinement": 0.35}


def naive_upfirdn2d(x, kernel, up=1, down=1, padding=(0, 0)):
    """Zeros stuffed, padded, then one channel at a time."""
    pad = padding if len(padding) == 4 else (*padding, *padding)
    batch, channels, height, width = x.shape
    stuffed = x.reshape(-1, height, 1, width, 1, 1)
    stuffed = functional.pad(stuffed, (0, 0, 0, up - 1, 0, 0, 0, up - 1))
    stuffed = stuffed.view(-1, 1, height * up, width * up)
    padded = functional.pad(stuffed, pad)
    y = functional.conv2d(padded, kernel.flip(0, 1)[None, None])[:, :, ::down, ::down]
    return y.view(batch, channels, *y.shape[2:])


def naive_bias_act(x, bias=None, slope=0.2, gain=2**0.5, **_):
    """Three passes."""
    if bias is not None:
        x = x + bias.view(1, -1, *[1] * (x.ndim - 2))
    return functional.leaky_relu(x, slope) * gain


def naive_modulated_conv2d(
    x,
    weight,
    style,
    *,
    demodulate=True,
    weight_gain=1.0,
    power=None,
    up=1,
    fir=None,
    bias=None,
    noise=None,
    strength=None,
    slope=1.0,
    gain=1.0,
):
    """Weights of every image in one grouped convolution."""
    batch, channels, height, width = x.shape
    out, _, taps, _ = weight.shape
    filters = weight_gain * weight[None] * style[:, None, :, None, None]
    if demodulate:
        filters = filters * torch.rsqrt(filters.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    grouped = x.reshape(1, batch * channels, height, width)
    if up == 1:
        filters = filters.view(batch * out, channels, taps, taps)
        y = functional.conv2d(grouped, filters, padding=taps // 2, groups=batch)
    else:
        filters = filters.transpose(1, 2).reshape(batch * channels, out, taps, taps)
        y = functional.conv_transpose2d(grouped, filters, stride=2, groups=batch)
    y = y.view(batch, out, *y.shape[2:])
    if up == 2:
        y = naive_upfirdn2d(y, fir, padding=(1, 1))
    if noise is not None:
        y = y + strength * noise
    if slope == 1 and gain == 1:
        return y if bias is None else y + bias.view(1, -1, 1, 1)
    return naive_bias_act(y, bias, slope, gain)


@contextmanager
def naive() -> Iterator[None]:
    """The layers with the naive forms."""
    kept = {name: getattr(layers, name) for name in ("upfirdn2d", "bias_act", "modulated_conv2d")}
    try:
        layers.upfirdn2d, layers.bias_act = naive_upfirdn2d, naive_bias_act
        layers.modulated_conv2d = naive_modulated_conv2d
        yield
    finally:
        for name, form in kept.items():
            setattr(layers, name, form)


def forward(generator: Generator, w: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    """One image."""

    def run() -> torch.Tensor:
        with torch.no_grad():
            return generator(w)

    return {"ours": run, "naive": run}


def inversion(generator: Generator, w: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    """A step towards a picture by perceptual distance and identity; the gradient of w comes out."""
    distance, net = Lpips().eval(), IrBackbone(reduction=16, dropout=0.6).eval()
    identity = Identity(net)
    target = torch.rand(1, 3, generator.size, generator.size) * 2 - 1
    with torch.no_grad():
        features, known = distance.features(target), identity(target)

    def ours() -> torch.Tensor:
        frozen([generator, distance, net], True)
        image = generator(w)
        loss = distance.distance(features, image) + identity.loss(known, image)
        return torch.autograd.grad(loss.sum(), w)[0]

    def plain() -> torch.Tensor:
        frozen([generator, net], False)
        image = generator(w)
        loss = distance(image, target) + identity.loss(identity(target).detach(), image)
        generator.zero_grad(), net.zero_grad(), w.grad is None or w.grad.zero_()
        loss.sum().backward()
        return w.grad.clone()

    return {"ours": ours, "naive": plain}


def refinement(generator: Generator, w: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    """A step towards a voice by CMPC; the gradient of w comes out."""
    pair, log_mel = VoiceFacePair().eval(), torch.randn(1, 64, 800)
    with torch.no_grad():
        known = pair.voice_subnet(log_mel[:, None])

    def ours() -> torch.Tensor:
        frozen([generator, pair], True)
        face = pair.face_subnet(generator(w))
        return torch.autograd.grad(1 - torch.cosine_similarity(known, face)[0], w)[0]

    def plain() -> torch.Tensor:
        frozen([generator, pair], False)
        voice, face = pair(log_mel, generator(w))
        generator.zero_grad(), pair.zero_grad(), w.grad is None or w.grad.zero_()
        (1 - torch.cosine_similarity(voice, face)[0]).backward()
        return w.grad.clone()

    return {"ours": ours, "naive": plain}


def frozen(nets: list[torch.nn.Module], are: bool) -> None:
    """Whether weights get gradients."""
    for net in nets:
        net.requires_grad_(not are)


def halves(runs: int) -> None:
    """Float32 against bfloat16 with the embedded nets: images, and steps of a refinement."""
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.systems.voicestyle import VoiceStyle

    bundle = Bundle.open()
    systems = [VoiceStyle.from_bundle(bundle, precision=name) for name in ("float32", "bfloat16")]
    voice = functional.normalize(torch.randn(systems[0].members.faces.shape[1]), dim=0)
    for batch in (1, 8):
        w = systems[0].members.w[:batch].clone()

        def image(system: VoiceStyle, w: torch.Tensor = w) -> torch.Tensor:
            with torch.no_grad():
                return system.images(w)

        def step(system: VoiceStyle, w: torch.Tensor = w) -> torch.Tensor:
            moved = w.clone().requires_grad_()
            with lowered(w.device, system.half):
                like = system.similarity(system.space, voice)(system.images(moved))
            return torch.autograd.grad(like.float().sum(), moved)[0]

        for name, run in (("image", image), ("step", step)):
            (full, a), (half, b) = (median(partial(run, s), runs) for s in systems)
            error = float((a - b).norm() / a.norm())
            shown = float((a - b).abs().mean() * 127.5) if name == "image" else 0.0
            words = f", {shown:.2f} of 255 a pixel" if name == "image" else ""
            print(
                f"{name:6} batch {batch} float32 {full:6.3f} s, bfloat16 {half:6.3f} s, ratio"
                f" {half / full:.2f}, outputs differ by {error:.1e}{words}"
            )


STEPS = {"forward": forward, "inversion": inversion, "refinement": refinement}


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--half", action="store_true", help="float32 against bfloat16")
    parser.add_argument("--authors", nargs="+", type=Path, help="folders of the authors' code")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.authors:
        from stylegan2_authors import compare

        return compare(arguments.authors, arguments.only, arguments.runs)
    if arguments.half:
        return halves(arguments.runs)
    generator = Generator(published_widths(arguments.size)).eval()
    w = generator.mapping(torch.randn(1, 512)).detach().requires_grad_()
    for name in arguments.only:
        forms = STEPS[name](generator, w)
        ours, first = median(forms["ours"], arguments.runs)
        with naive():
            theirs, second = median(forms["naive"], arguments.runs)
        error = float((first - second).norm() / second.norm())
        print(
            f"{name:11} ours {ours:6.2f} s, naive {theirs:6.2f} s, ratio {ours / theirs:.2f}"
            f" (target {TARGETS[name]:.2f}), outputs differ by {error:.1e}"
        )


if __name__ == "__main__":
    main()

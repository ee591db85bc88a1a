"""Pictures of faces to latents of a generator: VoiceStyle's step 3, once per picture.

With the published networks as published; without them by pixels at every scale and by our own
identity network. An encoder starts near the answer where there is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import IDENTITY, LPIPS, STYLEGAN2_ENCODER, STYLEGAN2_GENERATOR
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.latents import Latents, keep
from voicemesh.latent.losses import Identity, pyramid_differences
from voicemesh.latent.precision import lowered, named
from voicemesh.latent.projection import (
    Course,
    Options,
    Projection,
    Target,
    block_means,
    prepared,
    project,
)
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Generator

from .voicestyle import statistics_of

LARGEST = 256  # pixels that distances are taken at, as published
# From an encoder's start the way is short: a fifth of the published steps, shaken less.
SHORT = Options(Course(steps=60, rate=0.05, shake=0.01), noise=False, prior=0.003)
AT_ONCE = 8  # pictures of a gallery


class Inverter:
    """A generator and what tells how near its images are to pictures."""

    def __init__(
        self,
        generator: Generator,
        statistics: Statistics,
        distance: Lpips | None = None,
        identity: nn.Module | None = None,
        encoder: nn.Module | None = None,
        half: torch.dtype | None = None,
    ) -> None:
        """`identity` is an IR-SE50 or ours; `encoder` tells whitened latents of pictures."""
        self.generator = generator.eval().requires_grad_(False)
        self.statistics, self.half = statistics, half
        self.encoder = None if encoder is None else encoder.eval().requires_grad_(False)
        self.distance = None if distance is None else distance.eval().requires_grad_(False)
        self.identity = None if identity is None else Identity(identity)

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, device: torch.device | str = "cpu", precision: str = "usual"
    ) -> "Inverter":
        """What a bundle has of it; only the generator has to be there."""
        generator = bundle.net(STYLEGAN2_GENERATOR).to(device)
        assert isinstance(generator, Generator)
        nets = [
            bundle.net(part).to(device) if part in bundle.parts else None
            for part in (LPIPS, IDENTITY, STYLEGAN2_ENCODER)
        ]
        encoder = nets[2]
        axes = 0 if encoder is None else encoder.output_layer[-1].num_features
        statistics = statistics_of(bundle, generator, axes)
        return cls(generator, statistics, *nets, half=named(precision, device))

    def invert(
        self,
        pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        options: Options | None = None,
    ) -> Iterator[Projection]:
        """Latents of pictures, better and better; the last is the answer. Stop at any time.

        Without `options` the published ones where its networks are there, else a short way.
        """
        published = self.distance is not None
        options = options or (Options() if published else SHORT)
        options = replace(options, half=options.half or self.half)
        target = prepared(list(pictures), min(LARGEST, self.generator.size))
        target = target.to(self.statistics.mean.device)
        start = None if published else self.guess(target)
        if start is None and options.course == SHORT.course:
            options = replace(options, course=Course(steps=200, shake=0.02))
        yield from project(
            self.generator, self.statistics, self.nearness(target), len(target), options, start
        )

    @torch.no_grad()
    def guess(self, target: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch style"] | None:
        """Where the encoder would look first; nothing without one."""
        if self.encoder is None:
            return None
        return self.statistics.unwhiten(self.encoder(target))

    def keep_with(
        self, gallery: FolderGallery, nets: dict[str, str], options: Options | None = None
    ) -> FolderGallery:
        """Invert all pictures of a gallery and keep the latents with it.

        Args:
            nets: the generator's part of a bundle: sha256 of its file.
            options: as of `invert`.
        """
        from tqdm import tqdm

        numbers = [n for n in range(len(gallery)) if gallery.entry(n).picture is not None]
        found = []
        with tqdm(total=len(numbers), unit="picture", desc="inverting", disable=None) as bar:
            for start in range(0, len(numbers), AT_ONCE):
                some = numbers[start : start + AT_ONCE]
                pictures = [gallery.picture(number) for number in some]
                *_, last = self.invert(pictures, options)
                found.append(last.w.cpu().numpy())
                bar.update(len(some))
        return keep(gallery, Latents(np.array(numbers, np.int32), np.concatenate(found)), nets)

    def nearness(self, target: Float[Tensor, "batch 3 side side"]) -> Target:
        """The distance to be lowered; features of the target are taken once."""
        side = target.shape[2]
        with torch.no_grad(), lowered(target.device, self.half):
            looks = None if self.distance is None else self.distance.features(target)
            known = None if self.identity is None else self.identity(target)

        def of(image: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, " batch"]:
            shown = block_means(image, side)
            if self.distance is not None and looks is not None:
                total = self.distance.distance(looks, shown)
            else:
                total = (shown - target).abs().mean((1, 2, 3))
                total = total + pyramid_differences(shown, target)
            if self.identity is not None and known is not None:
                total = total + self.identity.loss(known, image)
            return total

        return of

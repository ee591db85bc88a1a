"""Pictures of faces to latents of a generator: VoiceStyle's step 3, once per picture.

With the published networks as published; without them by pixels at every scale and by the
features of our own face net. An encoder starts near the answer where there is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.latent.losses import Identity, pyramid_differences
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

from .voicestyle import GENERATOR, STATISTICS, VoiceStyle

DISTANCE, IDENTITY = "lpips", "identity-encoder"
LARGEST = 256  # pixels that distances are taken at, as published
FEATURES = 0.5  # weight of our face net's features against pixels
# From an encoder's start the way is short: a fifth of the published steps, shaken less.
SHORT = Options(Course(steps=60, rate=0.05, shake=0.01), noise=False, prior=0.003)


class Inverter:
    """A generator and what tells how near its images are to pictures."""

    def __init__(
        self,
        generator: Generator,
        statistics: Statistics,
        distance: Lpips | None = None,
        identity: nn.Module | None = None,
        encoder: VoiceStyle | None = None,
    ) -> None:
        """`identity` is an IR-SE50; `encoder` knows a face net and where its embeddings lead."""
        self.generator = generator.eval().requires_grad_(False)
        self.statistics, self.encoder = statistics, encoder
        self.distance = None if distance is None else distance.eval().requires_grad_(False)
        self.identity = None if identity is None else Identity(identity)

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device | str = "cpu") -> "Inverter":
        """What a bundle has of it; only the generator has to be there."""
        whole = None
        if "cmpc-face-encoder" in bundle.parts:
            whole = VoiceStyle.from_bundle(bundle, device)
            generator = whole.generator
        else:
            generator = bundle.net(GENERATOR).to(device)
        if STATISTICS in bundle.parts:
            statistics = Statistics.read(bundle.tensors(STATISTICS)).to(device)
        else:
            statistics = Statistics.sampled(generator)
        nets = (
            bundle.net(part).to(device) if part in bundle.parts else None
            for part in (DISTANCE, IDENTITY)
        )
        return cls(generator, statistics, *nets, encoder=whole)

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
        target = prepared(list(pictures), min(LARGEST, self.generator.size))
        target = target.to(self.statistics.mean.device)
        start = None if published else self.guess(target)
        if start is None and options is SHORT:
            options = replace(options, course=Course(steps=200, shake=0.02))
        yield from project(
            self.generator, self.statistics, self.nearness(target), len(target), options, start
        )

    @torch.no_grad()
    def guess(self, target: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch style"] | None:
        """Where an encoder would look first; nothing without one."""
        whole = self.encoder
        if whole is None or whole.start is None:
            return None
        return whole.statistics.unwhiten(whole.start(whole.unit_faces(whole.space, target)))

    def nearness(self, target: Float[Tensor, "batch 3 side side"]) -> Target:
        """The distance to be lowered; features of the target are taken once."""
        side = target.shape[2]
        with torch.no_grad():
            looks = None if self.distance is None else self.distance.features(target)
            known = None if self.identity is None else self.identity(target)
            ours = None
            if self.distance is None and self.encoder is not None:
                ours = self.encoder.unit_faces(self.encoder.space, target)

        def of(image: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, " batch"]:
            shown = block_means(image, side)
            if self.distance is not None and looks is not None:
                total = self.distance.distance(looks, shown)
            else:
                total = (shown - target).abs().mean((1, 2, 3))
                total = total + pyramid_differences(shown, target)
            if self.identity is not None and known is not None:
                total = total + self.identity.loss(known, image)
            elif ours is not None and self.encoder is not None:
                seen = self.encoder.unit_faces(self.encoder.space, shown)
                total = total + FEATURES * (1 - (seen * ours).sum(1))
            return total

        return of

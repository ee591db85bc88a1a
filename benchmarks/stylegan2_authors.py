"""Ours beside the authors' own code in one run: an image, and steps of VoiceStyle's searches.

Their `project2latent` and `optimize` run whole; where they show progress, one of our steps is taken
after each of theirs, so that both see the same machine. Both read the same files, of the published
names and layout. Ours are the product's: `Inverter`, and `published_steps` under `VoiceStyle`.
"""

import contextlib
import io
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from stylegan2_checkout import FRAMES, LAW_SEED, SEED, SIZE, authors_code, published_files
from torch.nn import functional

from voicemesh.checkpoints.voicestyle_files import find
from voicemesh.latent.projection import Options, pixels_of
from voicemesh.latent.search import published_steps
from voicemesh.latent.statistics import Statistics
from voicemesh.systems.cmpc import Cmpc2
from voicemesh.systems.inversion import Inverter
from voicemesh.systems.voicestyle import VoiceStyle

TARGETS = {"forward": 0.60, "inversion": 0.45, "refinement": 0.35}


@dataclass
class Times:
    """Seconds of the processor and of the wall, round by round."""

    ours: list[tuple[float, float]] = field(default_factory=list)
    theirs: list[tuple[float, float]] = field(default_factory=list)

    @contextlib.contextmanager
    def kept(self, side: str) -> Iterator[None]:
        """One round of a side."""
        start = time.process_time(), time.perf_counter()
        yield
        spent = time.process_time() - start[0], time.perf_counter() - start[1]
        getattr(self, side).append(spent)

    def told(self, name: str) -> str:
        """Medians after a round to warm up, and their ratio with that of the single rounds."""
        a, b = (np.array(side[1:]) for side in (self.ours, self.theirs))
        (ours, wall), (theirs, their_wall) = np.median(a, 0), np.median(b, 0)
        each = a[:, 0] / b[:, 0]
        return (
            f"{name:10} ours {ours:6.3f} s, authors {theirs:6.3f} s, ratio {ours / theirs:.3f}"
            f" [{each.min():.3f}, {each.max():.3f}] (target {TARGETS[name]:.2f}),"
            f" by the wall {wall / their_wall:.3f}; {len(a)} rounds"
        )


class Enough(Exception):
    """Of the authors' steps."""


class Turns:
    """Stands where the authors show progress: times a step of theirs, then takes one of ours."""

    def __init__(self, ours: Iterator[Any], rounds: int, look: Callable[[int], None]) -> None:
        self.ours, self.rounds, self.look, self.times = ours, rounds, look, Times()

    def __call__(self, _: range) -> "Turns":
        return self

    def __iter__(self) -> Iterator[int]:
        for step in range(self.rounds + 1):
            with self.times.kept("theirs"):
                yield step
            with self.times.kept("ours"):
                next(self.ours)
            self.look(step)
        raise Enough

    def set_description(self, _: str) -> None:
        """Nobody reads it."""


class Searches:
    """Their search beside ours, by the Adam of each: its variables and their gradients."""

    def __init__(self, nets: Sequence[torch.nn.Module]) -> None:
        self.theirs, self.ours = nets
        self.made: list[torch.optim.Adam] = []
        self.gradients = [0.0, 0.0]  # of w; of the worst noise map

    def run(
        self, module: ModuleType, search: Callable[[], Any], ours: Iterator[Any], rounds: int
    ) -> Times:
        """Both, in turns; `search` runs the authors' function, whose `module` shows progress."""
        turns, made, plain = Turns(ours, rounds, self.look), self.made, torch.optim.Adam

        class Recorded(plain):
            def __init__(self, *given: Any, **named: Any) -> None:
                super().__init__(*given, **named)
                made.append(self)

        module.tqdm, torch.optim.Adam = turns, Recorded
        try:
            with contextlib.suppress(Enough), contextlib.redirect_stdout(io.StringIO()):
                search()
        finally:
            torch.optim.Adam = plain
        return turns.times

    def look(self, step: int) -> None:
        """At the first step, where nothing has moved yet, how far the gradients are apart."""
        if step == 0:
            apart = [apart_by(a.grad, b.grad) for a, b in zip(*self.variables(), strict=True)]
            self.gradients = [apart[0], max(apart[1:])]

    def variables(self) -> list[list[torch.Tensor]]:
        """w and noise maps: ours, theirs."""
        theirs, ours = (adam.param_groups[0]["params"] for adam in self.made)
        return [ours, theirs]

    @torch.no_grad()
    def told(self, start: torch.Tensor) -> str:
        """How far apart the results are."""
        (w, *noise), (their_w, *their_noise) = self.variables()
        moved = (their_w - start).abs().max()
        theirs, _ = self.theirs([their_w], input_is_latent=True, noise=their_noise)
        return (
            f"           gradients at the same w differ by {self.gradients[0]:.1e}, by noise"
            f" {self.gradients[1]:.1e}; after all steps w by {float((w - their_w).abs().max()):.1e}"
            f" of {float(moved):.1e} moved, images by {apart_by(self.ours(w, noise), theirs):.1e}"
        )


def apart_by(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference beside the largest value."""
    return float((a - b).abs().max() / b.abs().max())


def forward(nets: Sequence[torch.nn.Module], rounds: int) -> None:
    """One image of a latent, with the same noise."""
    theirs, ours = nets
    times, w = Times(), ours.mapping(torch.randn(1, 512)).detach()
    noise = ours.fresh_noise(1)
    with torch.no_grad():
        for _ in range(rounds + 1):
            with times.kept("theirs"):
                their_image, _ = theirs([w], input_is_latent=True, noise=noise)
            with times.kept("ours"):
                image = ours(w, noise)
    print(
        f"{times.told('forward')}\n           images differ by {apart_by(image, their_image):.1e}"
    )


def inversion(
    nets: Sequence[torch.nn.Module], authors: SimpleNamespace, files: dict[str, Path], rounds: int
) -> None:
    """Steps towards a picture: LPIPS, identity, regular noise; 300 are planned, as published."""
    ours = nets[1]
    with torch.no_grad():
        image = ours(ours.mapping(torch.randn(1, 512)))
    picture = files["generator"].parent / "picture.png"
    Image.fromarray(pixels_of(image)[0]).resize((128, 128)).save(picture)
    parts = {name: part.content for name, part in find(picture.parent).items()}
    law = Statistics.sampled(ours, LAW_SEED)
    inverter = Inverter(ours, law, parts["lpips"], parts["identity-encoder"])
    pixels = np.asarray(Image.open(picture))
    steps = inverter.invert([pixels], Options(seed=SEED))
    searches = Searches(nets)
    project = authors.projector.project2latent
    times = searches.run(
        authors.projector,
        lambda: project(str(files["generator"]), [str(picture)], size=SIZE, step=300),
        steps,
        rounds,
    )
    print(f"{times.told('inversion')}\n{searches.told(law.mean[None])}")


def refinement(
    nets: Sequence[torch.nn.Module], authors: SimpleNamespace, files: dict[str, Path], rounds: int
) -> None:
    """Steps towards a voice by CMPC, from the mean; 100 are planned, as published."""
    ours = nets[1]
    parts = {name: part.content for name, part in find(files["generator"].parent).items()}
    space = Cmpc2(parts["cmpc-voice-encoder"], parts["cmpc-face-encoder"])
    law, log_mel = Statistics.sampled(ours, LAW_SEED), torch.randn(1, 1, 64, FRAMES)
    system = VoiceStyle(ours, law, space)
    with torch.no_grad():
        voice = functional.normalize(space.voice(log_mel))[0]
    start = law.mean[None]
    steps = published_steps(ours, law, system.similarity(space, voice), start, seed=SEED)
    steps = islice(steps, 1, None)  # the first is the start itself
    searches = Searches(nets)
    settings = Namespace(
        size=SIZE,
        device="cpu",
        styleganckpt=str(files["generator"]),
        cmpc2ckpt=str(files["pair"]),
        w_plus=False,
        step=100,
        optimize_lr=0.01,
        noise=0.05,
        noise_ramp=0.75,
        noise_regularize=1e5,
        latent_regularize=0.001,
    )
    times = searches.run(
        authors.pipeline, lambda: authors.pipeline.optimize(start, log_mel, settings), steps, rounds
    )
    print(f"{times.told('refinement')}\n{searches.told(start)}")


def compare(checkouts: Sequence[Path], only: Sequence[str], rounds: int) -> None:
    """Print what was asked for, two lines each."""
    checkouts = [folder.resolve() for folder in checkouts]
    with TemporaryDirectory() as folder:
        files = published_files(Path(folder) / "weights", checkouts)
        authors = authors_code(checkouts, files)
        theirs = authors.model.Generator(SIZE, 512, 8).eval()
        theirs.load_state_dict(torch.load(files["generator"])["g_ema"], strict=False)
        ours = find(files["generator"].parent)["stylegan2-generator"].content.eval()
        nets = theirs, ours
        if "forward" in only:
            forward(nets, rounds)
        ours.requires_grad_(False)
        for name, step in {"inversion": inversion, "refinement": refinement}.items():
            if name in only:
                step(nets, authors, files, rounds)

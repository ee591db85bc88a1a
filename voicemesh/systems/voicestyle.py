"""VoiceStyle: a face image from a voice (Chen et al., ACM TOMM 2024), by CMPC and StyleGAN2.

1 the voice's embedding, its nearest faces; 2 their pictures, 3 whose latents were found once and
are kept; 4 their mean is the start; 5 an image of it, 6 its similarity to the voice, 7 uphill.
Ours: the start of one forward pass, a climb that stays among likely faces, candidates by seed, and
a judge that was not climbed.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import (
    STYLEGAN2_GENERATOR,
    STYLEGAN2_STATISTICS,
    VOICESTYLE_MEMBERS,
    VOICESTYLE_SAMPLES,
    VOICESTYLE_START,
    VOICESTYLE_STATISTICS,
)
from voicemesh.latent.heads import Heads
from voicemesh.latent.precision import named, rendered
from voicemesh.latent.projection import pixels_of
from voicemesh.latent.search import Found, SearchOptions, climb, published_refinement
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import Generator, truncated
from voicemesh.nets.voicestyle import VoiceStart

from .association import VoiceFaceSpace
from .cmpc import Cmpc, Cmpc2
from .sss import SeekingTheShapeOfSound
from .voicestyle_asked import EXPECTED, Heard, Imagined, Wish
from .voicestyle_members import Members, members_of

RETRAINED = "model_best_256"  # the file of CMPC that has another front end
PUBLISHED_MEMBERS = 8  # whose mean latent is the published start
POOL, POOL_SEED = 24, 0  # samples that stand in where no members are known
POOLED = 64  # near members among whom a seed draws those who lend their looks
FARTHEST = 3.0  # deviations of a look that is lent, along each axis
STRAY = 0.3  # deviations by which candidates differ where nothing was fitted to voices


class VoiceStyle:
    """Voice -> nearest faces' latents -> StyleGAN2 -> an image, refined while one looks on."""

    def __init__(
        self,
        generator: Generator,
        statistics: Statistics,
        space: VoiceFaceSpace,
        start: VoiceStart | None = None,
        members: Members | None = None,
        judge: VoiceFaceSpace | None = None,
        half: torch.dtype | None = None,
        heads: Heads | None = None,
    ) -> None:
        """Without `members`, samples of the generator are taken; without `start`, members alone.

        Args:
            heads: what a search moves; whitened latents unless given.
            half: precision of images and of what looks at them; float32 unless given.
        """
        self.generator = generator.eval().requires_grad_(False)
        self.statistics, self.space, self.judge, self.half = statistics, space, judge, half
        self.heads = heads
        for net in (space.voice, space.face, *((judge.voice, judge.face) if judge else ())):
            net.requires_grad_(False)
        self.start = None if start is None else start.eval().requires_grad_(False)
        self._members = members

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        device: torch.device | str = "cpu",
        space: VoiceFaceSpace | None = None,
        judge: VoiceFaceSpace | None = None,
        precision: str = "usual",
        gallery: bool = True,
    ) -> "VoiceStyle":
        """The nets of a bundle; spaces that are open already need not be read again.

        Args:
            precision: a name of `latent.precision`.
            gallery: whether its people are known faces, beside those of the bundle's own table.
        """
        generator = bundle.net(STYLEGAN2_GENERATOR).to(device)
        assert isinstance(generator, Generator)
        statistics = statistics_of(bundle, generator)
        space = space or space_of(bundle, device)
        parts, start = bundle.parts, None
        if VOICESTYLE_START in parts and parts[VOICESTYLE_START].network == VoiceStart.__name__:
            start = bundle.net(VOICESTYLE_START).to(device)
        members = members_of(bundle, VOICESTYLE_MEMBERS, gallery)
        members = members or members_of(bundle, VOICESTYLE_SAMPLES, False)
        members = None if members is None else members.to(device)
        if judge is None and all(part in parts for part in SeekingTheShapeOfSound.parts):
            judge = SeekingTheShapeOfSound.from_bundle(bundle, device)
        half = named(precision, device)
        known = bundle.tensors(VOICESTYLE_STATISTICS) if VOICESTYLE_STATISTICS in parts else {}
        heads = Heads.read(generator.style, known)
        return cls(generator, statistics, space, start, members, judge, half, heads)

    @property
    def members(self) -> Members:
        """Known faces; samples of the generator, drawn once, if there are none."""
        if self._members is None:
            self._members = self.samples()
        return self._members

    @torch.no_grad()
    def samples(self) -> Members:
        """Faces of the generator, always the same ones, as if they were of people."""
        rng = torch.Generator().manual_seed(POOL_SEED)
        z = torch.randn(POOL, self.generator.features, generator=rng)
        device = self.generator.input.input.device
        w = truncated(self.generator.mapping(z.to(device)), self.statistics.mean, 0.7)
        faces = torch.cat([self.unit_faces(self.space, self.images(one)) for one in w.split(4)])
        return Members.of(faces, w, torch.arange(POOL, device=device))

    def hear(self, speech: Float[Tensor, " samples"]) -> Heard:
        """A voice, once for all faces; speech at 16 kHz, silence cut."""
        judge = None if self.judge is None else self.judge.embed_voice(speech).clone()
        return Heard(self.space.embed_voice(speech).clone(), judge)

    def imagine(
        self, heard: Heard, wish: Wish = EXPECTED, show_every: int = 3
    ) -> Iterator[Imagined]:
        """Faces for a voice: the first images at once, then refined. Stop at any time."""
        start = self.first(heard, wish)
        for found in self.climb(heard.voice, start, wish.search, show_every):
            yield self.told(heard, found, wish.search.steps)

    def climb(
        self,
        voice: Float[Tensor, "*candidates embedding"],
        start: Float[Tensor, "candidates style"],
        search: SearchOptions,
        show_every: int = 1,
    ) -> Iterator[Found]:
        """Uphill from `start`, towards one voice or towards a voice each."""
        search = replace(search, half=search.half or self.half)
        similarity = self.similarity(self.space, voice)
        where = self.generator, self.statistics, similarity, start, search, show_every
        yield from climb(*where, self.heads)

    @torch.no_grad()
    def first(self, heard: Heard, wish: Wish = EXPECTED) -> Float[Tensor, "candidates style"]:
        """Where the climb starts: what the voice tells, on the looks of known faces that fit.

        The mean of all that fit would look like nobody; this looks like somebody.
        """
        if self.start is None:
            v = self.between(heard, wish)
        else:
            lent = self.statistics.whiten(self.members.w[self.lenders(heard, wish)])
            lent = wish.look * lent.clamp(-FARTHEST, FARTHEST)
            voice = heard.voice.expand(wish.candidates, -1)
            luck = self.luck(heard, wish, len(self.start.open)).to(lent)
            v = self.start(voice, lent, luck, wish.spread)
        return truncated(self.statistics.unwhiten(v), self.statistics.mean, wish.truncation)

    def between(self, heard: Heard, wish: Wish) -> Float[Tensor, "candidates axes"]:
        """The weighted mean of the neighbours, from which candidates stray a little."""
        rows, weights = self.neighbours(heard.voice, wish.neighbours, wish.temperature)
        known = weights @ self.statistics.whiten(self.members.w[rows])
        return known + STRAY * wish.spread * self.luck(heard, wish, len(known)).to(known)

    def lenders(self, heard: Heard, wish: Wish) -> Int64[Tensor, " candidates"]:
        """Members whose looks the candidates have: near ones who show the sex and age that the
        voice tells, the likeliest or drawn by the seed.

        A look that has to be made older or younger would keep some of its own age.
        """
        assert self.start is not None
        pool, weights = self.neighbours(heard.voice, max(POOLED, wish.candidates), wish.temperature)
        worth = weights.log() + self.start.fits(heard.voice, self.members.faces[pool])
        if wish.seed is None:
            likeliest = pool[worth.argsort(descending=True, stable=True)]
            return likeliest[: wish.candidates].repeat(wish.candidates)[: wish.candidates]
        rng = torch.Generator().manual_seed(wish.seed)
        scarce, share = wish.candidates > len(pool), worth.softmax(0).cpu() + 1e-9
        drawn = torch.multinomial(share, wish.candidates, scarce, generator=rng)
        return pool[drawn.to(pool.device)]

    def luck(self, heard: Heard, wish: Wish, count: int) -> Float[Tensor, "candidates {count}"]:
        """What chooses each candidate among the faces that fit; zero for the expected face."""
        rng = torch.Generator().manual_seed(heard.seed if wish.seed is None else wish.seed)
        drawn = torch.randn(wish.candidates, count, generator=rng)
        if wish.seed is None:
            drawn[0] = 0
        return drawn

    def neighbours(
        self, voice: Float[Tensor, " embedding"], count: int = 8, temperature: float = 0.03
    ) -> tuple[Int64[Tensor, " near"], Float[Tensor, " near"]]:
        """The members whose faces fit a voice best, one of each person, and their weights."""
        similarity = self.members.faces @ self._as_face(voice)
        order = similarity.argsort(descending=True, stable=True)
        seen: dict[int, int] = {}
        for row in order.tolist():
            seen.setdefault(int(self.members.person[row]), row)
            if len(seen) == count:
                break
        rows = torch.tensor(list(seen.values()), device=order.device)
        return rows, (similarity[rows] / temperature).softmax(0)

    def prototypes(
        self, heard: Heard, wish: Wish = EXPECTED
    ) -> tuple[Int64[Tensor, " near"], Float[Tensor, " near"], Int64[Tensor, " lenders"]]:
        """Members that images grow from, their weights, and whose look each candidate has.

        Those who lend a look come first, then the nearest; nobody lends one without a start.
        """
        near, _ = self.neighbours(heard.voice, wish.neighbours, wish.temperature)
        lenders = near[:0] if self.start is None else self.lenders(heard, wish)
        order = dict.fromkeys([*lenders.tolist(), *near.tolist()])
        count = max(wish.neighbours, len(set(lenders.tolist())))
        rows = torch.tensor(list(order)[:count], device=near.device)
        similarity = self.members.faces[rows] @ self._as_face(heard.voice)
        return rows, (similarity / wish.temperature).softmax(0), lenders

    def published(
        self, heard: Heard, w: Float[Tensor, "found style"], seed: int = 0
    ) -> Iterator[Imagined]:
        """The published steps 4 to 7, from the latents of faces that were found, in that order."""
        start = w[:PUBLISHED_MEMBERS].mean(0, keepdim=True)
        similarity = self.similarity(self.space, heard.voice)
        found = published_refinement(self.generator, self.statistics, similarity, start, seed=seed)
        for state in found:
            yield self.told(heard, state, 100)

    def similarity(self, space: VoiceFaceSpace, voice: Float[Tensor, "*batch embedding"]):
        """How similar images are to a voice, or each to its own, differentiable by the images."""

        def of(images: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, " batch"]:
            return (self.unit_faces(space, images) * voice).sum(1)  # a product would be halved

        return of

    def unit_faces(
        self, space: VoiceFaceSpace, images: Float[Tensor, "batch 3 _ _"]
    ) -> Float[Tensor, "batch embedding"]:
        """Unit embeddings of images as the space's face net is shown photographs."""
        side = space.convention.side
        seen = images.clamp(-1, 1)
        if side != images.shape[2]:
            seen = functional.interpolate(
                seen, (side, side), mode="bicubic", align_corners=False, antialias=True
            )
        faces = space.face(seen.flip(1) if space.convention.bgr else seen)
        return functional.normalize(faces.float())

    def images(self, w: Float[Tensor, "batch style"]) -> Float[Tensor, "batch 3 size size"]:
        """Plain images of latents, with the generator's own noise maps."""
        return rendered(self.generator, w, None, self.half)

    def told(self, heard: Heard, found: Found, steps: int) -> Imagined:
        """A state of the search as the page shows it."""
        judged = None
        if self.judge is not None and heard.judge is not None:
            with torch.no_grad():
                judged = self.similarity(self.judge, heard.judge)(found.images).cpu().numpy()
        shown = pixels_of(found.images), found.similarity.cpu().numpy()
        return Imagined(found.step, steps, *shown, judged, found.w.cpu().numpy())

    def _as_face(self, voice: Float[Tensor, " embedding"]) -> Float[Tensor, " embedding"]:
        if self.start is None:
            return voice
        return functional.normalize(self.start.as_face(voice[None])[0], dim=0)


def statistics_of(bundle: Bundle, generator: Generator, axes: int = 0) -> Statistics:
    """The law of a generator's latents: of portraits at rest where it is known, else of all.

    A voice tells nothing of light and pose, so a search for its face keeps to portraits at rest.
    Pictures to be inverted are of any kind: the law of as many `axes` as their encoder tells.
    """
    known = [p for p in (VOICESTYLE_STATISTICS, STYLEGAN2_STATISTICS) if p in bundle.parts]
    found = [Statistics.read(bundle.tensors(part)) for part in known]
    found = [one for one in found if not axes or len(one.axes) == axes] or found
    if not found:
        return Statistics.sampled(generator)
    return found[0].to(generator.input.input.device)


def space_of(bundle: Bundle, device: torch.device | str = "cpu") -> Cmpc:
    """CMPC as a bundle has it: its release, its retraining for VoiceStyle, or nets of our own."""
    retrained = bundle.part(Cmpc.parts[0]).source.startswith(RETRAINED)
    space = (Cmpc2 if retrained else Cmpc).from_bundle(bundle, device)
    assert isinstance(space, Cmpc)
    return space

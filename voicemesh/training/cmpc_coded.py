"""Videos of CMPC as two finished backbones hear and see them: codes, cheap to train on.

The backbones are those of Seeking the Shape of Sound; they learnt with labels, CMPC has none.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.voice_trunk import VoiceTrunk
from voicemesh.population.dataset import Population

from .cmpc_nets import CmpcRecipe
from .crowd import Crowd
from .sss_data import Sitters
from .sss_population import (
    FACE,
    VOICE,
    check,
    coded,
    face_backbone,
    held_out,
    joined_portraits,
    voice_backbone,
)
from .sss_recipe import SssRecipe


@dataclass(frozen=True, eq=False)
class CodedVideos:
    """All of a person is one video: codes of recordings and of portraits."""

    sitters: Sitters
    learnt: Int64[np.ndarray, " some"]
    held_out: Int64[np.ndarray, " others"]

    def voices(
        self, videos: Int64[np.ndarray, " batch"], frames: int, rng: np.random.Generator | None
    ) -> Float[Tensor, "batch code"]:
        """The code of some recordings of each, whole, however many `frames` are wished for."""
        return self.sitters.voices.draw(videos, rng)

    def pictures(
        self, videos: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Float[Tensor, "batch code"]:
        """The code of a view of one portrait of each."""
        return self.sitters.faces.draw(videos, rng)


def coded_videos(
    population: Population,
    run: Path,
    recipe: CmpcRecipe,
    bundle: Bundle,
    minutes: float,
    workers: int,
) -> tuple[CodedVideos, VoiceTrunk, IrBackbone] | None:
    """Everybody to train on, and both backbones; None while these are not finished.

    Those held out are among the people that the backbones were not trained on either.
    """
    if not recipe.long_videos:
        raise ValueError("Videos are coded by people; set long_videos=true")
    crowd = Crowd.open(population.folder, recipe.more)
    portraits = joined_portraits(crowd)
    utterances = crowd.features(recipe.front_end, workers)
    check(crowd)
    own = backbones_of(recipe)
    trunk, done = voice_backbone(crowd, utterances, run, own, bundle, minutes)
    if not done:
        return None
    backbone, done = face_backbone(crowd, portraits, run, own, bundle, minutes)
    if not done:
        return None
    people = np.intersect1d(portraits.identity, utterances.identity)
    (sitters,) = coded(crowd, portraits, trunk, backbone, own, people)
    unknown = np.flatnonzero(np.isin(people, held_out(crowd)))[: recipe.held_out]
    learnt = np.setdiff1d(np.arange(len(people)), unknown)
    return CodedVideos(sitters, learnt, unknown), trunk, backbone


def backbones_of(recipe: CmpcRecipe) -> SssRecipe:
    """A recipe of SSS with the same backbones."""
    folder = Path(recipe.backbones)
    return SssRecipe(
        small=True,
        more=recipe.more,
        face_start="bundle",
        voice_backbone=str(folder / VOICE) if recipe.backbones else "",
        face_backbone=str(folder / FACE) if recipe.backbones else "",
        front_end=recipe.front_end,
        voice_start=recipe.voice_start,
        masked_tracks=recipe.masked_tracks,
        voice_steps=recipe.voice_steps,
        face_steps=recipe.face_steps,
        kept_views=recipe.kept_views,
        voice_blocks=recipe.voice_blocks,
        voice_widths=recipe.voice_widths,
        voice_code=recipe.voice_code,
        face_units=recipe.blocks,
        face_widths=recipe.widths,
        face_code=recipe.face_code,
        side=recipe.side,
        views=recipe.views,
    )

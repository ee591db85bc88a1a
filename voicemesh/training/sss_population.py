"""Seeking the Shape of Sound on a population: small nets on backbones that are trained first."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import FACE_MODEL, SSS_FACE
from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.sss import IdentityClassifier, IdentityState
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder
from voicemesh.nets.voice_trunk import VoiceTrunk
from voicemesh.population.dataset import Population
from voicemesh.population.likelihood import LikelihoodRatio
from voicemesh.population.portrait_set import PortraitShard

from .crowd import Crowd
from .data import FeatureSet, grouped, heard_of
from .face_views import Views
from .faces import FaceRecipe, FaceTask, begin_with, face_codes, shrunk, trained_backbone
from .habits import Habits
from .kept import hash_of, hash_of_net, write_array
from .loop import LoopSettings, train
from .portrait_law import joined
from .runs import finished
from .sss_data import CodedFaces, CodedVoices, Sitters
from .sss_recipe import SssRecipe
from .sss_task import SssNets, in_three_steps, judged_by
from .voice_backbone import VoiceRecipe, VoiceTask, trained_trunk
from .voices import voice_codes

log = logging.getLogger(__name__)

VOICE, FACE = "voice-backbone", "face-backbone"  # folders of their runs
JUDGED = 30  # every so many people of those to train on are kept to judge by
LEAST_JUDGES = 2
DRAWN = 60_000  # people of the law that guides
KNOWN_WELL = 50  # days that the law hears of a voice when it says what fits


def train_on_population(
    population: Population,
    run: Path,
    recipe: SssRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Backbones, codes, then the three steps, in the folder `run`; call again to go on.

    A recipe may name the folders of runs that trained the backbones, and further populations.
    Returns the best validation of the newest step.
    """
    crowd = Crowd.open(population.folder, recipe.more)
    portraits = joined_portraits(crowd)
    utterances = crowd.features(recipe.front_end, workers)
    check(crowd)
    trunk, done = voice_backbone(crowd, utterances, run, recipe, bundle, minutes)
    if not done:
        return {}
    backbone, done = face_backbone(crowd, portraits, run, recipe, bundle, minutes)
    if not done:
        return {}
    learnt, judged = divided(crowd, portraits, utterances)
    sitters, judges = coded(crowd, portraits, trunk, backbone, recipe, learnt, judged)
    if recipe.law_weight:
        people = crowd.people.take(learnt)
        ratio = LikelihoodRatio.fit(crowd.recipe.coupling, KNOWN_WELL, count=DRAWN)
        sitters = replace(sitters, law=ratio.scores(people, people, recipe.seed))

    def fresh(state: IdentityState, adjusts: bool) -> SssNets:
        voice, face = nets_of(trunk, backbone, recipe)
        classes = IdentityClassifier(recipe.embedding, len(sitters))
        return SssNets(recipe, voice, face, classes, state, adjusts)

    return in_three_steps(run, recipe, fresh, sitters, judged_by(judges), minutes)


def joined_portraits(crowd: Crowd) -> PortraitShard:
    """The portraits of everybody to train on, as many as there are so far."""
    parts = [portraits_of(one).gathered("train") for one in crowd.populations]
    shifted = zip(parts, crowd.starts, strict=True)
    parts = [replace(part, identity=part.identity + start) for part, start in shifted]
    return parts[0] if len(parts) == 1 else joined(parts)


def check(population: Population | Crowd) -> None:
    """Refuse people of which nobody could be kept to judge by."""
    if len(held_out(population)) < LEAST_JUDGES:
        raise ValueError(
            f"{len(population.train)} people to train on, of whom every {JUDGED}th is kept to judge"
            f" by; simulate {JUDGED * LEAST_JUDGES} or more"
        )


def voice_backbone(
    crowd: Crowd,
    utterances: FeatureSet,
    run: Path,
    recipe: SssRecipe,
    bundle: Bundle,
    minutes: float,
) -> tuple[VoiceTrunk, bool]:
    """A trunk that begins with what the bundle knows and learns; whether that is finished."""
    own = VoiceRecipe(
        recipe.front_end,
        recipe.voice_widths,
        recipe.voice_blocks,
        recipe.voice_code,
        recipe.voice_steps,
        masked_tracks=recipe.masked_tracks,
        start=recipe.voice_start,
    )
    folder = Path(recipe.voice_backbone or run / VOICE)
    if not recipe.voice_backbone:
        torch.manual_seed(own.seed)
        trunk = own.trunk()
        begin(trunk, bundle, own.start)
        task = VoiceTask(own, trunk, crowd, utterances, held_out(crowd))
        train(task, own, folder, LoopSettings(own.steps, own.seed, minutes=minutes))
        if not finished(folder, own.steps):
            return trunk, False
    return trained_trunk(folder, own), True


def begin(trunk: VoiceTrunk, bundle: Bundle, part: str) -> None:
    """Begin as a voice encoder of the bundle, the strided convolutions or another trunk.

    Raises:
        ValueError: its sizes are others, or there is no such part.
    """
    if not part:
        return
    if part not in bundle.parts:
        raise ValueError(
            f"The bundle has no {part} for the trunk to begin with; choose another bundle, or"
            " voice_start= for none"
        )
    known = bundle.net(part)
    if isinstance(known, VoiceEncoder):
        trunk.begin_as(known)
    else:
        trunk.load_state_dict(known.model.state_dict())


def face_backbone(
    crowd: Crowd,
    portraits: PortraitShard,
    run: Path,
    recipe: SssRecipe,
    bundle: Bundle,
    minutes: float,
) -> tuple[IrBackbone, bool]:
    """A backbone trained on portraits, from nothing or further; and whether that is finished."""
    own = FaceRecipe(
        recipe.side,
        recipe.face_units,
        recipe.face_widths,
        recipe.face_code,
        recipe.face_steps,
        views=recipe.views,
        seed=recipe.seed,
    )
    folder = Path(recipe.face_backbone or run / FACE)
    if not recipe.face_backbone:
        habits = Habits.of_law(crowd.recipe.coupling)
        asked = own.marks_weight and FACE_MODEL in bundle.parts
        model = bundle.face_model() if asked else None
        task = FaceTask(own, crowd.people, portraits, held_out(crowd), habits, model)
        if known := known_face(recipe, bundle):
            begin_with(task.net.backbone, known)
        train(task, own, folder, LoopSettings(own.steps, own.seed, minutes=minutes))
        if not finished(folder, own.steps):
            return task.net.backbone, False
    return trained_backbone(folder, own), True


def known_face(recipe: SssRecipe, bundle: Bundle) -> IrBackbone | None:
    """The backbone that a recipe begins with, if there is one."""
    if recipe.face_start == "bundle":
        return bundle.net(SSS_FACE).model if SSS_FACE in bundle.parts else None
    return Bundle.open(recipe.face_start).net(SSS_FACE).model if recipe.face_start else None


def held_out(population: Population | Crowd) -> Int64[np.ndarray, " some"]:
    """The people to judge by while training, among those to train on."""
    return population.train[JUDGED - 1 :: JUDGED]


def divided(
    crowd: Crowd, portraits: PortraitShard, utterances: FeatureSet
) -> tuple[Int64[np.ndarray, " some"], Int64[np.ndarray, " others"]]:
    """People with voices and portraits: those to learn from, those to judge by."""
    both = np.intersect1d(portraits.identity, utterances.identity)
    judged = np.intersect1d(both, held_out(crowd))
    return np.setdiff1d(both, judged), judged


def coded(
    crowd: Crowd,
    portraits: PortraitShard,
    trunk: VoiceTrunk,
    backbone: IrBackbone,
    recipe: SssRecipe,
    *groups: Int64[np.ndarray, " _"],
) -> list[Sitters]:
    """What both backbones say of all that is known of some people, group by group.

    It is kept beside each population.
    """
    pairs = list(zip(crowd.populations, crowd.starts, strict=True))
    heard = [voice_codes(one, trunk, recipe.front_end) for one, _ in pairs]
    owner = np.concatenate([v.identity + n for v, (_, n) in zip(heard, pairs, strict=True)])
    clean = np.concatenate([own.clean for own in heard])
    voices = np.concatenate([own.codes for own in heard])
    ends = np.searchsorted(portraits.identity, [*crowd.starts, len(crowd.people)])
    parts = [np.arange(*ends[n : n + 2]) for n in range(len(pairs))]
    looks = [
        kept_faces(one, portraits.rows(rows), backbone, recipe)
        for (one, _), rows in zip(pairs, parts, strict=True)
    ]
    faces = np.concatenate(looks, 1)
    return [
        Sitters(
            CodedVoices(voices, heard_of(people, owner, clean)),
            CodedFaces(faces, grouped(portraits.identity, people)),
            crowd.people.mode[people],
        )
        for people in groups
    ]


def kept_faces(
    population: Population, portraits: PortraitShard, backbone: IrBackbone, recipe: SssRecipe
) -> Float32[np.ndarray, "views rows code"]:
    """Codes of all portraits, plain and in views of them, kept beside the population."""
    about = (len(portraits), recipe.side, recipe.kept_views, recipe.views, recipe.seed)
    path = population.folder / f"faces-{hash_of_net(backbone)}-{hash_of(*about)}.npy"
    if path.exists():
        return np.load(path)
    pixels = torch.from_numpy(shrunk(portraits.pixels, recipe.side))
    torch.manual_seed(recipe.seed)
    views = [None, *[Views().scaled(recipe.views)] * recipe.kept_views]
    codes = np.stack([face_codes(backbone, pixels, view) for view in views])
    write_array(path, codes)
    return codes


def nets_of(
    trunk: VoiceTrunk, backbone: IrBackbone, recipe: SssRecipe
) -> tuple[TrunkVoiceEncoder, PortraitFaceEncoder]:
    """Fresh heads on both backbones, which themselves stay as they are."""
    voice = TrunkVoiceEncoder(
        recipe.front_end,
        FRONT_ENDS[recipe.front_end].channels,
        recipe.voice_widths,
        recipe.voice_blocks,
        recipe.voice_code,
        recipe.features,
        recipe.embedding,
        recipe.dropout,
    )
    face = PortraitFaceEncoder(
        recipe.side,
        recipe.face_units,
        recipe.face_widths,
        recipe.features,
        recipe.embedding,
        recipe.dropout,
        recipe.face_code,
    )
    voice.model.load_state_dict(trunk.state_dict())
    face.model.load_state_dict(backbone.state_dict())
    for backbone_ in (voice.model, face.model):
        backbone_.requires_grad_(False)
    return voice, face

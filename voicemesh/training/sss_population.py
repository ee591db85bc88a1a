"""Seeking the Shape of Sound on a population: small nets on backbones that are trained first."""

import copy
import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation.voice_faces import portraits_of
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.sss import (
    IdentityClassifier,
    IdentityState,
    PortraitFaceEncoder,
    UnitVoiceEncoder,
)
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitShard

from .data import FeatureSet, features
from .face_views import Views
from .faces import FaceRecipe, FaceTask, face_codes, shrunk, trained_backbone
from .loop import LoopSettings, train
from .loop import fingerprint as hashed
from .sss_data import CodedFaces, CodedVoices, Sitters, grouped
from .sss_task import SssNets, SssRecipe, in_three_steps, judged_by
from .voice_backbone import VoiceRecipe, VoiceTask, trained_encoder
from .voices import fingerprint, voice_codes, write

log = logging.getLogger(__name__)

VOICE, FACE = "voice-backbone", "face-backbone"  # folders of their runs
JUDGED = 30  # every so many people of those to train on are kept to judge by
START = "cmp-voice-encoder"  # of a bundle; what the voice backbone begins as


def train_on_population(
    population: Population,
    run: Path,
    recipe: SssRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Backbones, codes, then the three steps, in the folder `run`; call again to go on.

    A recipe may name the folders of runs that trained the backbones. Returns the best validation
    of the newest step.
    """
    portraits = portraits_of(population).gathered("train")
    utterances = features(population.folder, recipe.front_end, workers)
    encoder, done = voice_backbone(population, utterances, run, recipe, bundle, minutes)
    if not done:
        return {}
    backbone, done = face_backbone(population, portraits, run, recipe, minutes)
    if not done:
        return {}
    learnt, judged = divided(population, portraits, utterances)
    sitters, judges = (
        coded(population, portraits, encoder, backbone, recipe, some) for some in (learnt, judged)
    )

    def fresh(state: IdentityState, adjusts: bool) -> SssNets:
        voice, face = nets_of(encoder, backbone, recipe)
        classes = IdentityClassifier(recipe.embedding, len(sitters))
        return SssNets(recipe, voice, face, classes, state, adjusts)

    return in_three_steps(run, recipe, fresh, sitters, judged_by(judges), minutes)


def voice_backbone(
    population: Population,
    utterances: FeatureSet,
    run: Path,
    recipe: SssRecipe,
    bundle: Bundle,
    minutes: float,
) -> tuple[VoiceEncoder, bool]:
    """The bundle's voice encoder, trained further; and whether that is finished."""
    encoder = bundle.net(START)
    folder = Path(recipe.voice_backbone or run / VOICE)
    if not recipe.voice_backbone:
        own = VoiceRecipe(recipe.front_end, recipe.voice_steps, seed=recipe.seed)
        task = VoiceTask(own, encoder, population, utterances, held_out(population))
        train(task, own, folder, LoopSettings(own.steps, own.seed, minutes=minutes))
        if not finished(folder, own.steps):
            return encoder, False
    return trained_encoder(folder, encoder), True


def face_backbone(
    population: Population, portraits: PortraitShard, run: Path, recipe: SssRecipe, minutes: float
) -> tuple[IrBackbone, bool]:
    """A backbone trained on portraits; and whether that is finished."""
    own = FaceRecipe(
        recipe.side,
        recipe.face_units,
        recipe.face_widths,
        recipe.features,
        recipe.face_steps,
        views=recipe.views,
        seed=recipe.seed,
    )
    folder = Path(recipe.face_backbone or run / FACE)
    if not recipe.face_backbone:
        task = FaceTask(own, population.people, portraits, held_out(population))
        train(task, own, folder, LoopSettings(own.steps, own.seed, minutes=minutes))
        if not finished(folder, own.steps):
            return task.net.backbone, False
    return trained_backbone(folder, own), True


def held_out(population: Population) -> Int64[np.ndarray, " some"]:
    """The people to judge by while training, among those to train on."""
    return population.train[JUDGED - 1 :: JUDGED]


def divided(
    population: Population, portraits: PortraitShard, utterances: FeatureSet
) -> tuple[Int64[np.ndarray, " some"], Int64[np.ndarray, " others"]]:
    """People with voices and portraits: those to learn from, those to judge by."""
    both = np.intersect1d(portraits.identity, utterances.identity)
    judged = np.intersect1d(both, held_out(population))
    return np.setdiff1d(both, judged), judged


def coded(
    population: Population,
    portraits: PortraitShard,
    encoder: VoiceEncoder,
    backbone: IrBackbone,
    recipe: SssRecipe,
    people: Int64[np.ndarray, " people"],
) -> Sitters:
    """What both backbones say of all that is known of these people, kept beside the population."""
    voices = voice_codes(population, encoder, recipe.front_end)
    about = (len(portraits), recipe.side, recipe.kept_views, recipe.views, recipe.seed)
    path = population.folder / f"faces-{fingerprint(backbone)}-{hashed(*about)}.npy"
    if path.exists():
        codes = np.load(path)
    else:
        pixels = torch.from_numpy(shrunk(portraits.pixels, recipe.side))
        torch.manual_seed(recipe.seed)
        views = [None, *[Views().scaled(recipe.views)] * recipe.kept_views]
        codes = np.stack([face_codes(backbone, pixels, view) for view in views])
        write(path, codes)
    rows = [own[~voices.clean[own]] for own in grouped(voices.identity, people)]
    return Sitters(
        CodedVoices(voices.codes, rows),
        CodedFaces(codes, grouped(portraits.identity, people)),
        population.people.mode[people],
    )


def nets_of(
    encoder: VoiceEncoder, backbone: IrBackbone, recipe: SssRecipe
) -> tuple[UnitVoiceEncoder, PortraitFaceEncoder]:
    """Fresh heads on both backbones, which themselves stay as they are."""
    first, last = encoder.model[0], encoder.model[-1]
    widths = [layer.out_channels for layer in encoder.model if hasattr(layer, "out_channels")]
    voice = UnitVoiceEncoder(
        recipe.front_end,
        first.in_channels,
        widths[:-1],
        last.out_channels,
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
    )
    voice.model, face.model = copy.deepcopy(encoder), copy.deepcopy(backbone)
    for backbone_ in (voice.model, face.model):
        backbone_.requires_grad_(False)
    return voice, face


def finished(folder: Path, steps: int) -> bool:
    """Whether a run came to its last step."""
    return (folder / f"state-{steps}" / "done.json").exists()

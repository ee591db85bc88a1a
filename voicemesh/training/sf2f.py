"""SF2F in two stages: encoder and decoder on single stretches of speech, then the fuser alone.

Where published training and this differ, each said once:

* Generator and discriminators step at once, of the same state: as published, where the generator
  stepped first but both met the same images. One Adam holds all; its groups have own rates.
* When the norms are frozen, Adam goes on; published, a fresh one began.
* In the second stage all norms stay frozen; published, that was meant, but the first sheet of
  samples put the whole net back into training mode.
* The face network of the perceptual loss takes no gradients of its own.
* The noise on the baseline's embedding is for training alone.

What the recipe "bundle" adds (zero as published): the embedding is drawn to what the bundle's own
voice encoder hears ("hearing"), differences of image pyramids count beside those of pixels
("edges"), everyone is shown the most typical face of such voices and not the own one ("typical"),
and no discriminators play, for which its few steps do not suffice.
"""

from dataclasses import replace
from pathlib import Path

from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_VOICE, SF2F_FACENET
from voicemesh.nets.sf2f_facenet import FaceNet
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.cmp import front_end_name

from .data import features
from .loop import LoopSettings, train
from .sf2f_nets import Sf2fRecipe
from .sf2f_task import Sf2fTask
from .voices import VoiceCodes, voice_codes

FIRST_64 = Sf2fRecipe()
FUSER = {"stage": 2, "steps": 600, "settles": 600, "learning_rate": 1e-4}
FIRST_128 = replace(FIRST_64, large=16, pixel_weight=100.0)
BASELINE = replace(
    FIRST_64,
    inception=False,
    gated=False,
    face_widths=(1024, 512, 256, 128, 64),
    noise=True,
    pixel_weight=100.0,
    image_weight=0.0,
    identity_weight=1.0,
    perceptual_weight=0.0,
)
BUNDLE = Sf2fRecipe(
    front_end="voicemesh",
    voice_widths=(96, 128, 160, 192),
    embedding=64,
    face_widths=(128, 96, 64, 48, 32),
    critic=32,
    frontal=True,
    steps=450,
    settles=250,
    warm=30,
    batch_size=16,
    learning_rate=3e-3,
    critic_rate=0.3,
    image_weight=0.0,
    identity_weight=0.0,
    perceptual_weight=0.0,
    edges_weight=10.0,
    hearing_weight=20.0,
    typical=6,
    half=True,
    keep_last=True,
    validate_every=100,
)
RECIPES = {
    "published": FIRST_64,
    "published-fuser": replace(FIRST_64, **FUSER),
    "published-128": FIRST_128,
    "published-128-fuser": replace(FIRST_128, **FUSER),
    "published-baseline": BASELINE,
    "bundle": BUNDLE,
    "bundle-fuser": replace(
        BUNDLE,
        **{**FUSER, "steps": 100, "settles": 50, "learning_rate": 2e-3},
        segments=4,
        warm=20,
    ),
}


def start(
    data: Path,
    run: Path,
    recipe: Sf2fRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the voices and portraits of the population in `data`; call again to go on.

    `workers` processes compute the features, once. Returns the best validation so far.
    """
    population = Population.open(data)
    portraits = PortraitSet.open(data / f"portraits-{recipe.size}", partial=True)
    utterances = features(population.folder, recipe.front_end, workers)
    task = Sf2fTask(
        recipe,
        utterances,
        portraits,
        run,
        facenet_of(recipe, bundle),
        told(recipe, population, bundle),
    )
    settings = LoopSettings(
        recipe.steps,
        recipe.seed,
        validate_every=recipe.validate_every,
        minutes=minutes,
        half=recipe.half,
    )
    return train(task, recipe, run, settings)


def facenet_of(recipe: Sf2fRecipe, bundle: Bundle) -> FaceNet | None:
    """The face network of the perceptual loss, if the recipe has one.

    Raises:
        ValueError: neither the recipe nor the bundle tells where it is.
    """
    if not recipe.perceptual_weight:
        return None
    if recipe.facenet:
        net = upstream.load(SF2F_FACENET, recipe.facenet)
    elif SF2F_FACENET in bundle.parts:
        net = bundle.net(SF2F_FACENET)
    else:
        raise ValueError(
            f"The perceptual loss needs the face network {upstream.TABLE[SF2F_FACENET].file}:"
            " set facenet=FILE, convert it into the bundle, or set perceptual_weight=0"
        )
    assert isinstance(net, FaceNet)
    return net


def told(recipe: Sf2fRecipe, population: Population, bundle: Bundle) -> VoiceCodes | None:
    """What the bundle's voice encoder says of all recordings, if the recipe asks for it."""
    if not recipe.hearing_weight:
        return None
    encoder = bundle.net(CMP_VOICE)
    return voice_codes(population, encoder, front_end_name(encoder))

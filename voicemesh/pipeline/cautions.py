"""What a visitor should know before a face is believed: nobody spoke, two did, or one shouted."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.audio.speechlike import Speech, measures
from voicemesh.nets.cmp import TRAITS, VoiceTraits

WINDOW, STEP = 6, 3  # moments of a voice encoder, .32 s each: two seconds, every second
HEARD = [TRAITS.index(name) for name in ("log_f0", "log_vtl")]
WORTH = (0.7, 1.0)  # of a standard deviation of each: one voice's pitch wanders, its tract hardly
APART = 1.2  # one speaker in a hundred comes as far
SHARE = 0.2  # of the windows that the rarer voice has
ROUNDS = 8  # of 2-means
RAISED = 5.5  # semitones; one ordinary recording in twenty is heard as high
MEASURED = FRONT_ENDS["voicemesh-cycles"]  # whose features tell whether somebody speaks
SPEAKING = ("speech_middle", "speech_whitener")  # where those who speak lie, as a bundle knows it
FAR, BRIEF = 5.8, 3.5  # standard deviations; and more of them the shorter it is, over its seconds
NO_SPEECH = (
    "This does not sound like a person speaking: music, a machine or an animal is easily taken for"
    " a voice. If nobody spoke, the face means nothing."
)
TWO_VOICES = (
    "Two different voices seem to be in this recording: the face lies somewhere between them."
    " Record one person at a time."
)
SPOKEN_UP = (
    "The voice sounds raised. A man who shouts or is excited is easily taken for a woman: calm"
    " speech tells more."
)


def cautions(
    traits: VoiceTraits | None,
    moments: Float[Tensor, "embedding moments"],
    statistics: Mapping[str, Shaped[Tensor, "..."]],
    features: Float[Tensor, "channels frames"] | None = None,
) -> tuple[str, ...]:
    """Words on a recording, mostly none; `moments` are what a voice encoder gives before its mean.

    Nothing is told of a bundle that has no traits, or does not know how effort is heard or how
    people speak. `features` are what the encoder read.
    """
    if features is not None and strange(features, statistics):
        return (NO_SPEECH,)
    told = []
    if traits is not None and voices_apart(traits, moments) > APART:
        told.append(TWO_VOICES)
    if "effort_reader" in statistics and effort(moments, statistics["effort_reader"]) > RAISED:
        told.append(SPOKEN_UP)
    return tuple(told)


def strange(
    features: Float[Tensor, "channels frames"], statistics: Mapping[str, Shaped[Tensor, "..."]]
) -> bool:
    """Do these features move as nobody's do who speaks? False where the bundle cannot tell."""
    if not statistics.keys() >= {*SPEAKING} or len(features) != MEASURED.channels:
        return False
    speech = Speech(*(statistics[name].cpu().numpy() for name in SPEAKING))
    seconds = features.shape[1] / MEASURED.frame_rate
    return speech.distance(measures(features)) > FAR + BRIEF / seconds


@torch.inference_mode()
def voices_apart(traits: VoiceTraits, moments: Float[Tensor, "embedding moments"]) -> float:
    """How far the windows of a recording fall into two voices, in deviations of pitch and tract.

    Zero where it is too short to say, or where one of the two has hardly any windows.
    """
    if moments.shape[1] < 2 * WINDOW:
        return 0.0
    units = functional.normalize(moments.unfold(1, WINDOW, STEP).mean(-1), dim=0).T
    heard = traits(units)[:, HEARD] * units.new_tensor(WORTH)
    tract = heard[:, 1]
    centres = heard[torch.stack([tract.argmin(), tract.argmax()])]
    for _ in range(ROUNDS):
        second = torch.cdist(heard, centres).argmin(1).bool()
        share = second.float().mean().item()
        if min(share, 1 - share) < SHARE:
            return 0.0
        centres = torch.stack([heard[~second].mean(0), heard[second].mean(0)])
    return (centres[1] - centres[0]).norm().item()


@torch.inference_mode()
def effort(
    moments: Float[Tensor, "embedding moments"], reader: Float[Tensor, " embedding_and_one"]
) -> float:
    """By how many semitones a voice is raised, as its embedding tells."""
    unit = functional.normalize(moments.mean(1), dim=0)
    return (unit @ reader[:-1] + reader[-1]).item()

"""From a person to a voice on a certain day: habits, daily change, vocal effort."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from .law import People
from .tables import VOICE, VOICE_LAW

REFERENCE_TRACT = 17.35  # cm, of the speakers behind the phoneme table's formants
STRONG = ((4.0, 14.0), (2.0, 9.0))  # semitones of strong effort by mode (large, small)
HIGHEST_PITCH = 430.0  # Hz, habitual pitch and effort together


@dataclass(frozen=True, eq=False)
class Voice:
    """Everything that stays constant within one recording of a speaker."""

    f0: float  # median, Hz
    tract: float  # apparent length, cm
    oral: float  # share of the mouth, standard deviations
    nasal: float  # factor on the nasal pole and zero
    sibilant: float  # factor on the centre of hisses
    bandwidth: float  # factor
    rd: float  # glottal shape, 0.4 pressed to 2.6 breathy
    jitter: float
    shimmer: float
    breath: float  # noise of the glottis against its pulses
    tilt: float  # > 0 darkens the source, about 1 dB a unit at 4 kHz
    rate: float
    f0_spread: float  # semitones within an utterance
    creak: float  # chance at the ends of phrases
    nasality: float  # opening of the velum at rest
    small: bool  # the smaller mode's tract is no scaled copy: F1 higher, F3 lower
    accent: Float[np.ndarray, "2 vowels"]  # factors on F1 and F2 of every vowel
    higher: Float[np.ndarray, "5"]  # factors on F4 to F8
    f1_shift: float = 1.0  # raised by effort

    @property
    def scale(self) -> float:
        """Factor on all formants of the phoneme table."""
        return REFERENCE_TRACT / self.tract


def habitual(people: People, person: int) -> Voice:
    """The voice of a person as it usually is."""
    return _voice(people, person, people.voice[person])


def in_session(
    people: People,
    person: int,
    rng: np.random.Generator,
    effort: float = 0.0,
    strong: bool = False,
) -> Voice:
    """The same voice on one day, raised by `effort` semitones; strained where that is `strong`."""
    values = people.voice[person] + daily_change(rng)
    voice = _voice(people, person, values)
    return strained(voice, effort, rng) if strong else raised(voice, effort, rng)


def daily_change(rng: np.random.Generator) -> Float[np.ndarray, " quantities"]:
    """How far the habits of a voice are from themselves on one day: the first thing drawn of it."""
    daily = np.array([VOICE_LAW[name].session for name in VOICE])
    return daily * rng.standard_normal(len(VOICE))


def draw_effort(
    rng: np.random.Generator, calm: float = 0.3, mean: float = 1.5, deviation: float = 2.5
) -> float:
    """Vocal effort of a session in semitones: people in front of a microphone speak up.

    A share of `calm` sessions has none; the others are normal, within [-2, 9].
    """
    quiet, effort = rng.random() < calm, np.clip(rng.normal(mean, deviation), -2, 9)
    return 0.0 if quiet else float(effort)


def draw_strong(rng: np.random.Generator, mode: int) -> float:
    """Strong vocal effort in semitones: of calls, of speeches to a crowd, of anger, fear and joy.

    Over distances from 0.3 m to 187.5 m the mean F0 of speakers about doubles (Traunmüller and
    Eriksson, JASA 107, 2000: men, women and children calling); women, who begin higher, have less
    room. Uniform, as who speaks how loudly depends on the occasion.
    """
    return float(rng.uniform(*STRONG[mode]))


def raised(voice: Voice, effort: float, rng: np.random.Generator) -> Voice:
    """A voice with vocal effort: F0 up, and its companions with it."""
    if effort == 0:
        return voice
    return replace(
        voice,
        f0=voice.f0 * 2 ** (effort / 12),
        rd=float(np.clip(voice.rd - 0.05 * effort, 0.45, 2.5)),
        tilt=voice.tilt - 0.25 * effort,
        f0_spread=voice.f0_spread * float(np.exp(0.06 * effort + rng.normal(0, 0.2))),
        f1_shift=float(np.exp(0.010 * effort)),
        breath=voice.breath * float(np.exp(-0.08 * effort)),
        creak=voice.creak * (0.5 if effort > 2 else 1.0),
    )


def strained(voice: Voice, effort: float, rng: np.random.Generator) -> Voice:
    """A voice with strong effort. What goes with the pitch differs between voices and occasions.

    It goes with how loud the voice is: women raise their pitch less and all else as far as men. F1
    rises, most of all in open vowels (0.5 to 2 % where a man raises his pitch by a semitone;
    Liénard and Di Benedetto, JASA 106, 1999), the larynx as well (the tract is shorter by up to
    0.6 %). The spectrum is flatter, most of all where the voice is pressed, as in anger and calls,
    least in fear. Vowels last longer. The spread of F0 in semitones stays as it is when people call
    far (Traunmüller and Eriksson, JASA 107, 2000), and grows in lively speech.
    """
    pressed, lively, longer, wide, up = rng.uniform(size=5)
    loud = effort * STRONG[0][1] / STRONG[int(voice.small)][1]
    flat = (0.2 + 0.8 * pressed) * loud
    return replace(
        voice,
        f0=min(voice.f0 * 2 ** (effort / 12), HIGHEST_PITCH),
        tract=voice.tract * float(np.exp(-0.006 * up * loud)),
        rd=float(np.clip(voice.rd - 0.10 * flat, 0.4, 2.5)),
        tilt=voice.tilt - 0.55 * flat,
        f0_spread=voice.f0_spread * float(np.exp(0.06 * lively * loud + rng.normal(0, 0.2))),
        rate=voice.rate * float(np.exp(-0.015 * longer * loud)),
        f1_shift=float(np.exp((0.005 + 0.015 * wide) * loud)),
        breath=voice.breath * float(np.exp(-0.08 * loud)),
        creak=voice.creak * 0.5,
    )


def _voice(people: People, person: int, values: Float[np.ndarray, " quantities"]) -> Voice:
    value = dict(zip(VOICE, map(float, values), strict=True))
    tract, small = float(np.exp(value["log_vtl"])), bool(people.mode[person])
    return Voice(
        f0=float(np.exp(value["log_f0"])),
        tract=tract,
        oral=value["oral"],
        nasal=float(np.exp(-0.10 * value["nasal"])),
        sibilant=float((REFERENCE_TRACT / tract) ** 0.6 * np.exp(0.05 * value["sibilant"])),
        bandwidth=float(np.exp(0.15 * value["bandwidth"])) * (1.15 if small else 1.0),
        rd=float(np.clip(value["rd"], 0.45, 2.5)),
        jitter=float(np.exp(value["log_jitter"])),
        shimmer=float(np.exp(value["log_shimmer"])),
        breath=float(np.exp(value["log_breath"])),
        tilt=value["tilt"],
        rate=float(np.exp(value["log_rate"])),
        f0_spread=float(np.exp(value["log_f0_spread"])),
        creak=float(np.clip(value["creak"], 0, 1)),
        nasality=float(np.clip(value["nasality"], 0, 0.5)),
        small=small,
        accent=people.accent[person],
        higher=people.higher[person],
    )

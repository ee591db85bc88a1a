"""Speak: a voice utters random phonemes as a waveform.

Real speech showed what matters: raised and lively voices besides calm ones, and the channel
(`channel.py`). Richer phonetics than these gained nothing on it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from .phonemes import CONSONANTS, VOWELS, Consonant, Phone, Vowel, utterance
from .tables import VOWELS as VOWEL_NAMES
from .tract import BLOCK, CONTROL_RATE, decimator, glottis, hisses, pulse_tables, vocal_tract
from .voices import Voice

LEVEL = 0.1  # root mean square of an utterance
NEUTRAL = (500.0, 1500.0, 2500.0)
HIGHER = np.array([3500.0, 4500.0, 5500.0, 6500.0, 7500.0])
HIGHEST = 7700.0  # Hz; resonances above are left out


@dataclass(frozen=True, eq=False)
class Gesture:
    """What an utterance does over time, at the control rate."""

    formants: Float[np.ndarray, "blocks 3"]  # Hz, of this speaker
    voicing: Float[np.ndarray, " blocks"]
    aspiration: Float[np.ndarray, " blocks"]
    hiss: Float[np.ndarray, " blocks"]
    centre: Float[np.ndarray, " blocks"]  # Hz, of the hiss
    width: Float[np.ndarray, " blocks"]
    nasality: Float[np.ndarray, " blocks"]
    zero: Float[np.ndarray, " blocks"]  # Hz, of the nasal cavity
    stress: Float[np.ndarray, " blocks"]
    loudness: Float[np.ndarray, " blocks"]
    place: Float[np.ndarray, " blocks"]  # in the phrase, 0 to 1


def speak(
    voice: Voice, rng: np.random.Generator, seconds: float
) -> Float32[np.ndarray, " samples"]:
    """An utterance of this many seconds at 16 kHz, root mean square 0.1."""
    blocks = int(seconds * CONTROL_RATE)
    gesture = articulate(voice, rng, blocks)
    f0, rd, creak, wobble = prosody(voice, gesture, rng)
    fall = np.exp(0.12 * wobble - 0.5 * np.clip(gesture.place - 0.5, 0, 1))
    levels = np.stack([gesture.voicing * gesture.loudness * fall, gesture.aspiration])
    luck = rng.standard_normal((int(600 * seconds), 2))
    source, flow = glottis(
        f0, rd, creak, voice.jitter, voice.shimmer, luck, *pulse_tables(), decimator()
    )
    poles, widths = resonances(voice, gesture)
    opening = np.clip(gesture.nasality + voice.nasality * (1 - gesture.nasality), 0, 1)
    damped = 100 * (1 - gesture.nasality)
    noise = rng.standard_normal((2, blocks * BLOCK), np.float32)
    tilt = float(np.clip(0.12 * voice.tilt, -0.6, 0.6))
    x = vocal_tract(
        source,
        flow,
        noise[0],
        _with_end(levels),
        voice.breath,
        tilt,
        poles,
        widths,
        270 + opening * (gesture.zero - 270),
        130 + damped,
        np.full(blocks, 270 * voice.nasal),
        110 + damped,
    )
    hiss = hisses(
        noise[1],
        _with_end(gesture.hiss),
        np.clip(gesture.centre, 300, 7600),
        np.clip(gesture.width, 300, 6000),
    )
    voiced = np.repeat(levels[0] > 0.3, BLOCK)
    reference = np.sqrt(np.mean(x[voiced] ** 2)) if voiced.any() else x.std()
    y = x / (reference + 1e-9) + hiss * (3 * np.exp(rng.normal(0, 0.25)))
    return (LEVEL * y / (y.std() + 1e-9)).astype(np.float32)


def articulate(voice: Voice, rng: np.random.Generator, blocks: int) -> Gesture:
    """Targets of a random utterance, smoothed into movements of this speaker's tract."""
    formants = np.tile(np.array(NEUTRAL), (blocks, 1))
    voicing, hiss, aspiration, nasality, stress, place = np.zeros((6, blocks))
    zero, centre, width, loudness = np.tile([[1200.0], [5000.0], [3000.0], [1.0]], blocks)
    last, i = NEUTRAL, int(rng.uniform(0, 0.1) * CONTROL_RATE)
    for phone in utterance(rng, blocks / CONTROL_RATE + 0.5, voice.rate):
        if i >= blocks:
            break
        if not phone.name:
            end = min(blocks, i + max(2, int(phone.seconds * CONTROL_RATE)))
            formants[i:end] = last
            i = end
            continue
        tempo = np.exp(rng.normal(0, 0.15)) / voice.rate
        tempo *= 0.85 + 0.3 * phone.stress + 0.35 * (phone.place > 0.9)
        sound = VOWELS.get(phone.name) or CONSONANTS[phone.name]
        if isinstance(sound, Vowel):
            tempo *= 1 if phone.stress else 0.75
        end = min(blocks, i + max(4, int(sound.duration / 1000 * CONTROL_RATE * tempo)))
        here = slice(i, end)
        if isinstance(sound, Vowel):
            formants[here] = _vowel_track(voice, phone, sound, end - i, rng)
            voicing[here], stress[here] = 1, phone.stress
            loudness[here] = 1 + 0.3 * phone.stress
            last = tuple(formants[end - 1])
        else:
            last, middle = _consonant_place(phone.name, sound, last)
            formants[here] = last
            level = sound.noise * np.exp(rng.normal(0, 0.3))
            _consonant_noise(phone.name, sound, level, i, end, voicing, hiss, aspiration)
            if sound.kind == "nasal":
                nasality[here], zero[here] = 1, sound.zero
            centre[here] = middle * voice.sibilant * np.exp(rng.normal(0, 0.03))
            width[here] = sound.width or 3000
        place[here] = phone.place
        i = end
    scale = np.array([voice.f1_shift * (1 + 0.035 * voice.oral), 1 - 0.03 * voice.oral, 1.0])
    scale = scale * ((1.01, 1.0, 0.985) if voice.small else 1.0) * voice.scale
    scale = scale * np.exp(rng.normal(0, 0.02, 3)) * (1, 1, 1 - 0.005 * voice.oral)
    f1, f2, f3 = (_smooth(track, ms) for track, ms in zip(formants.T, (55, 75, 75), strict=True))
    f1 = f1 * scale[0]
    f2 = np.maximum(f2 * scale[1], f1 + 150)
    f3 = np.maximum(f3 * scale[2], f2 + 200)
    return Gesture(
        formants=np.stack([f1, f2, f3], 1),
        voicing=_smooth(voicing, 25),
        aspiration=_smooth(aspiration, 25),
        hiss=_smooth(hiss, 12),
        centre=centre,
        width=width,
        nasality=_smooth(nasality, 35),
        zero=_smooth(zero, 25) * voice.nasal,
        stress=stress,
        loudness=_smooth(loudness, 80),
        place=place,
    )


def prosody(
    voice: Voice, gesture: Gesture, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " blocks"], ...]:
    """Pitch in Hz, glottal shape, creak and the slow wobble that moves loudness."""
    blocks = len(gesture.place)
    accent = _smooth(gesture.stress, 180) * rng.uniform(0.4, 1.6)
    wobble = _smooth(rng.standard_normal(blocks), 350) * np.sqrt(0.35 * CONTROL_RATE) * 0.75
    semitones = 1.76 * (0.5 - _smooth(gesture.place, 100))  # declination
    semitones = semitones + 1.4 * (accent - accent.mean()) + 0.6 * wobble
    semitones = (semitones - np.median(semitones)) / (semitones.std() + 1e-9) * voice.f0_spread
    flutter = _smooth(rng.standard_normal(blocks), 60) * np.sqrt(0.06 * CONTROL_RATE) * 0.008
    f0 = voice.f0 * 2 ** (semitones / 12) * np.exp(flutter)
    rd = voice.rd + 0.25 * (gesture.place - 0.4) - 0.15 * accent + 0.075 * wobble
    likely = _smooth(rng.random(blocks), 300) < 0.35 + 0.3 * voice.creak
    ends = (gesture.place > 0.82) & likely & (rng.random() < voice.creak)
    creak = _smooth(ends.astype(float), 60)
    return np.clip(f0 * (1 - 0.35 * creak), 45, 500), rd, creak, wobble


def resonances(
    voice: Voice, gesture: Gesture
) -> tuple[Float[np.ndarray, "blocks poles"], Float[np.ndarray, "blocks poles"]]:
    """Frequencies and bandwidths of all formants in Hz, the highest first."""
    fixed = HIGHER * voice.scale * voice.higher
    fixed = fixed[fixed < HIGHEST][::-1]
    f = gesture.formants[:, ::-1]
    moving = 15 * (500 / f) + 20 * np.sqrt(f / 500) + 5 * (f / 500) ** 2
    moving[:, 2] = moving[:, 2] * (1 + 0.25 * np.clip(voice.rd - 0.7, 0, 2))
    moving = moving * voice.bandwidth
    moving[:, 2] += 60 * gesture.aspiration
    still = np.tile((60 + 0.055 * fixed) * voice.bandwidth, (len(f), 1))
    poles = np.concatenate([np.tile(fixed, (len(f), 1)), f], axis=1)
    return poles, np.concatenate([still, np.clip(moving, 30, 900)], axis=1)


def _vowel_track(
    voice: Voice, phone: Phone, vowel: Vowel, blocks: int, rng: np.random.Generator
) -> Float[np.ndarray, "blocks 3"]:
    kind = VOWEL_NAMES.index(phone.name)
    reduced = 0.35 * (1 - phone.stress) * rng.uniform(0.3, 1)  # towards the neutral vowel
    token = np.exp(rng.normal(0, 0.03, 3))
    f1 = vowel.f1 * voice.accent[0, kind] * token[0]
    f2 = vowel.f2 * voice.accent[1, kind] * token[1]
    f1, f2 = f1 + reduced * (500 - f1), f2 + reduced * (1500 - f2)
    track = np.tile([f1, f2, vowel.f3 * token[2]], (blocks, 1))
    if vowel.end_f1:
        way = np.linspace(0, 1, blocks)
        track[:, 0] += way * (vowel.end_f1 - f1)
        track[:, 1] += way * (vowel.end_f2 - f2)
    return track


def _consonant_place(
    name: str, sound: Consonant, last: tuple[float, float, float]
) -> tuple[tuple[float, float, float], float]:
    """Formant targets and the centre of the noise, which follow the neighbour for h, k and g."""
    place = (sound.f1, sound.f2, sound.f3) if sound.f1 else last
    if name in ("K", "G"):
        return (place[0], 0.5 * place[1] + 0.5 * last[1], place[2]), float(
            np.clip(1.1 * last[1], 1200, 3000)
        )
    return place, sound.centre or 5000.0


def _consonant_noise(
    name: str,
    sound: Consonant,
    level: float,
    start: int,
    end: int,
    voicing: Float[np.ndarray, " blocks"],
    hiss: Float[np.ndarray, " blocks"],
    aspiration: Float[np.ndarray, " blocks"],
) -> None:
    """Write voicing, hiss and breath of one consonant into the tracks."""
    here = slice(start, end)
    if sound.kind == "stop":
        burst = start + int(0.62 * (end - start))
        voicing[start:burst] = 0.22 * sound.voiced
        hiss[burst : min(burst + 3, end)] = level
        if sound.voiced:
            voicing[burst:end] = 0.8
        else:
            aspiration[burst:end] = 0.7
        if name in ("CH", "JH") or not sound.voiced:
            rest = level * (0.8 if name in ("CH", "JH") else 0.12)
            hiss[burst:end] = np.maximum(hiss[burst:end], rest)
    elif sound.kind == "hiss":
        voicing[here], hiss[here] = 0.45 * sound.voiced, level
    elif sound.kind == "breath":
        voicing[here], aspiration[here] = 0.3, 1
    else:
        voicing[here] = 0.6 if sound.kind == "nasal" else 0.75


def _smooth(track: Float[np.ndarray, " blocks"], ms: float) -> Float[np.ndarray, " blocks"]:
    taps = max(3, int(ms / 1000 * CONTROL_RATE) | 1)
    window = np.hanning(taps + 2)[1:-1]
    padded = np.pad(track, taps // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), "valid")


def _with_end(track: Float[np.ndarray, "*rows blocks"]) -> Float[np.ndarray, "*rows more"]:
    """A track with its last value once more, to interpolate towards."""
    return np.ascontiguousarray(np.concatenate([track, track[..., -1:]], axis=-1))

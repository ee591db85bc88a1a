"""What synthetic voices say: English-like strings of phonemes with stress, words and pauses."""

from typing import NamedTuple

import numpy as np

from .tables import VOWELS as VOWEL_NAMES


class Vowel(NamedTuple):
    """Formants in Hz for a tract of 17.35 cm; a glide ends at other F1 and F2."""

    f1: float
    f2: float
    f3: float
    end_f1: float  # 0: no glide
    end_f2: float
    duration: float  # ms
    weight: float  # share in English text, any scale


class Consonant(NamedTuple):
    """Formant targets, voicing and noise of a consonant."""

    f1: float  # 0: those of the neighbour
    f2: float
    f3: float
    duration: float  # ms
    voiced: int
    noise: float  # against the level of vowels
    centre: float  # Hz, of the noise
    width: float  # Hz
    kind: str  # "glide", "nasal", "stop", "hiss" or "breath"
    zero: float  # Hz, of a nasal
    weight: float


VOWELS = {
    "IY": Vowel(342, 2322, 3000, 0, 0, 155, 3.6),
    "IH": Vowel(427, 2034, 2684, 0, 0, 135, 6.0),
    "EY": Vowel(480, 2090, 2691, 330, 2300, 190, 2.0),
    "EH": Vowel(580, 1799, 2605, 0, 0, 150, 2.9),
    "AE": Vowel(588, 1952, 2601, 0, 0, 230, 3.5),
    "AA": Vowel(768, 1333, 2522, 0, 0, 240, 2.0),
    "AO": Vowel(652, 997, 2538, 0, 0, 240, 1.3),
    "OW": Vowel(540, 1000, 2459, 400, 830, 220, 1.3),
    "UH": Vowel(469, 1122, 2434, 0, 0, 160, 0.7),
    "UW": Vowel(378, 997, 2343, 0, 0, 210, 2.0),
    "AH": Vowel(623, 1200, 2550, 0, 0, 140, 2.5),
    "ER": Vowel(474, 1379, 1710, 0, 0, 180, 2.4),
    "AY": Vowel(750, 1250, 2550, 400, 2000, 250, 2.0),
    "AW": Vowel(750, 1250, 2500, 450, 950, 260, 0.6),
    "AX": Vowel(500, 1500, 2500, 0, 0, 90, 9.0),
}
CONSONANTS = {
    "W": Consonant(290, 610, 2150, 80, 1, 0, 0, 0, "glide", 0, 2.0),
    "Y": Consonant(260, 2070, 3020, 80, 1, 0, 0, 0, "glide", 0, 0.7),
    "R": Consonant(310, 1060, 1380, 80, 1, 0, 0, 0, "glide", 0, 4.2),
    "L": Consonant(310, 1050, 2880, 80, 1, 0, 0, 0, "glide", 0, 4.0),
    "M": Consonant(480, 1270, 2130, 70, 1, 0, 0, 0, "nasal", 1000, 2.8),
    "N": Consonant(480, 1340, 2470, 60, 1, 0, 0, 0, "nasal", 1700, 7.0),
    "NG": Consonant(480, 2000, 2900, 95, 1, 0, 0, 0, "nasal", 3000, 1.0),
    "F": Consonant(340, 1100, 2080, 100, 0, 0.05, 7000, 6000, "hiss", 0, 1.8),
    "V": Consonant(220, 1100, 2080, 60, 1, 0.03, 7000, 6000, "hiss", 0, 2.0),
    "TH": Consonant(320, 1290, 2540, 90, 0, 0.04, 7000, 6000, "hiss", 0, 0.6),
    "DH": Consonant(270, 1290, 2540, 50, 1, 0.02, 7000, 6000, "hiss", 0, 3.2),
    "S": Consonant(320, 1390, 2530, 105, 0, 0.30, 6500, 2500, "hiss", 0, 4.7),
    "Z": Consonant(240, 1390, 2530, 75, 1, 0.18, 6500, 2500, "hiss", 0, 2.8),
    "SH": Consonant(300, 1840, 2750, 105, 0, 0.35, 3700, 1800, "hiss", 0, 0.9),
    "CH": Consonant(350, 1800, 2820, 80, 0, 0.35, 3700, 2000, "stop", 0, 0.6),
    "JH": Consonant(260, 1800, 2820, 70, 1, 0.20, 3700, 2000, "stop", 0, 0.6),
    "HH": Consonant(0, 0, 0, 60, 0, 0, 5000, 3000, "breath", 0, 1.6),
    "P": Consonant(400, 1100, 2150, 90, 0, 0.10, 1200, 3000, "stop", 0, 2.0),
    "B": Consonant(200, 1100, 2150, 85, 1, 0.04, 1200, 3000, "stop", 0, 1.9),
    "T": Consonant(400, 1600, 2600, 75, 0, 0.25, 4500, 3000, "stop", 0, 7.0),
    "D": Consonant(200, 1600, 2600, 75, 1, 0.12, 4500, 3000, "stop", 0, 4.2),
    "K": Consonant(300, 1990, 2850, 80, 0, 0.20, 2200, 1500, "stop", 0, 3.1),
    "G": Consonant(200, 1990, 2850, 80, 1, 0.10, 2200, 1500, "stop", 0, 0.8),
}
SYLLABLES = np.cumsum([0.60, 0.26, 0.10, 0.04])  # of a word: 1 to 4


class Phone(NamedTuple):
    """One sound of an utterance, or a pause (no name)."""

    name: str
    stress: float  # 0 or 1
    place: float  # 0 at the beginning of its phrase, 1 at the end
    seconds: float = 0.0  # of a pause


def utterance(rng: np.random.Generator, seconds: float, rate: float) -> list[Phone]:
    """Random phrases that last about `seconds` at this speaking rate (1 is usual)."""
    vowels, consonants = _urn(VOWELS), _urn(CONSONANTS)
    phones: list[Phone] = []
    spoken = 0.0
    while spoken < seconds:
        words = (_word(rng, vowels, consonants) for _ in range(int(rng.integers(2, 8))))
        phrase = [sound for word in words for sound in word]
        for i, (name, stress) in enumerate(phrase):
            phones.append(Phone(name, stress, i / max(1, len(phrase) - 1)))
            spoken += (VOWELS.get(name) or CONSONANTS[name]).duration / 1000 / rate * 0.8
        pause = (0.0, 0.12, 0.3, 0.5)[int(np.searchsorted([0.3, 0.6, 0.85], rng.random()))]
        if pause:
            pause *= rng.uniform(0.6, 1.4)
            phones.append(Phone("", 0.0, 1.0, pause))
            spoken += pause
    return phones


def _urn(table: dict[str, Vowel] | dict[str, Consonant]) -> tuple[list[str], np.ndarray]:
    shares = np.cumsum([sound.weight for sound in table.values()])
    return list(table), shares / shares[-1]


def _pick(rng: np.random.Generator, urn: tuple[list[str], np.ndarray]) -> str:
    return urn[0][int(np.searchsorted(urn[1], rng.random(), side="right"))]


def _word(
    rng: np.random.Generator,
    vowels: tuple[list[str], np.ndarray],
    consonants: tuple[list[str], np.ndarray],
) -> list[tuple[str, float]]:
    syllables = 1 + int(np.searchsorted(SYLLABLES[:-1], rng.random(), side="right"))
    main = int(rng.integers(syllables))
    word = []
    for syllable in range(syllables):
        stress = float(syllable == main and rng.random() < 0.7)
        if rng.random() < 0.8:
            word.append((_pick(rng, consonants), stress))
            if rng.random() < 0.12:
                word.append(("R" if rng.random() < 0.5 else "L", stress))
        vowel = _pick(rng, vowels)
        if stress and vowel == "AX":
            vowel = VOWEL_NAMES[int(rng.integers(len(VOWEL_NAMES) - 1))]
        word.append((vowel, stress))
        if rng.random() < 0.45:
            word.append((_pick(rng, consonants), stress))
    return word

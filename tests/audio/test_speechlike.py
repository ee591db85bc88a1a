"""What sets people who speak apart from music and noises."""

import numpy as np
import pytest
import soundfile
import torch

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.audio.speechlike import MEASURES, Speech, measures
from voicemesh.page.recorder import EXAMPLES

FRONT_END, RATE = FRONT_ENDS["voicemesh-cycles"], 16_000
BANDS, CANDIDATES = 64, 48


def told(features: np.ndarray) -> dict[str, float]:
    values = measures(torch.from_numpy(features.astype(np.float32)))
    return dict(zip(MEASURES, values.tolist(), strict=True))


def quiet(frames: int = 300) -> np.ndarray:
    """Bands with a little noise, no pitch, no cycles."""
    rng = np.random.default_rng(0)
    features = np.zeros((FRONT_END.channels, frames))
    features[:BANDS] = rng.normal(0, 0.05, (BANDS, frames))
    return features


def at_pitch(candidates: np.ndarray) -> np.ndarray:
    """The same with a clear pitch in every frame."""
    features = quiet(len(candidates))
    features[BANDS + candidates, np.arange(len(candidates))] = 0.9
    return features


@pytest.mark.parametrize("hertz", [0.6, 20.0])
def test_syllables_come_four_times_a_second(hertz):
    time = np.arange(300) / 100
    moved = {}
    for rate in (4.0, hertz):
        features = quiet()
        features[:BANDS] += np.sin(2 * np.pi * rate * time)
        moved[rate] = told(features)
    assert moved[4.0]["syllables"] > moved[hertz]["syllables"] + 2
    assert moved[4.0]["syllabic share"] > moved[hertz]["syllabic share"] + 0.5


def test_notes_are_held_and_left_at_once():
    notes = told(at_pitch(np.repeat([10, 22, 17, 29, 10, 14], 50)))
    glide = told(at_pitch((20 + 8 * np.sin(np.arange(300) / 9)).astype(int)))
    assert notes["held notes"] == 1 and glide["held notes"] == 0
    assert notes["same pitch"] > 0.95 > glide["same pitch"]
    assert notes["leaps"] == pytest.approx(5 / 299) and glide["leaps"] == 0


def test_a_note_is_as_long_as_its_voice_is():
    features = at_pitch(np.full(60, 10))
    features[BANDS:, 5::10] = 0  # broken off: no run reaches a note's length
    assert told(features)["held notes"] == 0


def test_cycles_are_measured_where_they_are():
    features = quiet()
    assert told(features)["jitter"] == 0
    features[-4, :100] = 1
    features[-3, :100], features[-3, 100:] = 0.7, 9.0
    values = told(features)
    assert values["cycles"] == pytest.approx(1 / 3)
    assert values["jitter"] == pytest.approx(0.7) and values["jitter's spread"] < 1e-6


def test_what_moves_together_is_together():
    features = quiet()
    alone = told(features)["together"]
    features[:BANDS] += np.sin(np.arange(300) / 5)
    assert told(features)["together"] > 0.9 > 0.3 > alone


def test_other_features_are_refused():
    for form in ((40, 300), (FRONT_END.channels, 40)):
        with pytest.raises(ValueError, match="are needed"):
            measures(torch.zeros(form))


def test_distance_knows_which_measures_go_together():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4000, 1))
    people = Speech.of(np.c_[5 + shared, 20 * shared + rng.normal(size=(4000, 1))])
    assert people.distance(people.middle) == 0
    along = people.distance(np.array([7.0, 40.0], np.float32))
    against = people.distance(np.array([7.0, -40.0], np.float32))
    assert along < 2.5 and against > 2 * along
    with pytest.raises(ValueError, match="4 recordings or more are needed: 3"):
        Speech.of(np.zeros((3, 2)))


def test_a_chorale_is_further_from_speech_than_any_speech():
    voices = [soundfile.read(path, dtype="float32")[0] for path in EXAMPLES.glob("*.flac")]
    pieces = [wave[k : k + 2 * RATE] for wave in voices for k in range(0, 4 * RATE, RATE // 2)]
    rows = [measures(FRONT_END(torch.from_numpy(piece)[None])[0]) for piece in pieces]
    people = Speech.of(np.stack(rows).astype(float))
    time = np.arange(RATE // 2) / RATE
    chords = [
        sum(np.sin(2 * np.pi * n * f * time) / n for f in chord for n in range(1, 9))
        for chord in ((220, 277, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247))
    ]
    chorale = torch.from_numpy(np.concatenate(chords).astype(np.float32))[None]
    away = people.distance(measures(FRONT_END(chorale)[0]))
    assert away > 1.5 * max(people.distance(row) for row in rows)

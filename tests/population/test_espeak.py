"""Voices from elsewhere, where espeak-ng is installed."""

import numpy as np
import pytest

from voicemesh.population import espeak

needs_espeak = pytest.mark.skipif(not espeak.available(), reason="espeak-ng is not installed")


def test_a_variant_asks_for_pitch_and_tract():
    lines = espeak.variant_file(210.0, 14.9, 2.5).splitlines()
    assert lines[:2] == ["language variant", "name speaker"]
    low, high = map(int, lines[2].split()[1:])
    assert low - 9 + 0.84 * (high - low) == pytest.approx(210, abs=1.5)
    assert lines[3:] == [f"formant {i} 116 100 100" for i in range(9)]


@needs_espeak
def test_the_tract_moves_the_spectrum_and_nothing_else():
    def centre(tract: float) -> float:
        recording = espeak.say("Nine more men in a yellow lane.", 120.0, tract)
        power = np.abs(np.fft.rfft(recording.waveform)) ** 2
        f = np.fft.rfftfreq(len(recording.waveform), 1 / recording.sample_rate)
        formants = (f > 1500) & (f < 4500)
        return float((power * f)[formants].sum() / power[formants].sum())

    assert centre(14.5) > 1.05 * centre(17.35)


def test_without_the_program_the_message_says_so(monkeypatch):
    monkeypatch.setattr(espeak, "PROGRAM", "no-such-program")
    assert not espeak.available()
    with pytest.raises(ValueError, match="no-such-program is not installed"):
        espeak.say("Hello.", 120.0, 17.0)

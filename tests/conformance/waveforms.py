"""A speech-like waveform that can be regenerated exactly, for tests of audio front ends."""

import zlib

import numpy as np


def synthetic_voice(tag: str, name: str, seconds: float, rate: int = 16000) -> np.ndarray:
    """Return int16 samples: bursts of a gliding harmonic stack with pauses and faint noise.

    The random stream is seeded by `tag` and `name`. Draws happen in this order: one uniform for
    the pitch, one for its wobble, three for the formants, one for the gate phase, then one normal
    per sample for the noise floor.
    """
    stream = np.random.Generator(np.random.PCG64(zlib.crc32(f"{tag}:waveform:{name}".encode())))
    count = round(seconds * rate)
    time = np.arange(count) / rate
    base = 110.0 + 60.0 * stream.uniform()
    pitch = base + 15.0 * np.sin(2 * np.pi * (0.7 + stream.uniform()) * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = np.array([500.0, 1500.0, 2500.0]) * stream.uniform(0.85, 1.15, 3)
    widths = np.array([120.0, 180.0, 260.0])
    sound = np.zeros(count)
    for harmonic in range(1, 31):
        gain = (
            np.sum(np.exp(-0.5 * ((harmonic * pitch[:, None] - formants) / widths) ** 2), axis=1)
            + 0.02
        )
        sound += gain / np.sqrt(harmonic) * np.sin(harmonic * phase)
    gate = (np.sin(2 * np.pi * 0.45 * time + 2 * np.pi * stream.uniform()) > -0.35).astype(float)
    ramp = int(0.02 * rate)
    gate = np.convolve(gate, np.ones(ramp) / ramp, mode="same")
    sound = sound * gate * (0.6 + 0.4 * np.sin(2 * np.pi * 4.0 * time))
    sound += 0.004 * stream.standard_normal(count)
    return np.clip(np.round(sound * 4500.0), -32768, 32767).astype(np.int16)

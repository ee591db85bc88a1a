"""Tracks of neighbouring cycles: they know jitter, shimmer and noise, and nothing of the level."""

import numpy as np
import pytest
import torch

from voicemesh.audio.cycles import TRACKS, cycle_tracks
from voicemesh.audio.pitch import pitch_map

RATE, HOP, FIRST, FRAMES = 16_000, 160, 200, 90
VALID, LENGTH, HEIGHT, NOISE = range(TRACKS)


def voice(f0=120.0, jitter=0.0, shimmer=0.0, noise=0.0, seed=0):
    """Pulses through one resonance, a second long."""
    rng, pulses, at = np.random.default_rng(seed), np.zeros(RATE * 4), 0.0
    while at < RATE * 4 - 1:
        pulses[int(at)] += np.exp(shimmer * rng.standard_normal())  # at 64 kHz
        at += 4 * RATE / f0 * np.exp(jitter * rng.standard_normal())
    t = np.arange(2000) / (4 * RATE)
    ring = np.exp(-250 * t) * np.sin(2 * np.pi * 500 * t)
    sound = np.convolve(pulses, ring)[: RATE * 4 : 4]
    sound = sound + noise * sound.std() * rng.standard_normal(RATE)
    return torch.from_numpy(sound)[None].float()


def tracks(sound):
    pitches = pitch_map(sound, FRAMES, FIRST, HOP)
    return cycle_tracks(sound, pitches, FIRST, HOP)[0]


def mean_of(track, **what):
    told = tracks(voice(**what))
    return float(told[track][told[VALID] > 0].mean())


@pytest.mark.parametrize("f0", [110.0, 210.0])
def test_each_irregularity_shows_in_its_own_track(f0):
    even = [mean_of(track, f0=f0) for track in (LENGTH, HEIGHT, NOISE)]
    assert mean_of(LENGTH, f0=f0, jitter=0.015) > even[0] + 0.7
    assert mean_of(HEIGHT, f0=f0, shimmer=0.08) > even[1] + 0.7
    assert mean_of(NOISE, f0=f0, noise=0.2) > even[2] + 0.7
    assert mean_of(LENGTH, f0=f0, shimmer=0.08) < even[0] + 0.5


def test_more_jitter_is_more():
    told = [mean_of(LENGTH, jitter=jitter) for jitter in (0.004, 0.01, 0.02)]
    assert told[0] < told[1] - 0.3 < told[2] - 0.6


def test_level_and_polarity_do_not_matter():
    sound = voice(jitter=0.01, shimmer=0.05)
    torch.testing.assert_close(tracks(-0.01 * sound), tracks(sound), atol=2e-3, rtol=0)


def test_where_there_is_no_voice_there_are_zeros():
    assert not tracks(torch.zeros(1, RATE)).any()
    hiss = torch.randn(1, RATE, generator=torch.Generator().manual_seed(1))
    assert float(tracks(hiss)[VALID].mean()) < 0.1
    told = tracks(voice())
    assert not told[1:, told[VALID] == 0].any()
    assert float(told[VALID].mean()) > 0.8


def test_a_voice_that_freezes_gives_numbers():
    """A lost packet leaves the last value standing, where a cycle is nothing but rounding."""
    for start in range(6000, 6400, 10):
        sound = voice()
        sound[:, start : start + 400] = sound[0, start] + 0.25
        told = tracks(sound)
        assert torch.isfinite(told).all() and float(told[NOISE].abs().max()) < 10
        frozen = (start + 200 - FIRST) // HOP
        assert told[VALID, frozen] == 0

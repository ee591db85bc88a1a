"""Words on recordings without a voice or with two, and on a voice that is raised."""

import pytest
import torch
from torch.nn import functional

from voicemesh.audio.speechlike import MEASURES, measures
from voicemesh.nets.cmp import VoiceTraits
from voicemesh.pipeline.cautions import (
    APART,
    BRIEF,
    FAR,
    NO_SPEECH,
    RAISED,
    SPOKEN_UP,
    TWO_VOICES,
    cautions,
    effort,
    voices_apart,
)

ENTRIES = 8


@pytest.fixture
def traits():
    """Entry 1 of an embedding tells the pitch, entry 2 the tract, in tenths."""
    net = VoiceTraits(ENTRIES)
    with torch.no_grad():
        net.linear.weight.zero_()
        net.linear.bias.zero_()
        net.linear.weight[1, 1] = net.linear.weight[2, 2] = 10
    return net


def speaker(pitch, tract, moments=24, wander=0.2):
    """What an encoder gives of somebody; each moment wanders around the mean."""
    made = torch.Generator().manual_seed(moments)
    voice = torch.zeros(ENTRIES)
    voice[1], voice[2] = pitch / 10, tract / 10
    voice[0] = (1 - voice[1:].square().sum()).sqrt()
    return voice[:, None] + wander / 10 * torch.randn(ENTRIES, moments, generator=made)


def test_one_voice_is_one(traits):
    assert voices_apart(traits, speaker(0.5, -0.5)) < 0.5 * APART
    assert cautions(traits, speaker(0.5, -0.5), {}) == ()


@pytest.mark.parametrize("turn", [4, 8, 24])
def test_a_man_and_a_woman_are_two_however_they_take_turns(traits, turn):
    man, woman = speaker(-1, 1), speaker(1, -1)
    pieces = zip(man.split(turn, 1), woman.split(turn, 1), strict=True)
    both = torch.cat([part for pair in pieces for part in pair], 1)
    told = voices_apart(traits, both)
    if turn > 4:  # shorter turns share their windows
        assert told > APART
        assert cautions(traits, both, {}) == (TWO_VOICES,)
    assert told > voices_apart(traits, speaker(-1, 1, 48))


def test_a_word_of_another_is_no_second_voice(traits):
    both = torch.cat([speaker(-1, 1, 60), speaker(1, -1, 4)], 1)
    assert voices_apart(traits, both) == 0


def test_the_loudness_of_moments_does_not_matter(traits):
    both = torch.cat([speaker(-1, 1), speaker(1, -1)], 1)
    assert voices_apart(traits, 5 * both) == pytest.approx(voices_apart(traits, both), rel=1e-4)


def test_too_short_recordings_tell_nothing(traits):
    both = torch.cat([speaker(-1, 1, 5), speaker(1, -1, 6)], 1)
    assert voices_apart(traits, both) == 0
    assert cautions(None, both, {}) == ()


def test_a_raised_voice_is_named(traits):
    reader = torch.zeros(ENTRIES + 1)
    reader[3], reader[-1] = 20.0, 1.0
    moments = speaker(0, 0)
    moments[3] += 0.4
    unit = functional.normalize(moments.mean(1), dim=0)
    assert effort(moments, reader) == pytest.approx(1 + 20 * unit[3].item())
    assert effort(moments, reader) > RAISED
    assert cautions(traits, moments, {"effort_reader": reader}) == (SPOKEN_UP,)
    assert cautions(traits, speaker(0, 0), {"effort_reader": reader}) == ()


@pytest.mark.parametrize(("frames", "named"), [(1000, True), (100, False)])
def test_what_does_not_move_like_speech_is_named_and_nothing_else(traits, frames, named):
    """A short recording must lie further away: all measures of it are less sure."""
    features = torch.randn(116, frames, generator=torch.Generator().manual_seed(0))
    measured = torch.from_numpy(measures(features))
    away = FAR + BRIEF / 5  # enough for ten seconds, not for one
    middle = measured.clone()
    middle[0] -= away
    people = {"speech_middle": middle, "speech_whitener": torch.eye(len(MEASURES))}
    man, woman = speaker(-1, 1), speaker(1, -1)
    both = torch.cat([man, woman], 1)
    assert cautions(traits, both, people, features) == ((NO_SPEECH,) if named else (TWO_VOICES,))
    assert cautions(traits, both, people) == (TWO_VOICES,)
    assert cautions(traits, both, {}, features) == (TWO_VOICES,)
    assert cautions(traits, both, people, features[:112]) == (TWO_VOICES,)  # another front end's

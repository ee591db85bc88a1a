import numpy as np
import pytest
import torch
from conformance.waveforms import synthetic_voice

from voicemesh.audio.features import (
    FRONT_ENDS,
    PUBLISHED,
    level,
    log_mel_picture,
    repeat,
    standardise,
)
from voicemesh.audio.pitch import CANDIDATES, candidates, pitch_map
from voicemesh.kernels.log_mel import log_mel


@pytest.fixture(scope="module")
def voice():
    return torch.from_numpy(synthetic_voice("features", "voice", 2.5) / 32768).float()[None]


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_every_front_end_keeps_its_word(name, voice):
    front_end = FRONT_ENDS[name]
    batch = torch.cat([voice, voice.flip(1), voice.roll(777, 1)])
    features = front_end(batch)
    assert features.shape[:2] == (3, front_end.channels)
    assert features.dtype == torch.float32 and features.isfinite().all()
    torch.testing.assert_close(features[1:2], front_end(batch[1:2]), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_autocast_does_not_round_what_is_heard(name, voice):
    front_end = FRONT_ENDS[name]
    with torch.autocast("cpu", torch.bfloat16):
        features = front_end(voice)
    torch.testing.assert_close(features, front_end(voice), atol=0, rtol=0)


def test_cycles_stand_behind_what_is_read_without_them(voice):
    plain, more = (FRONT_ENDS[name](voice) for name in ("voicemesh", "voicemesh-cycles"))
    assert torch.equal(more[:, :112], plain)
    assert set(more[0, 112].tolist()) == {0.0, 1.0}  # whether there are cycles


@pytest.mark.parametrize("change", [-1.0, 0.01, 30.0])
def test_level_and_polarity_do_not_matter(change, voice):
    front_end = FRONT_ENDS["voicemesh"]
    torch.testing.assert_close(front_end(change * voice), front_end(voice), atol=1e-4, rtol=0)


def test_an_offset_does_not_matter(voice):
    front_end = FRONT_ENDS["voicemesh"]
    torch.testing.assert_close(front_end(voice + 0.25), front_end(voice), atol=1e-3, rtol=0)


def test_silence_gives_numbers():
    for front_end in (FRONT_ENDS["voicemesh"], FRONT_ENDS["cmp"]):
        assert front_end(torch.zeros(1, 16_000)).isfinite().all()


def test_the_envelope_stays_and_its_mean_goes(voice):
    mel = FRONT_ENDS["voicemesh"](voice)[:, :64]
    assert abs(mel.mean()) < 1e-5
    assert mel.mean(2).std() > 0.2  # no band was standardised by itself
    assert 1 < mel.std() < 1.7  # the scale that the nets of the bundle learnt


def test_deep_silence_is_no_deeper_than_that_of_a_recording(voice):
    """Forty decibels below the mean: what is between clean words tells nothing of a voice."""
    pause = torch.cat([voice, torch.zeros(1, 8000)], 1)
    mel = FRONT_ENDS["voicemesh"](pause)[0, :64]
    hiss = FRONT_ENDS["voicemesh"](pause + 1e-4 * voice.std() * torch.randn(pause.shape))[0, :64]
    assert mel.shape[1] == (pause.shape[1] - 400) // 160 + 1  # whole windows only
    assert (mel - hiss).abs().max() < 0.2


def test_published_features_repeat_their_standardised_frames(voice):
    features = FRONT_ENDS["cmp"](voice)
    frames = PUBLISHED.frames(voice.shape[1])
    assert features.shape == (1, 64, 1000)
    torch.testing.assert_close(features[..., frames:], features[..., : 1000 - frames])
    once = features[..., :frames]
    torch.testing.assert_close(once.mean(2), torch.zeros(1, 64), atol=1e-5, rtol=0)
    torch.testing.assert_close(once.std(2, correction=0), torch.ones(1, 64), atol=1e-4, rtol=0)


def test_long_features_stay_whole():
    features = torch.arange(7.0).expand(1, 2, 7)
    assert repeat(features, 5) is features
    assert repeat(features, 9)[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert not standardise(torch.ones(1, 2, 3)).any()


def test_level_is_one_and_silence_stays():
    waves = torch.stack([torch.randn(500) * 1e-4 + 3, torch.zeros(500)])
    assert level(waves).square().mean(1).tolist() == pytest.approx([1, 0], abs=1e-3)


@pytest.mark.parametrize("pitch", [62.0, 85.0, 131.0, 207.0, 333.0, 415.0])
@pytest.mark.parametrize("harmonics", [(1, 20), (3, 12)])  # the second lacks its fundamental
def test_the_pitch_map_peaks_at_the_pitch(pitch, harmonics):
    if pitch * harmonics[0] > 1000:
        pytest.skip("nothing is left in the band")
    t = torch.arange(16_000) / 16_000
    tones = [torch.cos(2 * torch.pi * pitch * k * t + k * k) for k in range(*harmonics)]
    found = pitch_map(sum(tones)[None], 98, 200, 160)[0]
    assert found.shape == (CANDIDATES, 98)
    best = found[:, 5:-5].mean(1).numpy()
    octaves = np.log2(candidates() / pitch)
    at_pitch = best[np.abs(octaves) < 0.05].max()
    assert at_pitch > 0.9
    assert at_pitch >= best.max() - 0.02  # it comes again an octave below, but no higher
    assert best[np.abs(octaves + 0.4) < 0.05].max(initial=-1) < 0.75


def test_candidate_pitches_ascend_evenly():
    octaves = np.log2(candidates())
    assert (2 ** octaves[[0, -1]]).tolist() == pytest.approx([60, 420])
    np.testing.assert_allclose(np.diff(octaves), np.log2(7) / (CANDIDATES - 1))


@pytest.mark.parametrize(("first", "hop"), [(202, 160), (200, 161)])
def test_pitch_frames_lie_on_every_fourth_sample(first, hop):
    with pytest.raises(ValueError, match=f"multiples of 4, given {first} and {hop}"):
        pitch_map(torch.zeros(1, 4000), 20, first, hop)


def test_noise_has_no_pitch():
    found = pitch_map(torch.randn(1, 16_000), 98, 200, 160)
    assert found.amax(1).median() < 0.45
    assert not pitch_map(torch.zeros(1, 4000), 20, 200, 160).any()


def test_pitch_frames_lie_on_the_log_mel_frames():
    wave = torch.zeros(1, 16_000)
    t = torch.arange(1600) / 16_000
    wave[0, 8000:9600] = torch.sin(2 * torch.pi * 150 * t)
    features = FRONT_ENDS["voicemesh"](wave + 1e-4 * torch.randn(1, 16_000))
    loud, periodic = features[0, :64].mean(0), features[0, 64:].amax(0)
    times = torch.arange(len(loud), dtype=torch.float32)
    middles = [
        (times * (x > x.median() + 0.3)).sum() / (x > x.median() + 0.3).sum()
        for x in (loud, periodic)
    ]
    assert abs(middles[0] - middles[1]) < 1.5


def test_the_picture_is_the_published_log_mel(voice):
    picture = log_mel_picture(voice[0].numpy())
    assert picture.shape == (64, PUBLISHED.frames(voice.shape[1]))
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture, log_mel(voice, PUBLISHED)[0])

"""Feature caches and samplers."""

import os

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.evaluation.predictions import speech_of
from voicemesh.training.data import FeatureSet, PairSampler, features, heard_of


def speech_like(rng, seconds=2.0):
    """Pulses through a moving resonance, with pauses."""
    count = int(16_000 * seconds)
    time = np.arange(count) / 16_000
    buzz = np.sign(np.sin(2 * np.pi * 120 * time)) * (np.sin(2 * np.pi * 1.5 * time) > -0.6)
    return (6000 * buzz + 20 * rng.standard_normal(count)).astype(np.int16)


@pytest.fixture
def folder(tmp_path, rng):
    for shard in range(2):
        save_file(
            {
                "waveform": np.stack([speech_like(rng) for _ in range(3)]),
                "identity": np.array([2 * shard, 2 * shard, 2 * shard + 1]),
                "session": np.array([0, 1, 0]),
                "clean": np.array([True, False, False]),
            },
            tmp_path / f"shard-{shard:05d}.safetensors",
        )
    return tmp_path


def test_features_are_those_of_the_front_end_and_kept(folder, rng):
    made = features(folder, "voicemesh")
    assert made.identity.tolist() == [0, 0, 1, 2, 2, 3]
    assert made.clean.tolist() == [True, False, False] * 2
    with_seed = np.random.default_rng(0)
    del with_seed
    waveform = np.load(folder / "features-voicemesh/shard-00000.npy")
    assert waveform.dtype == np.float16 and waveform.shape[2] == 112
    before = os.stat(folder / "features-voicemesh/shard-00001.npy").st_mtime_ns
    (folder / "features-voicemesh/shard-00000.npy").unlink()
    again = features(folder, "voicemesh")
    assert os.stat(folder / "features-voicemesh/shard-00001.npy").st_mtime_ns == before
    np.testing.assert_array_equal(again.shards[0], waveform)


def test_a_crop_is_a_piece_of_the_features(folder):
    made = features(folder, "voicemesh")
    crops = made.crops(np.array([4, 0]), 50, np.random.default_rng(1))
    assert crops.shape == (2, 112, 50)
    whole = torch.from_numpy(np.array(made.shards[1][1])).float().T
    starts = [s for s in range(made.frames - 49) if torch.equal(whole[:, s : s + 50], crops[0])]
    assert len(starts) == 1 and starts[0] > 0
    torch.testing.assert_close(made.crops(np.array([4]), 60, None)[0], whole[:, :60])
    with pytest.raises(ValueError, match="Crops of 9999 frames"):
        made.crops(np.array([0]), 9999, None)


def test_speech_is_what_the_detector_keeps_at_full_length(rng):
    wave = speech_like(rng)
    wave[8000:24000] = 0
    speech = speech_of(wave)
    assert len(speech) == len(wave)
    assert speech.square().mean() > 1.5 * (wave / 32768.0).astype(np.float32).__pow__(2).mean()
    assert torch.equal(speech_of(np.zeros(32_000, np.int16)), torch.zeros(32_000))


def test_pairs_are_of_one_person_and_two_sessions():
    identity = np.repeat(np.arange(7), 6)
    session = np.tile(np.repeat(np.arange(3), 2), 7)
    sampler = PairSampler(identity, session)
    rows = sampler.draw(5, np.random.default_rng(0))
    assert len(rows) == 10
    first, second = rows[::2], rows[1::2]
    assert (identity[first] == identity[second]).all()
    assert (session[first] != session[second]).all()
    assert len(set(identity[first])) == 5
    assert (sampler.draw(5, np.random.default_rng(0)) == rows).all()


def test_rows_of_several_shards_follow_each_other():
    shards = tuple(np.full((n, 20, 3), n, np.float16) for n in (2, 5))
    labels = np.arange(7)
    made = FeatureSet(shards, labels, labels, labels > 3)
    values = made.crops(np.array([0, 1, 2, 6]), 4, np.random.default_rng(0))[:, 0, 0]
    assert values.tolist() == [2, 2, 5, 5]


def test_every_front_end_can_be_cached(folder):
    for name in ("cmp",):
        made = features(folder, name)
        assert made.shards[0].shape[2] == FRONT_ENDS[name].channels


def test_recordings_are_those_of_the_person_through_a_channel():
    identity, clean = np.array([1, 0, 1, 0, 4]), np.array([False, False, False, True, False])
    first, second, none = heard_of(np.array([0, 1, 7]), identity, clean)
    assert first.tolist() == [1] and second.tolist() == [0, 2] and not len(none)

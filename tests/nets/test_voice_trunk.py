"""The deeper voice trunk: what it begins as, and how it weighs frames."""

import pytest
import torch

from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder
from voicemesh.nets.voice_trunk import AttentiveStatistics, FrameBlock, VoiceTrunk


def test_a_trunk_begins_as_an_encoder():
    torch.manual_seed(0)
    encoder, trunk = VoiceEncoder(9, (4, 6), 3).eval(), VoiceTrunk(9, (4, 6), (1, 2), 5).eval()
    trunk.begin_as(encoder)
    frames = torch.randn(2, 9, 40)
    torch.testing.assert_close(trunk.stages(frames), encoder.model[:-1](frames))
    assert sum(isinstance(layer, FrameBlock) for layer in trunk.stages) == 3
    assert trunk(frames).shape == (2, 5)


def test_what_an_encoder_hears_besides_is_left_out():
    encoder, trunk = VoiceEncoder(11, (4, 6), 3).eval(), VoiceTrunk(9, (4, 6), (1, 2), 5).eval()
    trunk.begin_as(encoder)
    frames = torch.randn(2, 11, 40)
    frames[:, 9:] = 0
    torch.testing.assert_close(trunk.stages(frames[:, :9]), encoder.model[:-1](frames))


@pytest.mark.parametrize("sizes", [(9, (4, 7)), (8, (4, 6)), (9, (4, 6, 6))])
def test_an_encoder_of_other_sizes_is_refused(sizes):
    with pytest.raises(ValueError, match="cannot become a trunk of"):
        VoiceTrunk(9, (4, 6), (0, 1), 5).begin_as(VoiceEncoder(*sizes, 3))


def test_frames_count_alike_until_it_learns_which_tell_more():
    pool, frames = AttentiveStatistics(3, 2), torch.randn(2, 3, 11)
    deviation, mean = torch.std_mean(frames, 2, correction=0)
    torch.testing.assert_close(pool(frames), torch.cat([mean, deviation], 1))
    torch.nn.init.normal_(pool.scores[-1].weight)
    shuffled = frames[:, :, torch.randperm(11)]
    torch.testing.assert_close(pool(frames), pool(shuffled))  # their order never counts
    assert not torch.allclose(pool(frames)[:, :3], mean)
    still = torch.ones(1, 3, 5)
    torch.testing.assert_close(pool(still)[:, 3:], torch.full((1, 3), 0.01))


def test_codes_of_both_encoders_become_embeddings():
    voice = TrunkVoiceEncoder("voicemesh", 9, (4, 6), (0, 1), 5, 7, 3).eval()
    face = PortraitFaceEncoder(24, (1, 1), (4, 6), 7, 3, code=5).eval()
    frames, picture = torch.randn(2, 9, 40), torch.randn(2, 3, 24, 24)
    torch.testing.assert_close(voice.of_code(voice.model(frames)), voice(frames))
    torch.testing.assert_close(face.of_code(face.model(picture)), face(picture))
    assert face.model(picture).shape == (2, 5) and face(picture).shape == (2, 3)

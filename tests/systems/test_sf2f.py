"""From speech to the fused face and those of its moments; voice2face beside it."""

import numpy as np
import pytest
import torch

from voicemesh.audio import sf2f as front
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.sf2f import SpeechFusionToFace, bytes_of, coloured, shown
from voicemesh.systems.sf2f import SpeechToFace, VoiceToFace, front_end_name, stretched

SMALL = {"voice_widths": (8, 12), "embedding": 6, "face_widths": (8, 6, 6, 6, 6)}


def system(**more) -> SpeechToFace:
    torch.manual_seed(1)
    net = SpeechFusionToFace(**SMALL, **more)
    return SpeechToFace(FRONT_ENDS[front_end_name(net)], net)


def speech(seconds: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(16_000 * seconds), generator=generator)


@pytest.mark.parametrize("large", [0, 4])
def test_the_fused_face_is_that_of_all_windows(large):
    whole, voice = system(fused=True, large=large), speech(6.0)
    spoken = whole.imagine(voice)
    windows, features = whole.hear(voice)
    assert windows.shape == (8, 40, 125) and features.shape == (40, 599)
    torch.testing.assert_close(windows[3], features[:, 189:314])
    images, embedding = whole.net(windows[None])
    expected = bytes_of(images[-1])[0].permute(1, 2, 0).numpy()
    assert spoken.image.shape == ((128, 128, 3) if large else (64, 64, 3))
    assert np.abs(spoken.image.astype(int) - expected).max() <= 1
    np.testing.assert_allclose(spoken.embedding, embedding[0].detach(), atol=1e-6)
    assert spoken.attention.mean() == pytest.approx(1, abs=1e-5)
    assert np.diff(spoken.starts) == pytest.approx(np.full(7, 0.63))
    # A window by itself does not go through the fuser.
    alone = bytes_of(whole.net(windows[2:3])[0][-1])[0].permute(1, 2, 0).numpy()
    assert np.abs(spoken.segments[2].astype(int) - alone).max() <= 1


def test_a_short_voice_goes_round_and_a_long_one_shows_some_of_its_moments():
    whole = system(fused=True)
    assert len(whole.imagine(speech(0.4)).segments) == 1
    spoken = whole.imagine(speech(12.0), shown=3)
    assert len(spoken.segments) == 3
    assert spoken.starts == pytest.approx([0, 0.63 * 8, 0.63 * 17], abs=0.64)


def test_without_a_fuser_the_voice_is_heard_in_one_piece():
    whole, voice = system(inception=False, gated=False), speech(3.0)
    _, features = whole.hear(voice)
    expected = bytes_of(whole.net(features[None])[0][0])[0].permute(1, 2, 0).numpy()
    spoken = whole.imagine(voice)
    assert np.abs(spoken.image.astype(int) - expected).max() <= 1
    assert (spoken.attention == 1).all()
    with pytest.raises(ValueError, match="made without a fuser"):
        whole.net(torch.randn(1, 2, 40, 125))


def test_a_bundle_tells_its_front_end(tmp_path):
    writer = BundleWriter(tmp_path, "x")
    net = SpeechFusionToFace(112, **SMALL)
    writer.net("sf2f-generator", net, arguments_of(net), half=True)
    assert SpeechToFace.from_bundle(Bundle.open(tmp_path)).front_end is FRONT_ENDS["voicemesh"]
    with pytest.raises(ValueError, match="reads 41 channels; front ends have 40, 112"):
        front_end_name(SpeechFusionToFace(41, **SMALL))


def test_voice2face_stretches_each_image_to_all_levels(tmp_path):
    torch.manual_seed(0)
    whole = VoiceToFace(VoiceEncoder(64, (8, 8), 5), FaceGenerator(5, (8, 8)))
    image = whole.imagine(speech(2.0))
    assert image.shape == (8, 8, 3) and image.min() == 0 and image.max() == 255
    levels = stretched(torch.tensor([-3.0, -1.0, 0.0, 0.5]).view(1, 1, 2, 2).expand(1, 3, 2, 2))
    assert levels[0, 0].tolist() == [[0, 0], [170, 255]]


def test_colours_come_and_go():
    pixels = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(shown(coloured(pixels)), pixels)
    assert bytes_of(coloured(torch.full((1, 3, 1, 1), 0.9999)))[0, 0, 0, 0] == 254


def test_windows_need_a_whole_one():
    with pytest.raises(ValueError, match="124 frames do not fill one window of 125"):
        front.segments(torch.zeros(40, 124))


def test_level_matters_and_silence_has_a_floor():
    voice = speech(1.0)[None]
    quiet, loud = front.sf2f(voice), front.sf2f(4 * voice)
    shift = np.log(16) / front.DEVIATION
    torch.testing.assert_close(loud - quiet, torch.full_like(quiet, shift), rtol=0, atol=1e-4)
    silent = front.log_mel(torch.zeros(1, 1600))
    assert silent.shape == (1, 40, 9)
    torch.testing.assert_close(silent, torch.full_like(silent, np.log(front.SILENCE)))
    with pytest.raises(ValueError, match="empty recording"):
        front.log_mel(torch.zeros(1, 0))

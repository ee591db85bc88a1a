"""Voices and faces in one space: windows, mirror images, batches, and where the nets come from."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from voicemesh.audio import association as front
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.images import Convention, prepare
from voicemesh.nets.cmpc import ResNetEncoder
from voicemesh.nets.sss import (
    IrFaceEncoder,
    ThinVoiceEncoder,
)
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder
from voicemesh.systems import association, spaces
from voicemesh.systems.association import spread
from voicemesh.systems.cmpc import Cmpc, Cmpc2
from voicemesh.systems.sss import SeekingTheShapeOfSound


def small(kind):
    """A system of tiny random nets; their norms look at what they normalise."""
    if kind is SeekingTheShapeOfSound:
        voice = ThinVoiceEncoder((1, 1), (8, 8), 6, 5)
        face = IrFaceEncoder((1, 1), (4, 4), 112, 6, 5, 3)
    else:
        voice, face = (ResNetEncoder(channels, (1, 1), (4, 6)) for channels in (1, 3))
    return kind(voice, face)


def sound(seconds: float) -> torch.Tensor:
    time = torch.arange(int(16_000 * seconds)) / 16_000
    return 0.3 * (900 * (time + 0.2 * time**2)).sin() + 0.01 * torch.randn(len(time))


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (20 + i, 20, 3), np.uint8) for i in range(count)]


@pytest.mark.parametrize("kind", [SeekingTheShapeOfSound, Cmpc, Cmpc2])
@pytest.mark.parametrize("seconds", [1.5, 11.0])
def test_embeddings_are_unit_vectors_of_one_length(kind, seconds):
    system = small(kind)
    voice, faces = system.embed_voice(sound(seconds)), system.embed_faces(pictures(2))
    assert faces.shape == (2, len(voice))
    torch.testing.assert_close(voice.norm(), torch.tensor(1.0))
    torch.testing.assert_close(faces.norm(dim=1), torch.ones(2))


def test_windows_are_those_of_the_front_ends():
    speech = sound(17.0)
    found = small(SeekingTheShapeOfSound).windows(speech)
    torch.testing.assert_close(found[1:], front.sss(speech[None, 7 * 16_000 :]))
    assert found.shape == (2, 40, 1001)
    short = speech[:30_000]
    system = small(SeekingTheShapeOfSound)
    torch.testing.assert_close(system.windows(short), FRONT_ENDS["sss"](short[None]))
    found = small(Cmpc).windows(speech)
    log_mel = front.cmpc_log_mel(speech[None])
    assert found.shape == (4, 1, 64, 500)
    torch.testing.assert_close(found[0, 0], log_mel[0, :, :500])
    torch.testing.assert_close(found[3, 0], log_mel[0, :, -500:])
    assert small(Cmpc).windows(short).shape == (1, 1, 64, 500)
    assert small(Cmpc2).windows(speech).shape == (1, 1, 64, 1701)


def test_a_voice_is_the_mean_of_its_windows(monkeypatch):
    system, speech = small(Cmpc), sound(12.0)
    with torch.inference_mode():
        units = F.normalize(system.voice(system.windows(speech)))
    monkeypatch.setattr(association, "BATCH", 2)
    torch.testing.assert_close(system.embed_voice(speech), F.normalize(units.mean(0), dim=0))


def test_a_face_and_its_mirror_image_are_one():
    system, (picture,) = small(SeekingTheShapeOfSound), pictures(1)
    ours = system.embed_faces([picture, np.ascontiguousarray(picture[:, ::-1])])
    torch.testing.assert_close(ours[0], ours[1], atol=1e-5, rtol=0)
    with torch.inference_mode():
        plain = F.normalize(system.face(prepare(picture, system.convention)[None]))
    assert not torch.allclose(ours[0], plain[0], atol=1e-4)


def test_batches_change_nothing(monkeypatch):
    system, faces = small(Cmpc), pictures(5)
    whole = system.embed_faces(faces)
    monkeypatch.setattr(association, "BATCH", 2)
    torch.testing.assert_close(system.embed_faces(faces), whole)
    with pytest.raises(ValueError, match="at least one"):
        system.embed_faces([])


def test_nets_come_out_of_a_bundle(tmp_path):
    system, speech = small(SeekingTheShapeOfSound), sound(2.0)
    writer = BundleWriter(tmp_path, "small")
    for part, net in zip(system.parts, (system.voice, system.face), strict=True):
        writer.net(part, net, upstream.arguments_of(net))
    opened = SeekingTheShapeOfSound.from_bundle(Bundle.open(tmp_path))
    torch.testing.assert_close(opened.embed_voice(speech), system.embed_voice(speech))


@pytest.mark.parametrize(
    ("length", "window", "starts"),
    [(10, 10, [0]), (3, 10, [0]), (11, 10, [0, 1]), (25, 10, [0, 8, 15]), (30, 10, [0, 10, 20])],
)
def test_windows_are_few_and_even(length, window, starts):
    assert spread(length, window) == starts


def test_a_bundle_has_the_systems_of_which_it_has_both_nets(tmp_path):
    system = small(SeekingTheShapeOfSound)
    writer = BundleWriter(tmp_path, "small")
    writer.net(system.parts[0], system.voice, upstream.arguments_of(system.voice))
    assert spaces.spaces_in(Bundle.open(tmp_path), "cpu") == {}
    writer.net(system.parts[1], system.face, upstream.arguments_of(system.face))
    (name,), (found,) = zip(*spaces.spaces_in(Bundle.open(tmp_path), "cpu").items(), strict=True)
    assert name == "sss" and isinstance(found, SeekingTheShapeOfSound)


def test_a_long_voice_is_heard_in_pieces():
    """Equal ones, none longer than the recordings that the trunk learnt from."""
    torch.manual_seed(0)
    voice = TrunkVoiceEncoder("voicemesh", 112, (4, 6), (0, 1), 5, 7, 3)
    system = SeekingTheShapeOfSound(voice, PortraitFaceEncoder(24, (1, 1), (4, 6), 7, 3))
    speech, read = sound(8.0), FRONT_ENDS["voicemesh"]
    with torch.inference_mode():
        codes = torch.cat([voice.model(read(part[None])) for part in speech.tensor_split(3)])
        heard = F.normalize(voice.of_code(codes.mean(0, keepdim=True)))[0]
        whole = F.normalize(voice(read(speech[None])))[0]
    torch.testing.assert_close(system.embed_voice(speech), heard)
    assert not torch.allclose(heard, whole)
    days = torch.stack([system.told(part) for part in speech.split(64_000)])
    with torch.inference_mode():
        both = F.normalize(voice.of_code(days.mean(0, keepdim=True)))[0]
    torch.testing.assert_close(system.of_told(days), both)
    short = sound(3.0)
    with torch.inference_mode():
        heard = F.normalize(voice(read(short[None])))[0]
    torch.testing.assert_close(system.embed_voice(short), heard)


def test_small_nets_say_what_they_read(tmp_path):
    voice = TrunkVoiceEncoder("voicemesh", 112, (4, 6), (0, 1), 5, 7, 3)
    face = PortraitFaceEncoder(24, (1, 1), (4, 6), 7, 3)
    writer = BundleWriter(tmp_path, "small")
    sizes = {"channels": 112, "widths": [4, 6], "blocks": [0, 1], "code": 5}
    sizes |= {"features": 7, "embedding": 3}
    writer.net("sss-voice-encoder", voice, {"front_end": "voicemesh", **sizes})
    sizes = {"units": [1, 1], "widths": [4, 6], "features": 7, "embedding": 3}
    writer.net("sss-face-encoder", face, {"side": 24, **sizes})
    system = SeekingTheShapeOfSound.from_bundle(Bundle.open(tmp_path))
    speech, (picture,) = sound(3.0), pictures(1)
    with torch.inference_mode():
        heard = F.normalize(system.voice(FRONT_ENDS["voicemesh"](speech[None])))[0]
        image = prepare(picture, Convention(24))[None]
        both = sum(F.normalize(system.face(view)) for view in (image, image.flip(3)))
    torch.testing.assert_close(system.embed_voice(speech), heard)
    torch.testing.assert_close(system.embed_faces([picture]), F.normalize(both))
    assert SeekingTheShapeOfSound.convention.side == 112  # the published one is as it was

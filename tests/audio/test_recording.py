import os
import struct

import av
import numpy as np
import pytest
import soundfile
import torch

from voicemesh.audio.recording import (
    SAMPLE_RATE,
    Recording,
    UnusableRecording,
    from_samples,
    load,
    of,
)

RATES = [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]


def at_rate(rate, seconds=1.0, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def encode(path, codec, samples, rate):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 1024
        wanted = stream.codec_context.format or "fltp"
        resampler = av.AudioResampler(wanted, "mono", rate, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def alike(ours, theirs):
    """Correlation where the two fit best; codecs shift by a few milliseconds."""
    size = 1 << 16
    cross = np.fft.irfft(np.fft.rfft(ours, size) * np.conj(np.fft.rfft(theirs, size)))
    return np.abs(cross).max() / np.linalg.norm(ours) / np.linalg.norm(theirs)


@pytest.mark.parametrize("rate", RATES)
def test_any_rate_becomes_the_same_sound(rate):
    recording = from_samples(rate, at_rate(rate).astype(np.float32))
    assert recording.sample_rate == SAMPLE_RATE and abs(recording.seconds - 1) < 1e-3
    inner = slice(500, 15_000)
    expected = at_rate(SAMPLE_RATE)[inner]
    np.testing.assert_allclose(recording.waveform[inner], expected, atol=2e-3)


def test_resampling_keeps_out_what_would_fold():
    loud = at_rate(48_000, hertz=11_000) + 0.1 * at_rate(48_000, hertz=500)
    waveform = from_samples(48_000, loud.astype(np.float32)).waveform
    spectrum = np.abs(np.fft.rfft(waveform[1000:15_000] * np.hanning(14_000)))
    assert spectrum.argmax() == 500 * 14_000 // 16_000
    assert spectrum[5000 * 14 // 16] < 1e-3 * spectrum.max()


@pytest.mark.parametrize(
    ("dtype", "scale", "middle"),
    [
        ("int16", 2**15, 0),
        ("int32", 2**31, 0),
        ("uint8", 2**7, 2**7),
        ("float64", 1, 0),
        ("float16", 1, 0),
    ],
)
@pytest.mark.parametrize("channels", [None, 1, 2, 6])
def test_arrays_of_any_type_and_channels(dtype, scale, middle, channels, voice):
    samples = (voice * scale + middle).astype(dtype)
    if channels:
        samples = np.repeat(samples[:, None], channels, 1)
    recording = from_samples(SAMPLE_RATE, samples)
    assert recording.waveform.dtype == np.float32
    np.testing.assert_allclose(recording.waveform, voice, atol=1.01 / 2**7 if middle else 1e-3)


def test_channels_the_other_way_round_and_cancelling(voice):
    stereo = np.stack([voice, 0.5 * voice])
    np.testing.assert_allclose(from_samples(16_000, stereo).waveform, 0.75 * voice, atol=1e-6)
    opposite = np.stack([voice, -voice], 1)
    np.testing.assert_allclose(from_samples(16_000, opposite).waveform, voice, atol=1e-6)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_U8"),
        ("wav", "PCM_24"),
        ("wav", "FLOAT"),
        ("wav", "ULAW"),
        ("flac", "PCM_16"),
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("mp3", None),
        ("aiff", None),
    ],
)
def test_files_that_soundfile_knows(suffix, subtype, voice, tmp_path):
    path = tmp_path / f"voice.{suffix}"
    soundfile.write(path, np.stack([voice, voice], 1), 16_000, subtype=subtype)
    recording = load(path)
    assert recording.name == path.name and recording.notes == ()
    assert abs(recording.seconds - 3) < 0.1
    assert alike(recording.waveform, voice) > 0.97


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("m4a", "aac"), ("mp4", "aac"), ("aac", "aac"), ("webm", "libopus"), ("mov", "aac")],
)
def test_files_of_browsers_and_phones(suffix, codec, voice, tmp_path):
    path = tmp_path / f"voice.{suffix}"
    encode(path, codec, np.repeat(voice, 3), 48_000)
    recording = load(str(path))
    assert abs(recording.seconds - 3) < 0.1
    assert alike(recording.waveform, voice) > 0.95


def test_channels_that_ffmpeg_gives_interleaved_are_told_apart(voice, tmp_path):
    path = tmp_path / "voice.mov"
    stereo = np.stack([voice, 0 * voice], 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        samples = np.round(32_767 * stereo).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(load(path).waveform, voice / 2, atol=1e-4)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "m4a", "webm"])
def test_a_file_cut_in_half_is_refused(suffix, voice, tmp_path):
    path, cut = tmp_path / f"voice.{suffix}", tmp_path / f"cut.{suffix}"
    codec = {"m4a": "aac", "webm": "libopus"}.get(suffix)
    if codec:
        encode(path, codec, np.repeat(voice, 3), 48_000)
    else:
        soundfile.write(path, voice, 16_000)
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnusableRecording, match=r"^cut\.\w+ is .*damaged"):
        load(cut)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"Dear diary, today nobody spoke. " * 50, "not a sound file"),
        (bytes(range(256)) * 40, "not a sound file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "not a sound file|holds no sound"),
        (b"RIFF\x24\x00\x00\x00WAVE", "not a sound file|damaged"),
        (b"OggS", "not a sound file|damaged"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "not a sound file"),
    ],
)
def test_what_is_no_sound_is_refused(content, reason, tmp_path):
    path = tmp_path / "some thing.wav"
    path.write_bytes(content)
    with pytest.raises(UnusableRecording, match=reason) as refusal:
        load(path)
    assert "some thing.wav" in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{}\n#EXT-X-ENDLIST\n",
    "list.txt": "ffconcat version 1.0\nfile '{}'\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_does_not_open_other_files(name, voice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "secret.aac", "aac", np.repeat(voice, 3), 48_000)
    secret = "secret.aac" if name.endswith("txt") else tmp_path / "secret.aac"
    (tmp_path / name).write_text(PLAYLISTS[name].format(secret))
    with av.open(name) as opened:
        assert opened.streams.audio  # FFmpeg itself would
    with pytest.raises(UnusableRecording, match="not a sound file"):
        load(name)


@pytest.mark.parametrize("name", ["ü 💬.{}", "new\nline.{}", os.fsdecode(b"caf\xe9.{}")])
@pytest.mark.parametrize("suffix", ["wav", "webm"])
def test_files_of_any_name(name, suffix, voice, tmp_path):
    made = tmp_path / f"voice.{suffix}"
    if suffix == "wav":
        soundfile.write(made, voice, 16_000)
    else:
        encode(made, "libopus", np.repeat(voice, 3), 48_000)
    recording = load(made.rename(tmp_path / name.format(suffix)))
    assert recording.name == name.format(suffix) and abs(recording.seconds - 3) < 0.1


def test_no_file_at_all(tmp_path):
    for nothing in (None, ""):
        with pytest.raises(UnusableRecording, match="no recording"):
            load(nothing)
    with pytest.raises(UnusableRecording, match=r"no file gone\.wav"):
        load(tmp_path / "gone.wav")
    with pytest.raises(UnusableRecording, match="not a file"):
        load(tmp_path)
    with pytest.raises(UnusableRecording, match="no recording"):
        from_samples(16_000, None)


def test_whatever_numpy_takes_for_an_array_is_one(voice):
    waveform = from_samples(16_000, voice).waveform
    for alike in (voice.tolist(), torch.from_numpy(voice.copy())):
        np.testing.assert_array_equal(from_samples(16_000, alike).waveform, waveform)


def test_a_recording_holds_one_form_alone(voice):
    good = np.asarray(voice, np.float32)
    whole = Recording(good, "a")
    assert of(whole) is whole and repr(whole) == "Recording('a', 3.0 s)"
    wrong = [
        (np.float64(good), 16_000, r"given float64 ndarray \[48000\] at 16000 Hz"),
        (np.stack([good, good]), 16_000, r"float32 ndarray \[2, 48000\]"),
        (good, 8000, r"at 8000 Hz; from_samples\(sample_rate, samples\) makes one"),
        (torch.from_numpy(good), 16_000, r"torch\.float32 Tensor \[48000\]"),
    ]
    for waveform, rate, message in wrong:
        made = object.__new__(Recording)  # past what tests check of every signature
        vars(made).update(waveform=waveform, name="a", sample_rate=rate, notes=())
        with pytest.raises(ValueError, match=message):
            made.__post_init__()
    with pytest.raises(ValueError, match=r"given ndarray; voicemesh\.from_samples"):
        of(good)
    with pytest.raises(ValueError, match="given bytes"):
        of(b"RIFF")


def test_a_header_without_sound(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(UnusableRecording, match=r"none\.wav is empty"):
        load(tmp_path / "none.wav")


@pytest.mark.parametrize("whole", [0, 36, 0x7FFFF024, 0xFFFFFFFF])
@pytest.mark.parametrize("data", [0, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_streamed_wav_is_read_to_its_end(whole, data, subtype, voice, tmp_path):
    path = tmp_path / "stream.wav"  # its recorder could not go back to write sizes
    soundfile.write(path, voice, 16_000, subtype=subtype)
    content = bytearray(path.read_bytes())
    at = content.index(b"data")
    content[4:8], content[at + 4 : at + 8] = struct.pack("<I", whole), struct.pack("<I", data)
    path.write_bytes(content)
    np.testing.assert_allclose(load(path).waveform, voice, atol=1e-4)


def test_tags_behind_no_sound_are_not_heard(tmp_path):
    path, tags = tmp_path / "none.wav", b"LIST" + struct.pack("<I", 4000) + b"INFO" + 3996 * b"x"
    soundfile.write(path, np.zeros(0), 16_000)
    content = bytearray(path.read_bytes() + tags)
    content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)
    with pytest.raises(UnusableRecording, match=r"none\.wav is empty"):
        load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(value, voice, tmp_path):
    samples = voice.copy()
    samples[100] = value
    with pytest.raises(UnusableRecording, match="NaN or inf"):
        from_samples(16_000, samples)
    soundfile.write(tmp_path / "bad.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(UnusableRecording, match="NaN or inf"):
        load(tmp_path / "bad.wav")


@pytest.mark.parametrize("offset", [0, 0.25, -1])
def test_silence_is_told(offset):
    with pytest.raises(UnusableRecording, match="silent"):
        from_samples(44_100, np.full(50_000, offset, np.float32))


def test_a_faint_recording_is_no_silence(voice):
    assert from_samples(16_000, 1e-5 * voice).seconds == 3


def test_a_long_file_is_read_only_to_the_limit(voice, tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(voice, 20), 16_000)
    asked = []
    read = soundfile.SoundFile.read

    def counted(self, frames=-1, *args, **kwargs):
        block = read(self, frames, *args, **kwargs)
        asked.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    recording = load(path, limit=4.0)
    assert recording.seconds == 4 and "first 4 s" in recording.notes[0]
    assert sum(asked) <= 6 * 16_000
    assert load(path, limit=60.0).notes == ()


def test_clipping_is_noted(voice):
    assert from_samples(16_000, voice).notes == ()
    loud = np.clip(6 * voice, -1, 1)
    for version in (loud, -0.5 * loud, np.round(loud * 32767).astype(np.int16)):
        (note,) = from_samples(16_000, version).notes
        assert "clipped" in note


def test_loud_floats_are_brought_into_range(voice):
    waveform = from_samples(16_000, 32_768 * voice).waveform
    assert np.abs(waveform).max() == pytest.approx(1)
    np.testing.assert_allclose(waveform, voice / np.abs(voice).max(), atol=1e-6)


@pytest.mark.parametrize("rate", [100, 2_000_000_000])
def test_a_rate_at_which_nobody_records_is_refused_before_anything_is_read(
    rate, voice, tmp_path, monkeypatch
):
    soundfile.write(tmp_path / "voice.wav", voice, 16_000)
    content = bytearray((tmp_path / "voice.wav").read_bytes())
    content[24:28] = struct.pack("<I", rate)
    (tmp_path / "voice.wav").write_bytes(content)
    monkeypatch.delattr(soundfile.SoundFile, "read")
    with pytest.raises(UnusableRecording, match=f"voice.wav has a sample rate of {rate} Hz"):
        load(tmp_path / "voice.wav")


def test_wrong_arguments_are_told(voice):
    with pytest.raises(UnusableRecording, match="sample rate of 10 Hz"):
        from_samples(10, voice)
    with pytest.raises(ValueError, match=r"given \[2, 2, 2\]"):
        from_samples(16_000, np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="integers or floats"):
        from_samples(16_000, voice.astype(complex))
    with pytest.raises(ValueError, match="limit must be positive"):
        from_samples(16_000, voice, limit=0)

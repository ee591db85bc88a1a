"""Samples out of sound files: by soundfile what it knows, by FFmpeg what browsers make."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32, Shaped

if TYPE_CHECKING:
    from av.container import InputContainer

RATES = (4_000, 768_000)  # Hz; hardly anything of a voice is left below, and nobody records above
BLOCK = 1.0  # s read at once
SLACK = 0.25  # s that a file may fall short of its own header: encoders pad, players trim
TOLERANCE = 0.05  # and the share of its length
OPEN_ENDED = (0, 0x7FFF0000)  # sizes outside are what streaming recorders write
PAD = 1  # byte behind a chunk of odd size
PAGE = 65_307  # bytes; the longest page of an Ogg file
# Containers that FFmpeg may open here. Playlists are not among them: they name other files.
CONTAINERS = "3g2,3gp,aac,ac3,aiff,amr,asf,au,avi,caf,flac,flv,m4a,matroska,mj2,mov,mp3,mp4,mpeg,mpegts,ogg,w64,wav,webm"  # noqa: E501
SUFFIXES = frozenset(  # of files that are looked at in a folder
    ".aac .aif .aiff .au .caf .flac .m4a .mka .mkv .mov .mp3 .mp4 .oga .ogg .opus .w64 .wav .webm"
    " .wma".split()
)
GUESSED = ("aac", "mp3", "ac3", "amr")  # no length in the file, only an estimate


class UnusableRecording(ValueError):
    """The recording cannot be used; the message tells a visitor of the page why."""


class Stereo:
    """Blocks of any channels, kept as two columns: the mean of all channels, and the first."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.length = 0

    def add(self, block: Shaped[np.ndarray, "samples channels"]) -> None:
        """Append samples of any type."""
        channels = as_float(block).T  # each a row: sums over a short last axis are slow
        with np.errstate(invalid="ignore"):  # inf - inf; reported later
            mean = sum(channels[1:], channels[0]) / np.float32(len(channels))
        self.blocks.append(np.stack([mean, channels[0]]))
        self.length += len(mean)

    def samples(self) -> Float32[np.ndarray, "samples 2"]:
        """All of them."""
        return np.concatenate(self.blocks, 1).T if self.blocks else np.zeros((0, 2), np.float32)


def read(path: Path, limit: float) -> tuple[int, Float32[np.ndarray, "samples 2"]]:
    """Sample rate and samples (mean of the channels, first channel) of at least `limit` seconds.

    A longer file is read a second further, which tells the caller that it is longer.

    Raises:
        UnusableRecording: it is not a sound file, or ends before its header says.
    """
    try:
        with path.open("rb") as file:
            if ends_early(file):
                raise UnusableRecording(truncated(path.name))
            unsized = without_size(file)
        try:
            sound = soundfile.SoundFile(os.fsencode(path))  # as text it would have to be UTF-8
        except soundfile.LibsndfileError:
            return read_ffmpeg(path, limit)
        with sound:
            if sound.frames or not unsized:
                return sound.samplerate, read_soundfile(sound, path.name, limit)
        return read_ffmpeg(path, limit)  # which takes a size of zero for "to the end"
    except OSError as error:
        raise UnusableRecording(f"{path.name} cannot be read: {error.strerror}.") from error


def read_soundfile(
    sound: soundfile.SoundFile, name: str, limit: float
) -> Float32[np.ndarray, "samples 2"]:
    """The samples of an open sound file."""
    kept, rate = Stereo(), sound.samplerate
    check_rate(rate, name)  # first: what is read at once depends on it
    step = max(1, int(BLOCK * rate))
    try:
        while kept.length <= limit * rate:
            block = sound.read(step, dtype="float32", always_2d=True)
            if not len(block):
                break
            kept.add(block)
    except soundfile.LibsndfileError as error:
        raise UnusableRecording(truncated(name)) from error
    if 0 < sound.frames < OPEN_ENDED[1]:
        require(kept.length / rate, sound.frames / rate, name, limit)
    return kept.samples()


def read_ffmpeg(path: Path, limit: float) -> tuple[int, Float32[np.ndarray, "samples 2"]]:
    """Sample rate and samples by FFmpeg's decoders."""
    import av

    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    with path.open("rb") as file:
        try:
            container = av.open(file, container_options=options)
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise UnusableRecording(
                f"{path.name} is not a sound file that can be read, or it is damaged."
            ) from error
        with container:
            return decoded(container, path.name, limit)


def decoded(
    container: "InputContainer", name: str, limit: float
) -> tuple[int, Float32[np.ndarray, "samples 2"]]:
    """Sample rate and samples of the first sound in an open container."""
    import av

    if not container.streams.audio:
        raise UnusableRecording(f"{name} holds no sound.")
    stream, kept, rate = container.streams.audio[0], Stereo(), 0
    try:
        for frame in container.decode(stream):
            if rate not in (0, frame.sample_rate):
                raise UnusableRecording(f"{name} changes its sample rate midway.")
            rate = frame.sample_rate
            check_rate(rate, name)
            values = frame.to_ndarray()
            if not frame.format.is_planar:
                values = values.reshape(-1, frame.layout.nb_channels).T
            kept.add(values.T)
            if kept.length > limit * rate:
                break
    except av.FFmpegError as error:
        raise UnusableRecording(truncated(name)) from error
    if rate and container.format.name not in GUESSED and container.duration:
        require(kept.length / rate, container.duration / av.time_base, name, limit)
    return rate or stream.rate, kept.samples()


def as_float(samples: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Samples of any type in [-1, 1]; floats as they are.

    Raises:
        ValueError: they are no real numbers.
    """
    if samples.dtype.kind == "u":
        middle = 2.0 ** (8 * samples.dtype.itemsize - 1)
        return ((samples - middle) / middle).astype(np.float32)
    if samples.dtype.kind == "i":
        return (samples / 2.0 ** (8 * samples.dtype.itemsize - 1)).astype(np.float32)
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes inf, which is reported
            return samples.astype(np.float32)
    raise ValueError(f"Samples must be integers or floats, given {samples.dtype}")


def check_rate(rate: int, name: str) -> None:
    """Refuse a rate at which nobody records voices."""
    if not RATES[0] <= rate <= RATES[1]:
        raise UnusableRecording(
            f"{name} has a sample rate of {rate} Hz; {RATES[0]} to {RATES[1]} Hz are needed."
        )


def require(held: float, promised: float, name: str, limit: float) -> None:
    """Refuse a file that holds less than its header promises, as far as it is needed."""
    if held < min(promised * (1 - TOLERANCE) - SLACK, limit):
        raise UnusableRecording(
            f"{truncated(name)} It should last {promised:.1f} s and holds {held:.1f} s."
        )


def truncated(name: str) -> str:
    """What to say of a file whose end is missing."""
    return f"{name} is damaged or incomplete: copy or record it again."


def ends_early(file: BinaryIO) -> bool:
    """Does the file end before the size in its WAV or AIFF header, or inside an Ogg page?"""
    head, size = start_and_size(file)
    if head[:4] in (b"RIFF", b"FORM") and len(head) == 12:
        (said,) = struct.unpack("<I" if head[:4] == b"RIFF" else ">I", head[4:8])
        missing = said + 8 - size
        return OPEN_ENDED[0] < said < OPEN_ENDED[1] and missing > max(1024, TOLERANCE * said)
    if head[:4] == b"OggS":
        file.seek(max(0, size - PAGE))
        return cut_page(file.read())
    return False


def without_size(file: BinaryIO) -> bool:
    """Is this a WAV file whose recorder never came back to write sizes into its header?

    Sound with tags behind it, even no sound at all, has a header that speaks of the whole file.
    """
    head, size = start_and_size(file)
    if head[:4] != b"RIFF" or len(head) < 12:
        return False
    (said,) = struct.unpack("<I", head[4:8])
    return not OPEN_ENDED[0] < said < OPEN_ENDED[1] or said + 8 < size - PAD


def start_and_size(file: BinaryIO) -> tuple[bytes, int]:
    """The first twelve bytes of an open file, and how many it has."""
    file.seek(0)
    return file.read(12), file.seek(0, 2)


def cut_page(tail: bytes) -> bool:
    """Is the last page of an Ogg file, whose last bytes these are, cut off?"""
    start = max(pages(tail), default=None)
    if start is None:
        return False
    segments = tail[start + 26] if len(tail) > start + 26 else 255
    table = tail[start + 27 : start + 27 + segments]
    return len(table) < segments or len(tail) < start + 27 + segments + sum(table)


def pages(tail: bytes) -> Iterator[int]:
    """Where pages start."""
    at = tail.find(b"OggS")
    while at >= 0:
        yield at
        at = tail.find(b"OggS", at + 4)

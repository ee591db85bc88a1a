"""Where somebody speaks: the WebRTC detector, asked once per frame, and as published."""

from typing import NamedTuple

import numpy as np
import torch
import webrtcvad
from jaxtyping import Bool, Float, Int, Int16

from .pitch import pitch_map
from .recording import SAMPLE_RATE, Recording, UnusableRecording

FRAME = 320  # samples: 20 ms
RING = 2  # frames that must agree before speech starts or ends
AGREEMENT = 0.9
LOUD = 0.06  # root mean square at which the detector gets the loud frames of a recording
LOUD_FRAMES = 25  # as many are at least that loud: clicks are fewer, a second of speech has more
PERIODIC = 0.5  # of the pitch map: a frame with a voice in it
VOICED = 0.2  # share of periodic frames; speech in its own loudness of noise has a third or more
STEADY = 1.2  # dB, spread of frame levels; speech in its own loudness of noise has 2
JUDGED = 0.2  # s of detected speech that can be judged by itself


class Verdicts(NamedTuple):
    """What the published collector found."""

    segments: Int[np.ndarray, "segments 2"]  # first frame, number of frames
    calls: Bool[np.ndarray, " calls"]  # every answer of the detector, in order


def speech(
    recording: Recording, least: float = 1.0
) -> tuple[Float[np.ndarray, " speech"], Int[np.ndarray, "segments 2"]]:
    """The speech of a recording in one piece, and where it was.

    Raises:
        UnusableRecording: nobody speaks, or for less than `least` seconds.
    """
    waveform, found = recording.waveform, segments(recording.waveform)
    kept = [waveform[start:stop] for start, stop in found]
    heard = np.concatenate(kept) if kept else waveform[:0]
    seconds = len(heard) / SAMPLE_RATE
    if is_noise(heard if seconds >= JUDGED else waveform):
        raise UnusableRecording(
            f"No voice was heard in {recording.name}, only noise: speak closer to the microphone."
        )
    if seconds < least:
        raise UnusableRecording(
            f"{recording.name} has {seconds:.1f} s of speech; at least {least:g} s are needed."
        )
    return heard, found


def is_noise(waveform: Float[np.ndarray, " samples"]) -> bool:
    """Is there no voice in it? Noise has no pitch, and a hum or a tone never changes its level.

    Whispers count as noise too: nothing that the nets read of a voice is in them.
    """
    frames = len(waveform) // FRAME
    if frames < RING:
        return True
    centred = waveform - np.median(waveform)  # silence, if there is any, comes to 0
    pitch = pitch_map(torch.from_numpy(centred)[None], frames, FRAME // 2, FRAME)[0].numpy()
    best = pitch.argmax(0)
    # Dull noise is most alike itself at the shortest lag: that is no pitch.
    voiced = (pitch.max(0) > PERIODIC) & (best < len(pitch) - 2)
    power = np.square(centred[: frames * FRAME].reshape(frames, FRAME), dtype=np.float64).mean(1)
    level = 10 * np.log10(np.maximum(power, max(power.max() * 1e-6, 1e-30)))
    return bool(voiced.mean() < VOICED or level.std() < STEADY)


def segments(
    waveform: Float[np.ndarray, " samples"], aggressiveness: int = 2
) -> Int[np.ndarray, "segments 2"]:
    """First sample and end of every stretch of speech; the level of the waveform is no matter."""
    flags = frame_flags(audible(waveform), aggressiveness)
    return collect(flags) * FRAME


def audible(waveform: Float[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """The waveform without offset, its loud frames at the level that the detector is made for."""
    if not len(waveform):
        return np.zeros(0, np.int16)
    centred = waveform - np.median(waveform)  # silence, if there is any, comes to 0
    whole = max(1, len(centred) // FRAME)
    square = np.square(centred, dtype=np.float64)
    power = square[: whole * FRAME].reshape(whole, -1).mean(1)
    loudness = np.sqrt(np.sort(power)[-min(LOUD_FRAMES, (whole + 1) // 2)])
    gain = LOUD / loudness if loudness > 0 else 0.0
    if (square * centred).sum() < 0:
        gain = -gain  # the detector rounds downwards: it would hear polarity
    return np.clip(np.round(centred * (gain * 32768)), -32768, 32767).astype(np.int16)


def frame_flags(
    samples: Int16[np.ndarray, " samples"], aggressiveness: int = 2, frame: int = FRAME
) -> Bool[np.ndarray, " frames"]:
    """The answer of a fresh detector to every whole frame, asked once each."""
    detector = webrtcvad.Vad(aggressiveness)
    sound = samples.astype("<i2", copy=False).tobytes()
    size = 2 * frame
    count = len(samples) // frame
    return np.array(
        [detector.is_speech(sound[k * size : (k + 1) * size], SAMPLE_RATE) for k in range(count)],
        dtype=bool,
    )


def collect(flags: Bool[np.ndarray, " frames"], ring: int = RING) -> Int[np.ndarray, "segments 2"]:
    """First frame and end of every stretch: `ring` frames of speech open it, as many close it."""
    found, start, since = [], None, 0
    for k in range(len(flags)):
        if k + 1 - since < ring:
            continue
        voiced = int(np.count_nonzero(flags[k + 1 - ring : k + 1]))
        if start is None and voiced > AGREEMENT * ring:
            start, since = k + 1 - ring, k + 1
        elif start is not None and ring - voiced > AGREEMENT * ring:
            found.append((start, k + 1))
            start, since = None, k + 1
    if start is not None:
        found.append((start, len(flags)))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def joined(
    samples: Int16[np.ndarray, " samples"],
    segments: Int[np.ndarray, "segments 2"],
    frame: int = FRAME,
) -> Int16[np.ndarray, " voiced"]:
    """The published voiced signal: the frames of all segments (first, number), end to end."""
    parts = [samples[first * frame : (first + count) * frame] for first, count in segments]
    return np.concatenate(parts) if parts else samples[:0]


def published_segments(
    samples: Int16[np.ndarray, " samples"],
    aggressiveness: int = 2,
    frame: int = FRAME,
    ring: int = RING,
) -> Verdicts:
    """The published collector: the whole ring is put to the detector again for each new frame.

    The detector remembers, so hearing frames twice changes its answers. A frame that ends with
    the recording is never looked at.

    Source: vad.py in cmu-mlsp/reconstructing_faces_from_voices and
    choyingw/Cross-Modal-Perceptionist.
    """
    detector = webrtcvad.Vad(aggressiveness)
    sound = samples.astype("<i2", copy=False).tobytes()
    size = 2 * frame
    count = max(0, -(-len(sound) // size) - 1)
    found, calls, held, start = [], [], [], None
    for k in range(count):
        held = [*held, k][-ring:]
        answers = [detector.is_speech(sound[i * size : (i + 1) * size], SAMPLE_RATE) for i in held]
        calls += answers
        if start is None and sum(answers) > AGREEMENT * ring:
            start, held = held[0], []
        elif start is not None and len(answers) - sum(answers) > AGREEMENT * ring:
            found.append((start, k + 1 - start))
            start, held = None, []
    if start is not None:
        found.append((start, count - start))
    return Verdicts(np.array(found, dtype=np.int64).reshape(-1, 2), np.array(calls, dtype=bool))

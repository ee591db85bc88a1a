"""Adapters: the audio front end of voice2face and Cross-Modal Perceptionist."""

import re
import zlib

import numpy as np
import torch
from conformance.case import Arrays, Case
from conformance.waveforms import synthetic_voice

from voicemesh.audio import vad
from voicemesh.audio.features import PUBLISHED, PUBLISHED_LEAST, repeat, standardise
from voicemesh.kernels.log_mel import MelSettings, last_sample, log_mel, mel_weights

FULL_SCALE = 32768.0  # of int16


def settings_of(case: Case) -> MelSettings:
    """The log-mel settings that the case states."""
    stated = case.description["arguments"]
    rate = int(stated["samprate"])
    return MelSettings(
        sample_rate=rate,
        window=int(stated["wlen"] * rate),
        hop=int(rate / stated.get("frate", 100)),
        fft=stated["nfft"],
        mels=stated["nfilt"],
        lowest=stated["lowerf"],
        highest=stated["upperf"],
        emphasis=stated.get("alpha", PUBLISHED.emphasis),
    )


def formulas(case: Case) -> dict:
    """The waveform functions that the case writes out."""
    known = {"np": np}
    exec(case.description["waveform"], known)
    return known


def checked(samples: np.ndarray, crc: int) -> np.ndarray:
    """The samples, if they are those of the case."""
    found = zlib.crc32(samples.astype("<i2").tobytes())
    assert found == crc, f"the waveform has CRC {found}, the case {crc}"
    return samples


def batch(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(samples / FULL_SCALE).float()[None]


def rows(features: torch.Tensor) -> np.ndarray:
    """Frames as rows, as the published arrays have them."""
    return features[0].T.numpy()


def features(log_mels: torch.Tensor) -> np.ndarray:
    return rows(repeat(standardise(log_mels), PUBLISHED_LEAST))


def part(case: Case, name: str, whole: np.ndarray) -> np.ndarray:
    """What the case stores of an output, by the words of its rule."""
    rule = case.description.get("subsample", {}).get(name, "")
    if found := re.search(r"last (\d+) rows", rule):
        return whole[-int(found[1]) :]
    if found := re.search(r"rows (\d+)\.\.(\d+)", rule):
        return whole[int(found[1]) : int(found[2]) + 1]
    return case.stored(name, whole)


def cmp_logmel(case: Case) -> Arrays:
    chirps, settings, produced = formulas(case)["chirps"], settings_of(case), {}
    for name, entry in case.description["waveforms"].items():
        samples = checked(chirps(entry["seed"], entry["samples"]), entry["crc32_int16"])
        waveform = batch(samples)
        log_mels = log_mel(waveform, settings)
        assert log_mels.shape[2] == entry["frames"]
        again = log_mel(waveform, settings, last_sample(waveform, settings))
        whole = {
            f"{name}_logmel": rows(log_mels),
            f"{name}_logmel_tail": rows(log_mels),
            f"{name}_features": features(log_mels),
            f"{name}_second_call_row0": rows(again)[0],
        }
        produced |= {key: part(case, key, whole[key]) for key in whole if key in case.arrays}
    return produced


def cmp_vad(case: Case) -> Arrays:
    known, stated, produced = formulas(case), case.description["arguments"], {}
    frame = stated["sample_rate"] * stated["frame_ms"] // 1000
    ring = stated["padding_ms"] // stated["frame_ms"]
    for name, entry in case.description["waveforms"].items():
        samples = checked(known[entry["waveform"]](*entry["args"]), entry["crc32_int16"])
        found = vad.published_segments(samples, stated["mode"], frame, ring)
        kept = vad.joined(samples, found.segments, frame)
        assert len(kept) == entry["voiced_samples"]
        checked(kept, entry["crc32_voiced_int16"])
        # The published framing drops a frame that ends with the recording.
        flags = [vad.frame_flags(samples[:-1], mode, frame) for mode in range(4)]
        assert len(flags[0]) == entry["frames"]
        produced |= {
            f"{name}_segments": found.segments.astype(np.float32),
            f"{name}_flags": np.stack(flags).astype(np.float32),
        }
    return produced


def voice2face_mel(case: Case) -> Arrays:
    settings = settings_of(case)
    ((name, entry),) = case.description["inputs"].items()
    voice = synthetic_voice(case.tag, name, entry["seconds"], entry["rate"])
    samples = checked(voice, entry["crc32_of_int16_le_bytes"])
    found = vad.published_segments(samples)
    kept = batch(vad.joined(samples, found.segments))
    log_mels = log_mel(kept, settings)
    second = int(re.search(r"the first (\d+) kept samples", " ".join(case.description["notes"]))[1])
    again = log_mel(kept[:, :second], settings, last_sample(kept, settings))
    whole = {
        "vad_calls": found.calls.astype(np.float32),
        "segment_samples": found.segments[:, 1].astype(np.float32) * vad.FRAME,
        "log_spectrum": rows(log_mels),
        "log_spectrum_second_call": rows(again),
        "filterbank": mel_weights(settings),
        "fbank": features(log_mels),
    }
    return {key: part(case, key, value) for key, value in whole.items()}


ADAPTERS = {"cmp-logmel": cmp_logmel, "cmp-vad": cmp_vad, "voice2face-mel": voice2face_mel}

"""What SF2F listens to: log filter bank energies of the samples as they are, one scale for all.

The detector and the collector are those of `audio.vad`, in frames of 30 ms.
Source: BAI-Yeqi/SF2F_PyTorch, utils/wav2mel.py, utils/vad_ex.py, datasets/utils.py;
python_speech_features 0.6, logfbank.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int16
from torch import Tensor
from torch.nn import functional

from . import vad
from .recording import SAMPLE_RATE

FULL_SCALE = 32768.0  # int16 units in a waveform of [-1, 1]
MELS, FFT, WINDOW, HOP = 40, 512, 400, 160
EMPHASIS = 0.97
SILENCE = float(np.finfo(np.float64).eps)  # energy of bands without any
MEAN, DEVIATION = 10.9915, 3.1661  # of all bands alike, over VoxCeleb
SEGMENT, STRIDE = 125, 63  # frames of the fuser's windows, and from one to the next
VOICE_FRAME, RING, AGGRESSIVENESS = 480, 10, 1  # samples, frames, of the detector


def sf2f(
    speech: Float[Tensor, "batch samples"], least: int = SEGMENT
) -> Float[Tensor, "batch 40 frames"]:
    """What the published networks read of speech in [-1, 1]; its level matters.

    A voice of fewer than `least` frames goes round, where the authors' code gives up.
    """
    found = normalised(log_mel(speech * FULL_SCALE))
    frames = found.shape[2]
    return found.repeat(1, 1, -(-least // frames))[..., :least] if frames < least else found


def normalised(log_mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
    """One mean and one deviation for all bands."""
    return (log_mel - MEAN) / DEVIATION


def log_mel(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 40 frames"]:
    """Natural logarithm of the energy in each band, of a waveform in int16 units.

    Frames of 25 ms every 10 ms, zeros after the end; no window is laid on them.

    Raises:
        ValueError: there is nothing to hear.
    """
    samples = waveform.shape[1]
    if not samples:
        raise ValueError("An empty recording has no frames; at least one sample is needed")
    frames = 1 + max(0, -(-(samples - WINDOW) // HOP))
    reach = (frames - 1) * HOP + FFT
    before = functional.pad(waveform[:, :-1], (1, 0))
    emphasised = functional.pad(waveform - EMPHASIS * before, (0, reach - samples))
    spectrum = torch.view_as_real(torch.fft.rfft(framed(emphasised, frames), FFT)).square()
    energy = (spectrum[..., 0] + spectrum[..., 1]) @ (filters().to(waveform) / FFT)
    return torch.where(energy > 0, energy, SILENCE).log().mT


def framed(
    waveform: Float[Tensor, "batch samples"], frames: int
) -> Float[Tensor, "batch frames 400"]:
    """Windows one hop apart, as views."""
    return waveform.unfold(1, WINDOW, HOP)[:, :frames]


@lru_cache(maxsize=1)
def filters() -> Float[Tensor, "bins 40"]:
    """Triangles of unit height over bins of the transform, even on the mel scale, 0 to 8 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    edges = np.floor((FFT + 1) * hertz / SAMPLE_RATE)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(FFT // 2 + 1)[:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return torch.from_numpy(np.minimum(rising, falling).clip(0))


def segments(
    features: Float[Tensor, "mels frames"], stride: int = STRIDE
) -> Float[Tensor, "segments mels 125"]:
    """The windows of one voice that the fuser hears; what fills no window at the end is left out.

    Raises:
        ValueError: the voice is shorter than one window.
    """
    if features.shape[1] < SEGMENT:
        raise ValueError(
            f"{features.shape[1]} frames do not fill one window of {SEGMENT}; repeat them first"
        )
    return features.unfold(1, SEGMENT, stride).transpose(0, 1)


def decisions(samples: Int16[np.ndarray, " samples"]) -> Bool[np.ndarray, " frames"]:
    """Speech or not, every 30 ms; a frame that ends with the recording is never looked at."""
    return vad.frame_flags(samples[:-1], AGGRESSIVENESS, VOICE_FRAME)


def stretches(flags: Bool[np.ndarray, " frames"]) -> Int[np.ndarray, "stretches 2"]:
    """First frame and end of what is kept: ten frames of speech open it, ten without close it."""
    return vad.collect(flags, RING)


def voiced(samples: Int16[np.ndarray, " samples"]) -> Int16[np.ndarray, " kept"]:
    """The published voiced signal: all that is kept, end to end; empty where nobody speaks."""
    parts = [
        samples[first * VOICE_FRAME : end * VOICE_FRAME]
        for first, end in stretches(decisions(samples))
    ]
    return np.concatenate(parts) if parts else samples[:0]

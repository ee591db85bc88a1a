"""Front ends of the association systems: what Seeking the Shape of Sound and CMPC listen to."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor
from torch.nn import functional

from .recording import SAMPLE_RATE

NYQUIST = SAMPLE_RATE / 2
FULL_SCALE = 32768.0  # int16 units in a waveform of [-1, 1]
SSS_MELS, SSS_FFT, SSS_WINDOW = 40, 512, 400
SSS_SAMPLES = 10 * SAMPLE_RATE  # what a recording is repeated to and cut at
SSS_FLOOR = 1e-6  # added to mel power in int16 units: a quiet recording feels it
INSTANCE_EPSILON = 1e-5
CMPC_MELS, CMPC_FFT = 64, 1600  # the window is the whole FFT, 100 ms
CMPC_FRAMES = 500
CMPC_RANGE = 80.0  # dB below the loudest value of the recording
CMPC2_FRAMES = 800
HOP = 160  # both systems: 100 frames a second


def sss(
    speech: Float[Tensor, "batch samples"], samples: int = SSS_SAMPLES
) -> Float[Tensor, "batch 40 frames"]:
    """What the published evaluation feeds the SSS voice network, from waveforms in [-1, 1].

    Args:
        samples: a recording is repeated end to end up to this length and cut at it.
    """
    return sss_features(FULL_SCALE * cycled(speech, samples))


def sss_features(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 40 frames"]:
    """Log-mel of a waveform in int16 units, each band at mean 0 and deviation 1 over time."""
    log_mel = sss_log_mel(waveform)
    variance, mean = torch.var_mean(log_mel, 2, correction=0, keepdim=True)
    return (log_mel - mean) * torch.rsqrt(variance + INSTANCE_EPSILON)


def sss_log_mel(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 40 frames"]:
    """Natural logarithm of mel power plus 1e-6, of a waveform in int16 units."""
    return torch.log(sss_mel_power(waveform) + SSS_FLOOR)


def sss_mel_power(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 40 frames"]:
    """Power in 40 triangles of unit height on the HTK scale, 0 to 8 kHz; 1 + samples // 160 frames.

    Source: torchaudio 0.4.0 MelSpectrogram with a periodic Hamming window, reflecting at the ends.
    """
    return mel_power(waveform, sss_window(), SSS_FFT, sss_mel_filters())


def sss_loaded(samples: Int16[np.ndarray, " samples *channels"]) -> Float[np.ndarray, " repeated"]:
    """A 16 kHz recording as the published loader gives it: left channel, 10 s, int16 units."""
    left = samples if samples.ndim == 1 else samples[:, 0]
    return cycled(torch.from_numpy(left.astype(np.float32))[None], SSS_SAMPLES)[0].numpy()


def cycled(
    waveform: Float[Tensor, "batch samples"], samples: int
) -> Float[Tensor, "batch {samples}"]:
    """The first `samples` samples of a waveform that goes round and round.

    Raises:
        ValueError: there is nothing to repeat.
    """
    if not waveform.shape[1]:
        raise ValueError("An empty recording cannot be repeated; at least one sample is needed")
    return waveform[:, torch.arange(samples, device=waveform.device) % waveform.shape[1]]


def cmpc(speech: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 64 frames"]:
    """Log-mel in dB of waveforms in [-1, 1], padded to 500 frames as published; longer stays long.

    The padding is 0 dB, which is louder than speech: the published networks were trained on it.
    """
    return cmpc_padded(cmpc_log_mel(speech))


def cmpc_log_mel(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 64 frames"]:
    """Mel power in dB, floored at -100 dB and at 80 dB below each waveform's own maximum."""
    power = mel_power(waveform, torch.hann_window(CMPC_FFT), CMPC_FFT, cmpc_mel_filters())
    decibels = 10 * torch.log10(power.clamp(min=1e-10))
    return torch.maximum(decibels, decibels.amax((1, 2), keepdim=True) - CMPC_RANGE)


def cmpc_padded(
    log_mel: Float[Tensor, "batch mels frames"], frames: int = CMPC_FRAMES
) -> Float[Tensor, "batch mels longer"]:
    """Zeros on both sides of features of fewer than `frames` frames: `frames` or one more come."""
    missing = frames - log_mel.shape[2]
    side = (missing + 1) // 2 if missing > 0 else 0
    return functional.pad(log_mel, (side, side))


def cmpc_clip(
    log_mel: Float[Tensor, "batch mels frames"], start: int, frames: int = CMPC_FRAMES
) -> Float[Tensor, "batch mels _"]:
    """`frames` frames from `start` on; features that are too short are padded first.

    Raises:
        ValueError: the clip does not lie inside.
    """
    padded = cmpc_padded(log_mel, frames)
    if not 0 <= start <= padded.shape[2] - frames:
        raise ValueError(
            f"A clip of {frames} frames cannot start at {start}: there are {padded.shape[2]};"
            f" choose 0 to {padded.shape[2] - frames}"
        )
    return padded[:, :, start : start + frames]


def mel_power(
    waveform: Float[Tensor, "batch samples"],
    window: Float[Tensor, " width"],
    fft: int,
    filters: Float[Tensor, "bins mels"],
) -> Float[Tensor, "batch mels frames"]:
    """Mel bands of the power spectrum, a frame every 160 samples, the signal reflected at its ends.

    Raises:
        ValueError: the waveform is too short to reflect.
    """
    samples = waveform.shape[-1]
    if samples <= fft // 2:
        raise ValueError(f"The waveform has {samples} samples; more than {fft // 2} are needed")
    spectrum = torch.stft(
        waveform,
        n_fft=fft,
        hop_length=HOP,
        win_length=len(window),
        window=window.to(waveform),
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return filters.to(waveform).T @ power


def sss_window() -> Float[Tensor, " width"]:
    """The periodic Hamming window."""
    return torch.hamming_window(SSS_WINDOW)


@lru_cache
def sss_mel_filters() -> Float[Tensor, "bins mels"]:
    """40 triangles of unit height on the HTK scale, 0 to 8 kHz."""
    top = 2595 * np.log10(1 + NYQUIST / 700)
    edges = 700 * (10 ** (np.linspace(0, top, SSS_MELS + 2) / 2595) - 1)
    return torch.from_numpy(triangles(edges, SSS_FFT).astype(np.float32))


@lru_cache
def cmpc_mel_filters() -> Float[Tensor, "bins mels"]:
    """64 triangles of unit area on Slaney's scale, 0 to 8 kHz."""
    # Even up to 1 kHz, 15 mels; then 27 mels to every factor of 6.4.
    top = 15 + 27 * np.log(NYQUIST / 1000) / np.log(6.4)
    mels = np.linspace(0, top, CMPC_MELS + 2)
    edges = np.where(mels < 15, mels * 1000 / 15, 1000 * 6.4 ** ((mels - 15) / 27))
    area = (edges[2:] - edges[:-2]) / 2
    return torch.from_numpy((triangles(edges, CMPC_FFT) / area).astype(np.float32))


def triangles(edges: Float[np.ndarray, " edges"], fft: int) -> Float[np.ndarray, "bins mels"]:
    """Triangles of unit height, each from one edge (Hz) over the next to the one after."""
    bins = np.linspace(0, NYQUIST, fft // 2 + 1)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.minimum(rising, falling).clip(0)

"""How fast voices become features on one core; only the figures of one run compare."""

import argparse
import sys
from pathlib import Path

import librosa
import numpy as np
import torch
from timing import fastest

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.audio import vad
from voicemesh.audio.features import FRONT_ENDS, PUBLISHED
from voicemesh.audio.pitch import pitch_map
from voicemesh.kernels.log_mel import log_mel, log_mel_reference, mel_weights

RATE = PUBLISHED.sample_rate


def frame_by_frame(waveform: np.ndarray) -> np.ndarray:
    """Log-mel energies as the published code makes them: a loop over frames, in float64."""
    settings, weights, rows, last = PUBLISHED, mel_weights(PUBLISHED), [], 0.0
    taper, wave = np.hamming(PUBLISHED.window), waveform * PUBLISHED.scale
    for t in range(settings.frames(len(wave))):
        rest = wave[t * settings.hop : t * settings.hop + settings.window]
        frame = np.resize(rest, settings.window) if len(rest) else np.zeros(settings.window)
        emphasised = frame - settings.emphasis * np.concatenate([[last], frame[:-1]])
        last = frame[-1]
        power = np.abs(np.fft.rfft(emphasised * taper, settings.fft)) ** 2
        rows.append(np.log(np.maximum(power @ weights, settings.floor)))
    return np.stack(rows, 1)


def by_librosa(waveform: np.ndarray) -> np.ndarray:
    """A log-mel picture of the same size."""
    energies = librosa.feature.melspectrogram(
        y=librosa.effects.preemphasis(waveform),
        sr=RATE,
        n_fft=PUBLISHED.fft,
        win_length=PUBLISHED.window,
        hop_length=PUBLISHED.hop,
        n_mels=PUBLISHED.mels,
        fmin=PUBLISHED.lowest,
        fmax=PUBLISHED.highest,
    )
    return np.log(np.maximum(energies, 1e-10))


def by_torch(batch: torch.Tensor, taper: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A log-mel picture of the same size, by torch.stft and a dense matrix."""
    spectrum = torch.stft(
        batch, PUBLISHED.fft, PUBLISHED.hop, PUBLISHED.window, taper, return_complex=True
    )
    return (weights @ spectrum.abs().square()).clamp(min=1e-10).log()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--voices", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    shape = (given.voices, int(given.seconds * RATE))
    waves = 0.1 * rng.standard_normal(shape).astype(np.float32)
    batch = torch.from_numpy(waves)
    taper, weights = torch.hamming_window(400), torch.from_numpy(mel_weights(PUBLISHED).T).float()
    frames = PUBLISHED.frames(shape[1]) - 3
    runs = {
        "log_mel": lambda: log_mel(batch, PUBLISHED),
        "log_mel, float64 reference": lambda: log_mel_reference(
            batch[:4].double(), PUBLISHED, torch.zeros(4).double()
        ),
        "frame by frame, NumPy": lambda: [frame_by_frame(wave) for wave in waves[:4]],
        "librosa": lambda: [by_librosa(wave) for wave in waves],
        "torch.stft": lambda: by_torch(batch, taper, weights),
        "pitch map": lambda: pitch_map(batch, frames, 200, 160),
        "front end 'cmp'": lambda: FRONT_ENDS["cmp"](batch),
        "front end 'voicemesh'": lambda: FRONT_ENDS["voicemesh"](batch),
        "speech detection": lambda: [vad.segments(wave) for wave in waves],
    }
    part = {"log_mel, float64 reference": 4, "frame by frame, NumPy": 4}
    base = None
    print(f"{'':>28} {'x real time':>12} {'of log_mel':>12}")
    for name, run in runs.items():
        voices = min(part.get(name, given.voices), given.voices)
        speed = voices * given.seconds / fastest(run, given.repeats)
        base = base or speed
        print(f"{name:>28} {speed:>12.0f} {speed / base:>12.2f}")
    if torch.cuda.is_available():
        on_gpu = torch.from_numpy(np.tile(waves, (16, 1))).cuda()

        def launch() -> None:
            log_mel(on_gpu, PUBLISHED)
            torch.cuda.synchronize()

        speed = len(on_gpu) * given.seconds / fastest(launch, given.repeats)
        print(f"{'log_mel, Triton':>28} {speed:>12.0f} {speed / base:>12.2f}")


if __name__ == "__main__":
    main()

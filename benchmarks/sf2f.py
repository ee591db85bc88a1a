"""CPU time of SF2F and voice2face at the published sizes, ours against naive forms.

The naive forms are those of the authors' code on a CPU: frames by tables of indices in float64, a
dense filter bank built at every call, voice2face's features frame by frame, every window encoded
twice and every image decoded by itself at both sizes, measures in double loops. Weights are random,
outputs compared.

    python benchmarks/sf2f.py [--runs 5] [--only mel fused shown recall others voice2face]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from timing import median
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.audio import sf2f as front
from voicemesh.audio.features import FRONT_ENDS, PUBLISHED, repeat, standardise
from voicemesh.evaluation import sf2f_measures as measures
from voicemesh.kernels.log_mel import mel_weights
from voicemesh.nets.cmp import FaceGenerator, VoiceEncoder
from voicemesh.nets.sf2f import SpeechFusionToFace, bytes_of
from voicemesh.systems.sf2f import SpeechToFace

RATE, SECONDS = 16_000, 6.0
Forms = tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]  # ours, naive


def naive_mel(samples: np.ndarray) -> torch.Tensor:
    """logfbank of python_speech_features, normalised."""
    x = samples.astype(np.float64)
    x = np.append(x[0], x[1:] - 0.97 * x[:-1])
    frames = 1 + int(np.ceil((len(x) - 400) / 160))
    x = np.append(x, np.zeros((frames - 1) * 160 + 400 - len(x)))
    index = np.tile(np.arange(400), (frames, 1)) + np.tile(np.arange(frames) * 160, (400, 1)).T
    power = np.square(np.absolute(np.fft.rfft(x[index.astype(np.int32)], 512))) / 512
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, 42) / 2595) - 1)
    bins, bank = np.floor(513 * hertz / RATE), np.zeros((40, 257))
    for j in range(40):
        for i in range(int(bins[j]), int(bins[j + 1])):
            bank[j, i] = (i - bins[j]) / (bins[j + 1] - bins[j])
        for i in range(int(bins[j + 1]), int(bins[j + 2])):
            bank[j, i] = (bins[j + 2] - i) / (bins[j + 2] - bins[j + 1])
    energy = power @ bank.T
    logs = np.log(np.where(energy == 0, np.finfo(float).eps, energy))
    return torch.from_numpy(((logs - 10.9915) / 3.1661).T).float()


def naive_voice2face_mel(samples: np.ndarray) -> torch.Tensor:
    """Frame by frame, the emphasis carried along."""
    settings, prior, rows = PUBLISHED, 0.0, []
    window, weights = np.hamming(400), mel_weights(PUBLISHED)
    for number in range(settings.frames(len(samples))):
        part = samples[number * 160 : number * 160 + 400].astype(np.float64)
        frame = np.resize(part, 400) if len(part) else np.zeros(400)
        emphasised = frame - 0.97 * np.append(prior, frame[:-1])
        prior = frame[-1]
        power = np.square(np.absolute(np.fft.rfft(emphasised * window, 1024)))
        rows.append(np.log(np.maximum(power @ weights, 1e-5)))
    return torch.from_numpy(np.stack(rows).T).float()[None]


def voice(seconds: float = SECONDS) -> np.ndarray:
    """Noise in bursts, int16."""
    rng, count = np.random.default_rng(0), round(RATE * seconds)
    loud = 0.2 + np.abs(np.sin(np.arange(count) * 2 * np.pi * 3 / RATE))
    return (2000 * loud * rng.standard_normal(count)).clip(-32768, 32767).astype(np.int16)


def mel() -> Forms:
    """5 s of samples to features."""
    samples = voice(5.0)
    wave = torch.from_numpy(samples / 32768).float()[None]
    return lambda: front.sf2f(wave)[0], lambda: naive_mel(samples)


def system() -> SpeechToFace:
    """The second stage at 128 pixels, of weights that let images differ."""
    torch.manual_seed(0)
    net = SpeechFusionToFace(fused=True, large=16)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return SpeechToFace(FRONT_ENDS["sf2f"], net)


def fused() -> Forms:
    """6 s of samples to the fused image of 128 pixels."""
    whole, samples = system(), voice()
    wave = torch.from_numpy(samples / 32768).float()

    def naive() -> torch.Tensor:
        windows = front.segments(naive_mel(samples))
        with torch.no_grad():
            return bytes_of(whole.net(windows[None])[0][-1])[0].permute(1, 2, 0).float()

    return lambda: torch.from_numpy(whole.imagine(wave, shown=0).image).float(), naive


def shown() -> Forms:
    """The fused image and those of all eight windows."""
    whole, samples = system(), voice()
    wave = torch.from_numpy(samples / 32768).float()

    def ours() -> torch.Tensor:
        told = whole.imagine(wave)
        return torch.from_numpy(np.concatenate([told.segments, told.image[None]])).float()

    def naive() -> torch.Tensor:
        features = naive_mel(samples)
        windows = front.segments(features)
        with torch.no_grad():
            whole.net(features[None])  # the image of the whole, which the authors' code makes too
            images = [whole.net(window[None])[0][-1] for window in windows]
            images.append(whole.net(windows[None])[0][-1])
        return torch.cat([bytes_of(image) for image in images]).permute(0, 2, 3, 1).float()

    return ours, naive


def unit(rows: int) -> torch.Tensor:
    """Embeddings."""
    return functional.normalize(torch.randn(rows, 512))


def recall() -> Forms:
    """By cosine, 100 people."""
    gallery, told = unit(100), unit(100)

    def naive() -> torch.Tensor:
        near = functional.cosine_similarity(
            told[:, None].expand(-1, 100, -1), gallery[None].expand(100, -1, -1), dim=2
        )
        order = near.argsort(1, descending=True)
        hits = order == torch.arange(100)[:, None]
        return torch.tensor([float(hits[:, :k].any(1).float().mean()) for k in measures.AT])

    return lambda: torch.tensor(list(measures.recall(gallery, told).values())), naive


def others() -> Forms:
    """Mean similarity with everyone else, 300 people."""
    gallery, told = unit(300), unit(300)

    def naive() -> torch.Tensor:
        found = [
            float(functional.cosine_similarity(told[i], gallery[j], dim=0))
            for i in range(300)
            for j in range(300)
            if i != j
        ]
        return torch.tensor([sum(found) / len(found)])

    return lambda: torch.tensor([measures.inter_human(gallery, told)]), naive


def voice2face() -> Forms:
    """5 s of samples to its image."""
    torch.manual_seed(0)
    encoder, make, samples = VoiceEncoder().eval(), FaceGenerator().eval(), voice(5.0)
    wave = torch.from_numpy(samples / 32768).float()[None]

    def image(features: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return make(functional.normalize(encoder(features)))

    def naive() -> torch.Tensor:
        return image(repeat(standardise(naive_voice2face_mel(samples)), 1000))

    return lambda: image(FRONT_ENDS["voice2face"](wave)), naive


STEPS = {
    "mel": mel,
    "fused": fused,
    "shown": shown,
    "recall": recall,
    "others": others,
    "voice2face": voice2face,
}


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(STEPS), choices=list(STEPS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in arguments.only:
        ours, naive = STEPS[name]()
        (fast, first), (slow, second) = (median(run, arguments.runs) for run in (ours, naive))
        error = float((first - second).norm() / second.norm())
        print(
            f"{name:11} ours {1000 * fast:7.1f} ms, naive {1000 * slow:7.1f} ms, ratio"
            f" {fast / slow:.2f}, outputs differ by {error:.1e}"
        )


if __name__ == "__main__":
    main()

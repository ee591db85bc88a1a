"""A bundle with untrained nets and an egg for a head: what tests of the product run on."""

from pathlib import Path

import numpy as np
import torch

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import BundleWriter
from voicemesh.mesh.face_types import FACE_TYPES
from voicemesh.mesh.landmarks import LENGTHS, RATIO_LENGTHS
from voicemesh.mesh.morphable import Measure, MorphableModel
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits

SHAPES, EXPRESSIONS = 40, 10
WIDTHS, EMBEDDING = (24, 24, 24, 24), 16


def egg(rows: int = 16, columns: int = 20, seed: int = 0) -> MorphableModel:
    """An ellipsoid of a head's size whose parameters are smooth random bumps."""
    generator = torch.Generator().manual_seed(seed)
    up = torch.linspace(-torch.pi / 2, torch.pi / 2, rows + 2, dtype=torch.float64)[1:-1]
    around = torch.arange(columns, dtype=torch.float64) * 2 * torch.pi / columns
    up, around = (grid.flatten() for grid in torch.meshgrid(up, around, indexing="ij"))
    ring = torch.stack([up.cos() * around.sin(), up.sin(), up.cos() * around.cos()], 1)
    poles = torch.tensor([[0.0, -1, 0], [0, 1, 0]], dtype=torch.float64)
    unit = torch.cat([ring, poles])
    waves = torch.randn(SHAPES + EXPRESSIONS, 3, generator=generator, dtype=torch.float64)
    bumps = (2 * unit @ waves.T).sin()[:, None, :] * unit[:, :, None]
    basis = torch.linalg.qr(bumps.flatten(0, 1)).Q.unflatten(0, (-1, 3)).float()
    names = (*LENGTHS, *RATIO_LENGTHS)
    pairs = torch.randint(len(unit), (len(names), 2), generator=generator)
    pairs[:, 1] = (pairs[:, 0] + columns * 3 + 5) % len(unit)
    return MorphableModel(
        name="egg",
        mean=(unit * torch.tensor([75.0, 115.0, 95.0])).float(),
        shape_basis=basis[..., :SHAPES],
        expression_basis=basis[..., SHAPES:],
        shape_mean=torch.zeros(SHAPES),
        shape_deviation=torch.linspace(60.0, 2.0, SHAPES),
        expression_mean=torch.zeros(EXPRESSIONS),
        expression_deviation=torch.ones(EXPRESSIONS),
        triangles=sphere_triangles(rows, columns),
        landmarks=torch.arange(68),
        measures={
            name: Measure(tuple(pair)) for name, pair in zip(names, pairs.tolist(), strict=True)
        },
    )


def sphere_triangles(rows: int, columns: int) -> torch.Tensor:
    """Outward triangles of a grid of rows (from south to north) closed by two poles."""
    south, north = rows * columns, rows * columns + 1
    found = []
    for column in range(columns):
        after = (column + 1) % columns
        found.append((south, after, column))
        found.append((north, (rows - 1) * columns + column, (rows - 1) * columns + after))
        for row in range(rows - 1):
            a, b = row * columns + column, row * columns + after
            c, d = a + columns, b + columns
            found += [(a, b, d), (a, d, c)]
    return torch.tensor(found)


def statistics(model: MorphableModel, seed: int = 0) -> dict[str, torch.Tensor]:
    """Numbers in plausible ranges, different for every name and measure."""
    generator = torch.Generator().manual_seed(seed)
    count = len(model.measures)
    half = torch.randn(SHAPES, generator=generator) * 0.4
    told = {"mean_male": half, "mean_female": -half}
    for kind in FACE_TYPES:
        told[f"type_{kind}"] = torch.randn(SHAPES, generator=generator) * 0.5
    lengths = model.measurements(torch.stack([half, -half]))
    root = torch.randn(SHAPES, SHAPES, generator=generator) * 0.1
    return told | {
        "residual_covariance": root @ root.T + 0.3 * torch.eye(SHAPES),
        "measure_interval": 4 + 6 * torch.rand(count, generator=generator),
        "measure_explained": 0.5 * torch.rand(count, generator=generator),
        "measure_ceiling": 0.5 + 0.2 * torch.rand(count, generator=generator),
        "measure_mean": lengths,
        "measure_deviation": torch.full((2, count), 5.0),
        "log_f0_scale": torch.tensor([5.05, 0.31]),
        "log_vtl_scale": torch.tensor([2.77, 0.09]),
        "age_scale": torch.tensor([42.0, 15.0]),
        "log_f0_interval": torch.tensor([0.1]),
        "log_vtl_interval": torch.tensor([0.05]),
    }


def write_bundle(folder: Path, model: MorphableModel | None = None, seed: int = 0) -> Path:
    """A whole bundle in `folder`."""
    torch.manual_seed(seed)
    model = model or egg()
    writer = BundleWriter(folder, "untrained", "Untrained nets", "Random weights, for tests.")
    about = {"source": "random numbers", "licence": "MIT", "training": "none"}
    channels = FRONT_ENDS["voicemesh"].channels
    voice = VoiceEncoder(channels, WIDTHS, EMBEDDING)
    writer.face_model(model, **about)
    arguments = {"input_channels": channels, "widths": list(WIDTHS), "embedding": EMBEDDING}
    writer.net("cmp-voice-encoder", voice, arguments, **about)
    writer.net(
        "cmp-supervised-head",
        SupervisedHead(EMBEDDING, SHAPES, EXPRESSIONS),
        {"embedding": EMBEDDING, "shape_params": SHAPES, "expression_params": EXPRESSIONS},
        **about,
    )
    writer.net("voice-traits", VoiceTraits(EMBEDDING), {"embedding": EMBEDDING}, **about)
    writer.tensors("cmp-statistics", statistics(model), **about)
    return folder


def babble(seconds: float = 3.0, pitch: float = 120.0, seed: int = 0) -> np.ndarray:
    """Vowel-like sound that a voice detector takes for speech: pulses through four formants."""
    from scipy.signal import lfilter

    rate = 16_000
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * rate)) / rate
    glide = pitch * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * times))
    phase = np.cumsum(glide / rate)
    pulses = np.diff(np.floor(phase), prepend=0) + 0.003 * rng.normal(size=len(times))
    sound = pulses
    for centre, width in ((600, 80), (1300, 100), (2500, 150), (3500, 200)):
        radius = np.exp(-np.pi * width / rate)
        sound = lfilter(
            [1.0], [1, -2 * radius * np.cos(2 * np.pi * centre / rate), radius**2], sound
        )
    sound *= 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * times)  # syllables
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)

"""One recording in, one portrait out: the whole product on one screen."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from scipy.special import gammaincinv
from torch import Tensor

from voicemesh.audio import feature_files, features, vad
from voicemesh.audio.recording import SAMPLE_RATE, Recording, UnusableRecording
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.mesh import render
from voicemesh.mesh.face_types import FACE_TYPES, SEXES, nearest_sex
from voicemesh.mesh.landmarks import LENGTH_LABELS, RATIO_LABELS
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.systems.cmp import CrossModalPerceptionist, Perception

from .portrait import CONFIDENCE, Estimate, Measurement, Pictured, Portrait

OVERLAY = 480  # pixels of the side of the pictured face and of the mesh over it
LABELS = LENGTH_LABELS | RATIO_LABELS


@dataclass(eq=False)
class Pipeline:
    """`pipeline(recording)` gives its portrait; the nets are loaded and ready."""

    system: CrossModalPerceptionist
    bundle: Bundle
    device: torch.device
    material: Int[np.ndarray, " v"] = field(init=False)
    uncertainty: Float32[np.ndarray, " v"] | None = field(init=False)
    references: dict[str, Float[Tensor, "v 3"]] = field(init=False)
    # Of the average face, which serves for all; `warm_up` fills it in.
    openness: Float32[np.ndarray, " v"] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        model, statistics = self.system.face_model, self.system.statistics
        self.material = render.materials(model)
        spread = statistics.get("residual_covariance")
        self.uncertainty = None if spread is None else vertex_radius(model, spread)
        named = {sex: f"mean_{sex}" for sex in SEXES} | {
            kind: f"type_{kind}" for kind in FACE_TYPES
        }
        self.references = {
            name: model.vertices(statistics[key])
            for name, key in named.items()
            if key in statistics
        }

    def __call__(self, recording: Recording) -> Portrait:
        """The face that a voice suggests, with how sure each part of it is.

        Raises:
            UnusableRecording: there is too little speech in it.
        """
        clock = Clock()
        speech, segments = vad.speech(recording)
        clock.lap("finding speech")
        heard = self.system.perceive(torch.from_numpy(speech)[None].to(self.device))
        clock.lap("listening")
        log_mel = np.asarray(features.log_mel_picture(recording.waveform))
        return self.portrait(heard, recording, segments, log_mel, clock)

    def of_features(self, path: str | Path) -> Portrait:
        """The portrait of a published feature file, which holds no sound any more.

        Raises:
            UnusableRecording: it is none, or the bundle's nets read other features.
        """
        clock, path = Clock(), Path(path)
        log_mel = feature_files.load(path)
        if self.system.feature_voice is None:
            raise UnusableRecording(
                f"{path.name} holds published features; the bundle {self.bundle.title!r} reads"
                " others, so convert the published networks and choose their bundle."
            )
        heard = self.system.perceive_published(torch.from_numpy(log_mel)[None].to(self.device))
        clock.lap("listening")
        samples = int(log_mel.shape[1] * SAMPLE_RATE / feature_files.FRAME_RATE)
        notes = ("Read from log-mel features, without sound.",)
        silent = Recording(np.zeros(0, np.float32), path.name, notes=notes)
        return self.portrait(heard, silent, np.array([[0, samples]]), log_mel, clock)

    def portrait(
        self,
        heard: Perception,
        recording: Recording,
        segments: Int[np.ndarray, "segments 2"],
        log_mel: Float[np.ndarray, "mels frames"],
        clock: "Clock",
    ) -> Portrait:
        """Everything that follows from what was heard in one voice."""
        model = self.system.face_model
        shape, expression = heard.shape_params[0], heard.expression_params[0]
        face = model.mesh(shape, expression)
        resting = model.vertices(shape)
        distances = self.distances(resting)
        sexes = {name: distances[name] for name in ("female", "male") if name in distances}
        sex = sex_of(distances)
        types = {kind: distances[kind] for kind in FACE_TYPES if kind in distances}
        measurements = self.measurements(model.measure(resting), sex)
        clock.lap("building the face")
        pictured = self.picture(heard)
        if pictured:
            clock.lap("picturing the face")
        return Portrait(
            recording=recording,
            segments=segments,
            log_mel=log_mel,
            face=face,
            material=self.material,
            openness=self.openness,
            uncertainty=self.uncertainty,
            measurements=measurements,
            sex=sex,
            sex_distances=sexes,
            face_type=min(types, key=types.__getitem__) if types else "",
            type_distances=types,
            pitch_hz=self.estimate(heard.pitch_hz, "log_f0_interval"),
            tract_cm=self.estimate(heard.tract_cm, "log_vtl_interval"),
            parameters=heard.parameters[0].float().cpu().numpy(),
            timings=clock.finish(),
            bundle=self.bundle.title,
            notes=recording.notes,
            pictured=pictured,
        )

    def picture(self, heard: Perception) -> Pictured | None:
        """What the image branch makes of one voice."""
        images = self.system.images
        if images is None:
            return None
        faces = images.imagine(heard.embedding)
        resting = self.system.face_model.vertices(faces.shape_params[0])
        return Pictured(
            image=images.picture(faces, size=OVERLAY),
            overlay=images.overlay(faces, size=OVERLAY),
            face=images.mesh(faces),
            sex=sex_of(self.distances(resting)),
            parameters=faces.parameters[0].float().cpu().numpy(),
        )

    def distances(self, resting: Float[Tensor, "v 3"]) -> dict[str, float]:
        """To every reference face, in mm, root mean square over the vertices."""
        return {
            name: float((resting - reference).square().sum(1).mean().sqrt())
            for name, reference in self.references.items()
        }

    def measurements(self, lengths: Float[Tensor, " m"], sex: str) -> tuple[Measurement, ...]:
        """The lengths of a head in mm, each beside what is known of it."""
        known = {
            name: self.system.statistics[f"measure_{name}"]
            for name in ("interval", "explained", "ceiling", "mean", "deviation")
            if f"measure_{name}" in self.system.statistics
        }
        for name in ("mean", "deviation"):
            if name in known:
                known[name] = known[name][SEXES.index(sex)] if sex else known[name].mean(0)
        columns = {name: values.tolist() for name, values in known.items()}
        told = []
        for at, name in enumerate(self.system.face_model.measures):
            value = float(lengths[at])
            row = {key: values[at] for key, values in columns.items()}
            half = row.get("interval")
            told.append(
                Measurement(
                    name=name,
                    label=LABELS.get(name, name),
                    unit="mm",
                    value=value,
                    low=None if half is None else value - half,
                    high=None if half is None else value + half,
                    mean=row.get("mean"),
                    deviation=row.get("deviation"),
                    explained=row.get("explained"),
                    ceiling=row.get("ceiling"),
                )
            )
        return tuple(told)

    def estimate(self, value: Float[Tensor, "1"] | None, interval: str) -> Estimate | None:
        """A positive trait whose interval is a half-width of its logarithm."""
        if value is None:
            return None
        half = self.system.statistics.get(interval)
        if half is None:
            return Estimate(float(value))
        factor = float(torch.exp(half))
        return Estimate(float(value), float(value) / factor, float(value) * factor)

    def average(self) -> FaceMesh:
        """The face between the mean woman and the mean man: what a voice unheard suggests."""
        model, statistics = self.system.face_model, self.system.statistics
        means = [statistics[f"mean_{sex}"] for sex in SEXES if f"mean_{sex}" in statistics]
        middle = torch.stack(means).mean(0) if means else torch.zeros_like(model.shape_mean)
        return model.mesh(middle)

    def warm_up(self) -> None:
        """Run every stage once, so that nobody waits for compilation; pictures gain shade."""
        noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
        vad.segments(noise)
        features.log_mel_picture(noise)
        self.system.perceive(torch.from_numpy(noise)[None].to(self.device))
        self.openness = render.openness_of(self.average())
        render.portrait(self.average(), size=64, openness=self.openness)


def sex_of(distances: Mapping[str, float]) -> str:
    """Whose mean face is nearest; empty without both means."""
    told = "male" in distances and "female" in distances
    return nearest_sex(distances["male"], distances["female"]) if told else ""


class Clock:
    """Seconds between laps by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.start = self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End the lap of this name."""
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now

    def finish(self) -> Mapping[str, float]:
        """All laps and their total."""
        return self.laps | {"total": time.perf_counter() - self.start}


def vertex_radius(
    model: MorphableModel, spread: Float[Tensor, "s s"], confidence: float = CONFIDENCE
) -> Float32[np.ndarray, " v"]:
    """Radius in mm around each vertex that holds the true one with this confidence.

    `spread` is the covariance of the whitened shape parameters given the voice. The squared
    distance is a weighted sum of chi-squares; one scaled chi-square of the same mean and variance
    stands for it (Satterthwaite).
    """
    basis = (model.shape_basis * model.shape_deviation).double()
    covariance = basis @ spread.double() @ basis.mT
    mean = covariance.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-12)
    squares = covariance.square().sum((1, 2)).clamp(min=1e-24)
    scale, degrees = (squares / mean).cpu().numpy(), (mean.square() / squares).cpu().numpy()
    return np.sqrt(scale * 2 * gammaincinv(degrees / 2, confidence)).astype(np.float32)


def load(bundle: str | Path | None = None, device: torch.device | str | None = None) -> Pipeline:
    """The pipeline of a bundle: the embedded one, a folder, or `owner/name[@revision]` on the Hub.

    Without a device the first CUDA GPU is taken if there is one, else the CPU.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    opened = Bundle.open(bundle)
    return Pipeline(
        CrossModalPerceptionist.from_bundle(opened, device), opened, torch.device(device)
    )

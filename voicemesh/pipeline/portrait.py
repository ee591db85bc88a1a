"""What is read from one voice, as plain values, and the files it becomes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from voicemesh.audio.recording import Recording
from voicemesh.mesh import export, render
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.morphable import FaceMesh
from voicemesh.systems.sf2f import Spoken

from .matching import Ranking
from .plain import REPORT, rounded, together, write_report

CONFIDENCE = 0.8  # of every interval


@dataclass(frozen=True)
class Estimate:
    """A quantity heard in the voice with the ends of its 80 % interval, where they are known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Measurement:
    """A length of the predicted head against the mean head of its sex."""

    name: str
    label: str
    unit: str
    value: float
    low: float | None  # ends of the 80 % interval
    high: float | None
    mean: float | None  # of the sex whose mean shape is nearest
    deviation: float | None  # standard deviation between people of that sex
    explained: float | None  # share of the variance between people that the voice explains
    ceiling: float | None  # the share that the best possible predictor would explain


@dataclass(frozen=True, eq=False)
class Pictured:
    """The face image that the unsupervised branch makes of a voice, and its mesh."""

    image: UInt8[np.ndarray, "size size 3"]
    overlay: UInt8[np.ndarray, "size size 3"]  # the lit mesh where the face is
    face: FaceMesh
    sex: str  # as of `Portrait`
    percents: dict[str, float]
    parameters: Float32[np.ndarray, " params"]


@dataclass(frozen=True, eq=False)
class Portrait:
    """Everything that was read from one voice."""

    recording: Recording
    segments: Int[np.ndarray, "segments 2"]  # [start, stop) samples of speech
    log_mel: Float[np.ndarray, "mels frames"]
    face: FaceMesh
    material: Int[np.ndarray, " v"]  # skin, lips, hair or eye, for pictures
    openness: Float32[np.ndarray, " v"] | None  # share of the sky over each vertex, for pictures
    uncertainty: Float32[np.ndarray, " v"] | None  # mm within which 80 % of people lie
    measurements: tuple[Measurement, ...]
    sex: str  # whose mean shape is nearest: "female", "male", "" if the bundle has no means
    sex_distances: dict[str, float]  # mm, root mean square over the vertices
    percents: dict[str, float]  # four breadths against the mean face of that sex
    face_type: str
    type_distances: dict[str, float]
    pitch_hz: Estimate | None  # habitual
    tract_cm: Estimate | None
    parameters: Float32[np.ndarray, " params"]  # scale, shape, expression; whitened
    embedding: Float32[np.ndarray, " embedding"]  # of the voice, of length one
    timings: dict[str, float]  # seconds
    bundle: str
    notes: tuple[str, ...] = ()
    hair: Hair | None = None  # what the head wears on pictures; chosen, not predicted
    pictured: Pictured | None = None  # None if the bundle has no image branch
    spoken: Spoken | None = None  # the image of SF2F; None if the bundle has no net for it
    in_one_piece: UInt8[np.ndarray, "side side 3"] | None = None  # the image of voice2face
    matches: tuple[Ranking, ...] = ()  # one per system that was asked

    def __repr__(self) -> str:
        told = [self.sex or "no sex known", f"{self.speech_seconds:.1f} s of speech"]
        if self.pitch_hz:
            told.insert(1, f"{self.pitch_hz.value:.0f} Hz")
        return f"Portrait({self.recording.name!r}: {', '.join(told)})"

    def report(self) -> dict[str, Any]:
        """All but the arrays, as plain data."""
        told = {
            "recording": self.recording.name,
            "seconds": self.recording.seconds,
            "speech_seconds": self.speech_seconds,
            "bundle": self.bundle,
            "sex": {
                "nearest": self.sex,
                "distances_mm": self.sex_distances,
                "published_distances": self.published(self.sex_distances),
                "percent_of_mean": self.percents,
            },
            "face_type": {
                "nearest": self.face_type,
                "distances_mm": self.type_distances,
                "published_distances": self.published(self.type_distances),
            },
            "pitch_hz": asdict(self.pitch_hz) if self.pitch_hz else None,
            "vocal_tract_cm": asdict(self.tract_cm) if self.tract_cm else None,
            "interval": CONFIDENCE,
            "measurements": [asdict(measurement) for measurement in self.measurements],
            "parameters": self.parameters.tolist(),
            "pictured": self.pictured
            and {
                "sex": self.pictured.sex,
                "percent_of_mean": self.pictured.percents,
                "parameters": self.pictured.parameters.tolist(),
            },
            "spoken": self.spoken
            and {
                "segments_at_s": self.spoken.starts.tolist(),
                "attention": self.spoken.attention.tolist(),
            },
            "matches": [ranking.report() for ranking in self.matches],
            "timings_s": dict(self.timings),
            "notes": list(self.notes),
        }
        return rounded(told)

    def published(self, distances: Mapping[str, float]) -> dict[str, float]:
        """Root mean squares as the published distance E: over the number of vertices, no root."""
        root = len(self.face.vertices) ** 0.5
        return {name: distance / root for name, distance in distances.items()}

    @property
    def speech(self) -> Float32[np.ndarray, " speech"]:
        """What was taken for speech, in one piece; nothing for a portrait read from features."""
        if not len(self.recording.waveform):
            return self.recording.waveform
        return np.concatenate(
            [self.recording.waveform[start:stop] for start, stop in self.segments]
        )

    @property
    def speech_seconds(self) -> float:
        """Length of what was taken for speech."""
        return float(np.diff(self.segments, axis=1).sum()) / self.recording.sample_rate

    def picture(self, size: int = 512, yaw: float = 0.0) -> UInt8[np.ndarray, "size size 3"]:
        """The head in its hair, `size` pixels wide, turned by `yaw` degrees."""
        return render.portrait(
            self.face,
            size=size,
            yaw=yaw,
            hair=self.hair,
            material=self.material,
            openness=self.openness,
        )

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write the mesh (obj, ply, glb), a picture and the report; the paths by suffix.

        With an image branch also its image, the mesh over it and that mesh, by name; with SF2F
        or voice2face their image.
        """
        from PIL import Image

        names = {kind: f"mesh.{kind}" for kind in ("obj", "ply", "glb")}
        pictures = {"preview.png": self.picture(768, yaw=-14)}
        with together(folder) as scratch:
            for name in names.values():
                export.write(self.face, scratch / name, self.hair)
            names |= {"png": "preview.png", "json": REPORT}
            if self.pictured:
                names |= {"image": "image.png", "overlay": "overlay.png"}
                pictures["image.png"] = self.pictured.image
                pictures["overlay.png"] = self.pictured.overlay
                names["image_mesh"] = "image_mesh.glb"
                export.write(self.pictured.face, scratch / names["image_mesh"])
            if self.spoken:
                names["sf2f"] = "sf2f.png"
                pictures["sf2f.png"] = self.spoken.image
            if self.in_one_piece is not None:
                names["voice2face"] = "voice2face.png"
                pictures["voice2face.png"] = self.in_one_piece
            for name, pixels in pictures.items():
                Image.fromarray(pixels).save(scratch / name)
            write_report(scratch / REPORT, self.report())
        return {kind: Path(folder) / name for kind, name in names.items()}

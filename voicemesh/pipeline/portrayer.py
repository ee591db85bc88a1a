"""From what was heard in one voice to its portrait."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from voicemesh.audio import features, vad
from voicemesh.audio.recording import Recording
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_REPEATS
from voicemesh.mesh import render
from voicemesh.mesh.comparison import parts_of
from voicemesh.mesh.face_types import FACE_TYPES, SEXES
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.hair_worn import USUAL, worn
from voicemesh.mesh.morphable import FaceMesh
from voicemesh.systems.cmp import CrossModalPerceptionist, Perception

from .cautions import cautions
from .certainty import Certainty
from .clock import Clock
from .judging import estimate, measurements, percents, sex_of
from .portrait import Portrait


@dataclass(eq=False)
class Portrayer:
    """Hears voices and builds the heads that they suggest; the nets are loaded and ready."""

    system: CrossModalPerceptionist
    bundle: Bundle
    device: torch.device
    material: Int[np.ndarray, " v"] = field(init=False)
    certainty: Certainty = field(init=False)
    certainties: dict[int, Certainty] = field(init=False, default_factory=dict)  # by recordings
    references: dict[str, Float[Tensor, "v 3"]] = field(init=False)
    # Of the average face, which serves for all; `warm_up` fills it in.
    openness: Float32[np.ndarray, " v"] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        model, statistics = self.system.face_model, self.system.statistics
        self.material = render.materials(model)
        self.certainty = Certainty.after_one(self.system)
        named = {sex: f"mean_{sex}" for sex in SEXES} | {
            kind: f"type_{kind}" for kind in FACE_TYPES
        }
        self.references = {
            name: model.vertices(statistics[key])
            for name, key in named.items()
            if key in statistics
        }

    @property
    def uncertainty(self) -> Float32[np.ndarray, " v"] | None:
        """Millimetres within which 80 % of people lie around each vertex, after one recording."""
        return self.certainty.uncertainty

    @cached_property
    def repeats(self) -> dict[str, Tensor]:
        """How readings of one voice vary; empty where the bundle does not know."""
        known = CMP_REPEATS in self.bundle.parts
        tensors = self.bundle.tensors(CMP_REPEATS) if known else {}
        return {name: value.to(self.device) for name, value in tensors.items()}

    def certainty_after(self, count: int) -> Certainty:
        """How sure an estimate from so many recordings is; as from one where it is not known."""
        if not self.repeats:
            return self.certainty
        if count not in self.certainties:
            self.certainties[count] = self.certainty.after(count, self.system, self.repeats)
        return self.certainties[count]

    def hear(
        self, recording: Recording, clock: Clock | None = None
    ) -> tuple[
        Perception, Recording, Int[np.ndarray, "segments 2"], Float[np.ndarray, "mels frames"]
    ]:
        """What `portrait` needs of a recording; its notes tell what was odd about the voice."""
        clock = clock or Clock()
        speech, segments = vad.speech(recording)
        clock.lap("finding speech")
        read = self.system.front_end(torch.from_numpy(speech)[None].to(self.device))
        moments = self.system.moments_of(read)
        heard = self.system.perceive_moments(moments)
        odd = cautions(self.system.traits, moments[0], self.system.statistics, read[0])
        recording = replace(recording, notes=recording.notes + odd)
        clock.lap("listening")
        return heard, recording, segments, np.asarray(features.log_mel_picture(recording.waveform))

    def portrait(
        self,
        heard: Perception,
        recording: Recording,
        segments: Int[np.ndarray, "segments 2"],
        log_mel: Float[np.ndarray, "mels frames"],
        clock: Clock,
        certainty: Certainty | None = None,
        style: str | None = None,
    ) -> Portrait:
        """Everything that follows from what was heard in one voice."""
        model, certainty = self.system.face_model, certainty or self.certainty
        shape, expression = heard.shape_params[0], heard.expression_params[0]
        face = model.mesh(shape, expression)
        resting = model.vertices(shape)
        distances = self.distances(resting)
        sexes = {name: distances[name] for name in ("female", "male") if name in distances}
        sex = sex_of(distances)
        types = {kind: distances[kind] for kind in FACE_TYPES if kind in distances}
        lengths = measurements(model, self.system.statistics, resting, sex, certainty.lengths)
        clock.lap("building the face")
        return Portrait(
            recording=recording,
            segments=segments,
            log_mel=log_mel,
            face=face,
            material=self.material,
            openness=self.openness,
            uncertainty=certainty.uncertainty,
            measurements=lengths,
            sex=sex,
            sex_distances=sexes,
            percents=percents(model, resting, self.references.get(sex)),
            face_type=min(types, key=types.__getitem__) if types else "",
            type_distances=types,
            pitch_hz=estimate(heard.pitch_hz, certainty.log_f0),
            tract_cm=estimate(heard.tract_cm, certainty.log_vtl),
            parameters=heard.parameters[0].float().cpu().numpy(),
            embedding=heard.embedding[0].float().cpu().numpy(),
            timings=clock.finish(),
            bundle=self.bundle.title,
            notes=recording.notes,
            hair=self.worn(face, style or USUAL[sex]),
        )

    def worn(self, face: FaceMesh, style: str) -> Hair | None:
        """Hair for a head: chosen, not predicted. None if the face model tells no roots."""
        return worn(self.system.face_model, face, style)

    def distances(self, resting: Float[Tensor, "v 3"]) -> dict[str, float]:
        """To every reference face, in mm, root mean square over the vertices."""
        return {
            name: float((resting - reference).square().sum(1).mean().sqrt())
            for name, reference in self.references.items()
        }

    def shape_of(self, parameters: Float32[np.ndarray, " params"]) -> Float[Tensor, " s"]:
        """The shape parameters among all of a portrait's."""
        shapes = self.system.face_model.shape_basis.shape[2]
        return torch.from_numpy(parameters[1 : 1 + shapes]).to(self.device)

    @cached_property
    def parts(self) -> dict[str, Int[Tensor, " _"]]:
        """The vertices of each part of the head."""
        return parts_of(self.system.face_model)

    def average(self) -> FaceMesh:
        """The face between the mean woman and the mean man: what a voice unheard suggests."""
        model, statistics = self.system.face_model, self.system.statistics
        means = [statistics[f"mean_{sex}"] for sex in SEXES if f"mean_{sex}" in statistics]
        middle = torch.stack(means).mean(0) if means else torch.zeros_like(model.shape_mean)
        return model.mesh(middle)

"""One recording in, one portrait out: the whole product on one screen."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from voicemesh import images
from voicemesh.audio import feature_files, features, vad
from voicemesh.audio import recording as recordings
from voicemesh.audio.recording import SAMPLE_RATE, Recording, UnusableRecording
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.mesh import render
from voicemesh.mesh.comparison import parts_of
from voicemesh.mesh.face_types import FACE_TYPES, SEXES
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.hair_worn import USUAL, worn
from voicemesh.mesh.morphable import FaceMesh
from voicemesh.nets import devices
from voicemesh.systems import fusion
from voicemesh.systems.cmp import CrossModalPerceptionist, Perception
from voicemesh.systems.cmp_unsupervised import TEACHER, FaceReader
from voicemesh.systems.sf2f import GENERATOR as SPEECH_TO_FACE
from voicemesh.systems.sf2f import SpeechToFace

from . import photograph
from .certainty import Certainty
from .clock import Clock
from .comparison import Comparison, Several, compared, usual
from .imagining import Imaginer
from .judging import LABELS, estimate, measurements, percents, sex_of
from .matching import Matcher
from .photograph import Photographed
from .portrait import Pictured, Portrait

OVERLAY = 480  # pixels of the side of the pictured face and of the mesh over it


@dataclass(eq=False)
class Pipeline:
    """`pipeline(recording)` gives its portrait; the nets are loaded and ready."""

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

    def __call__(
        self, recording: Recording | str | Path, picture: bool = True, style: str | None = None
    ) -> Portrait:
        """The face that a voice suggests, with how sure each part of it is.

        The recording may be the path of one. Without `picture` the image branch waits until
        `pictured` asks it. `style` is the hair that the head wears; None leaves it to custom.

        Raises:
            UnusableRecording: it cannot be read, or there is too little speech in it.
        """
        if not isinstance(recording, Recording):
            recording = recordings.load(recording)
        clock = Clock()
        portrait = self.portrait(*self.hear(recording, clock), clock, style=style)
        return self.pictured(portrait) if picture else portrait

    def hear(
        self, recording: Recording, clock: Clock | None = None
    ) -> tuple[
        Perception, Recording, Int[np.ndarray, "segments 2"], Float[np.ndarray, "mels frames"]
    ]:
        """What `portrait` needs of a recording."""
        clock = clock or Clock()
        speech, segments = vad.speech(recording)
        clock.lap("finding speech")
        heard = self.system.perceive(torch.from_numpy(speech)[None].to(self.device))
        clock.lap("listening")
        return heard, recording, segments, np.asarray(features.log_mel_picture(recording.waveform))

    @property
    def uncertainty(self) -> Float32[np.ndarray, " v"] | None:
        """Millimetres within which 80 % of people lie around each vertex, after one recording."""
        return self.certainty.uncertainty

    @cached_property
    def matcher(self) -> Matcher | None:
        """What finds people in the bundle's gallery; None without a gallery or nets for it."""
        if self.bundle.gallery_folder is None:
            return None
        matcher = Matcher(self.bundle, self.device)
        return matcher if matcher.names else None

    @cached_property
    def imaginer(self) -> Imaginer | None:
        """What makes face images of voices; None if the bundle has no nets for it."""
        return Imaginer(self.bundle, self.device) if Imaginer.fits(self.bundle) else None

    @cached_property
    def speech_to_face(self) -> SpeechToFace | None:
        """What fuses the segments of a voice into one image; None without a net for it."""
        if SPEECH_TO_FACE not in self.bundle.parts:
            return None
        return SpeechToFace.from_bundle(self.bundle, self.device)

    @cached_property
    def reader(self) -> FaceReader | None:
        """What reads the heads of photographs; None if the bundle has no net for it."""
        if TEACHER not in self.bundle.parts:
            return None
        return FaceReader.of_photographs(self.bundle, self.system.face_model, self.device)

    def photograph(self, picture: images.Picture, name: str = "The photograph") -> Photographed:
        """The head of the largest face on a photograph.

        Raises:
            UnusablePhotograph: there is no face on it, or it is too small.
            ValueError: the bundle cannot read photographs.
        """
        if self.reader is None:
            raise ValueError(f"The bundle {self.bundle.title!r} has no part {TEACHER!r}")
        model = self.system.face_model
        return photograph.read(
            self.reader,
            images.find_face(picture, name),
            name,
            lambda resting: sex_of(self.distances(resting)),
            lambda resting, sex: measurements(model, self.system.statistics, resting, sex),
        )

    def of_file(self, path: str | Path) -> Portrait | Photographed:
        """Whatever a file tells: a recording, published features or a photograph, by its suffix.

        Raises:
            UnusableRecording, UnusablePhotograph: nothing that could be used.
        """
        path = Path(path)
        if path.suffix.lower() == feature_files.SUFFIX:
            return self.of_features(path)
        if path.suffix.lower() in images.SUFFIXES:
            return self.photograph(images.read(path), path.name)
        return self.matched(self(recordings.load(path)))

    def matched(self, portrait: Portrait, same_sex: bool = False) -> Portrait:
        """The portrait with the people whose faces fit its voice, by every system of the bundle."""
        if self.matcher is None or not len(portrait.recording.waveform):
            return portrait
        sex = (portrait.sex or None) if same_sex else None
        found = (
            self.matcher.of_voice(portrait.speech, space, sex, portrait.sex)
            for space in self.matcher.names
            if "faces" in self.matcher.sides(space)
        )
        return replace(portrait, matches=tuple(found))

    @cached_property
    def repeats(self) -> dict[str, Tensor]:
        """How readings of one voice vary; empty where the bundle does not know."""
        known = fusion.PART in self.bundle.parts
        tensors = self.bundle.tensors(fusion.PART) if known else {}
        return {name: value.to(self.device) for name, value in tensors.items()}

    def several(self, recordings: Sequence[Recording]) -> Several:
        """One portrait of several recordings of one voice, and how well they agree.

        Raises:
            UnusableRecording: there is too little speech in one of them, or only one is given.
        """
        if len(recordings) < 2:
            raise UnusableRecording("Two or more recordings of one voice are needed.")
        clock = Clock()
        heard = [self.hear(recording) for recording in recordings]
        each = [self.portrait(*one, Clock()) for one in heard]
        clock.lap("reading each recording")
        count, model = len(each), self.system.face_model
        certainty = self.certainty_after(count)
        perceptions, _, segments, log_mels = zip(*heard, strict=True)
        lengths = [len(recording.waveform) for recording in recordings]
        starts = np.cumsum([0, *lengths[:-1]])
        together = Recording(
            np.concatenate([recording.waveform for recording in recordings]),
            " + ".join(recording.name for recording in recordings),
            notes=tuple(f"{one.name}: {note}" for one in recordings for note in one.notes),
        )
        fused = self.portrait(
            fusion.together(self.system, perceptions),
            together,
            np.concatenate([one + start for one, start in zip(segments, starts, strict=True)]),
            np.concatenate(log_mels, axis=1),
            clock,
            certainty,
        )
        points = model.vertices(torch.stack([one.shape_params[0] for one in perceptions]))
        away = (points - points.mean(0)).square().sum(2)
        pairs = torch.combinations(torch.arange(count)).T
        apart = (points[pairs[0]] - points[pairs[1]]).square().sum(2).mean(1).sqrt()
        shares = None
        if self.certainty.lengths is not None and certainty is not self.certainty:
            shares = 1 - float((certainty.lengths / self.certainty.lengths).mean())
        between = float(apart.mean())
        return Several(
            each=tuple(each),
            fused=fused,
            apart=away.mean(0).sqrt().cpu().numpy(),
            distances=tuple(away.mean(1).sqrt().tolist()),
            between=between,
            narrower=shares,
            usual=usual(between, self.repeats),
        )

    def certainty_after(self, count: int) -> Certainty:
        """How sure an estimate from so many recordings is; as from one where it is not known."""
        if not self.repeats:
            return self.certainty
        if count not in self.certainties:
            self.certainties[count] = self.certainty.after(count, self.system, self.repeats)
        return self.certainties[count]

    def compare(
        self, first: Portrait | Photographed, second: Portrait | Photographed
    ) -> Comparison:
        """The resting heads of two voices or photographs, and where they differ."""
        labels = [LABELS.get(name, name) for name in self.system.face_model.measures]
        shapes = (self.shape_of(portrait.parameters) for portrait in (first, second))
        comparison = compared(self.system.face_model, *shapes, labels, self.parts)
        if isinstance(first, Photographed) or isinstance(second, Photographed):
            return comparison
        return replace(comparison, usual=usual(comparison.distance, self.repeats))

    @cached_property
    def parts(self) -> dict[str, Int[Tensor, " _"]]:
        """The vertices of each part of the head."""
        return parts_of(self.system.face_model)

    def shape_of(self, parameters: Float32[np.ndarray, " params"]) -> Float[Tensor, " s"]:
        """The shape parameters among all of a portrait's."""
        shapes = self.system.face_model.shape_basis.shape[2]
        return torch.from_numpy(parameters[1 : 1 + shapes]).to(self.device)

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
        return self.pictured(self.portrait(heard, silent, np.array([[0, samples]]), log_mel, clock))

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

    def pictured(self, portrait: Portrait) -> Portrait:
        """The portrait with what the image branch makes of its voice, if the bundle has one."""
        images = self.system.images
        if self.speech_to_face is not None and len(portrait.recording.waveform):
            speech = torch.from_numpy(portrait.speech)
            portrait = replace(portrait, spoken=self.speech_to_face.imagine(speech))
        if images is None:
            return portrait
        faces = images.imagine(torch.from_numpy(portrait.embedding)[None].to(self.device))
        resting = self.system.face_model.vertices(faces.shape_params[0])
        sex = sex_of(self.distances(resting))
        told = Pictured(
            image=images.picture(faces, size=OVERLAY),
            overlay=images.overlay(faces, size=OVERLAY),
            face=images.mesh(faces),
            sex=sex,
            percents=percents(self.system.face_model, resting, self.references.get(sex)),
            parameters=faces.parameters[0].float().cpu().numpy(),
        )
        return replace(portrait, pictured=told)

    def distances(self, resting: Float[Tensor, "v 3"]) -> dict[str, float]:
        """To every reference face, in mm, root mean square over the vertices."""
        return {
            name: float((resting - reference).square().sum(1).mean().sqrt())
            for name, reference in self.references.items()
        }

    def average(self) -> FaceMesh:
        """The face between the mean woman and the mean man: what a voice unheard suggests."""
        model, statistics = self.system.face_model, self.system.statistics
        means = [statistics[f"mean_{sex}"] for sex in SEXES if f"mean_{sex}" in statistics]
        middle = torch.stack(means).mean(0) if means else torch.zeros_like(model.shape_mean)
        return model.mesh(middle)

    def warm_up(self) -> None:
        """Run every stage once, so that nobody waits for compilation; pictures gain shade."""
        average = self.average()
        self.openness = render.openness_of(average)
        self.worn(average, "short")
        noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
        vad.segments(noise)
        features.log_mel_picture(noise)
        self.system.perceive(torch.from_numpy(noise)[None].to(self.device))
        if self.matcher is not None:
            for space in self.matcher.spaces.values():
                space.embed_voice(torch.from_numpy(noise))
        if self.imaginer is not None:
            self.imaginer.first(noise)
        render.portrait(average, size=64, openness=self.openness)


def load(bundle: str | Path | None = None, device: torch.device | str | None = None) -> Pipeline:
    """The pipeline of a bundle: the embedded one, a folder, or `owner/name[@revision]` on the Hub.

    Without a device the first CUDA GPU is taken if there is one, else the CPU.

    Raises:
        ValueError: no such bundle or device.
    """
    chosen, opened = devices.chosen(device), Bundle.open(bundle)
    return Pipeline(CrossModalPerceptionist.from_bundle(opened, chosen), opened, chosen)

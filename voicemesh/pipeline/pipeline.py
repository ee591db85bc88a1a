"""One recording in, one portrait out: the whole product on one screen."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from voicemesh import images
from voicemesh.audio import feature_files, features, vad
from voicemesh.audio import recording as recordings
from voicemesh.audio.recording import SAMPLE_RATE, Recording, UnusableRecording
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_TEACHER, CMP_VOICE, SF2F_GENERATOR
from voicemesh.mesh import render
from voicemesh.mesh.hair_worn import USUAL
from voicemesh.nets import devices
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.systems.cmp_unsupervised import FaceReader
from voicemesh.systems.sf2f import VOICE2FACE, SpeechToFace, VoiceToFace
from voicemesh.systems.voicestyle_asked import Wish

from . import photograph, several
from .clock import Clock
from .comparison import Comparison, Several, compared, usual
from .imagining import Imaginer
from .judging import LABELS, measurements, percents, sex_of
from .matching import Matcher
from .photograph import Photographed
from .portrait import Pictured, Portrait
from .portrayer import Portrayer

log = logging.getLogger(__name__)

Comparable = Portrait | Photographed | str | os.PathLike[str]
OVERLAY = 480  # pixels of the side of the pictured face and of the mesh over it


@dataclass(eq=False)
class Pipeline(Portrayer):
    """`pipeline(recording)` gives its portrait; the nets are loaded and ready."""

    pictures: Bundle | None = None  # whose face images are shown, where it is another bundle

    def __repr__(self) -> str:
        return f"Pipeline({self.bundle.title!r} on {self.device})"

    def __call__(
        self,
        recording: Recording | str | os.PathLike[str],
        picture: bool = True,
        style: str | None = None,
    ) -> Portrait:
        """The face that a voice suggests, with how sure each part of it is.

        The recording may be the path of one. Without `picture` the image branch waits until
        `pictured` asks it. `style` is the hair that the head wears; None leaves it to custom.

        Raises:
            UnusableRecording: it cannot be read, or there is too little speech in it.
            ValueError: it is neither a recording nor a path, or there is no such hair.
        """
        clock = Clock()
        heard = self.hear(recordings.of(recording), clock)
        portrait = self.portrait(*heard, clock, style=style)
        return self.pictured(portrait) if picture else portrait

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
        bundle = self._with(*Imaginer.parts)
        return Imaginer(bundle, self.device) if bundle else None

    @cached_property
    def speech_to_face(self) -> SpeechToFace | None:
        """What fuses the segments of a voice into one image; None without a net for it."""
        bundle = self._with(SF2F_GENERATOR)
        return SpeechToFace.from_bundle(bundle, self.device) if bundle else None

    @cached_property
    def voice_to_face(self) -> VoiceToFace | None:
        """What makes one image of a voice as a whole; None without voice2face's nets."""
        bundle = self._with(*VOICE2FACE)
        return VoiceToFace.from_bundle(bundle, self.device) if bundle else None

    def _with(self, *parts: str) -> Bundle | None:
        """The bundle that has these parts: the one whose images were asked for before ours."""
        bundles = (self.pictures, self.bundle)
        return next((one for one in bundles if one and one.parts.keys() >= {*parts}), None)

    @cached_property
    def reader(self) -> FaceReader | None:
        """What reads the heads of photographs; None if the bundle has no net for it."""
        if CMP_TEACHER not in self.bundle.parts:
            return None
        return FaceReader.of_photographs(self.bundle, self.system.face_model, self.device)

    def photograph(
        self,
        picture: images.Picture | Image.Image | str | os.PathLike[str],
        name: str = "The photograph",
    ) -> Photographed:
        """The head of the largest face on a photograph, which may be the path of one.

        Raises:
            UnusablePhotograph: there is no face on it, or it is too small.
            ValueError: the bundle cannot read photographs, or this is none.
        """
        if self.reader is None:
            raise ValueError(f"The bundle {self.bundle.title!r} has no part {CMP_TEACHER!r}")
        if isinstance(picture, str | os.PathLike):
            picture, name = images.read(picture), Path(picture).name
        picture = np.asarray(picture)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                "A photograph is the path of one or a uint8 array [height, width, 3], given "
                f"{picture.dtype} {list(picture.shape)}"
            )
        model = self.system.face_model
        return photograph.read(
            self.reader,
            images.find_face(picture, name),
            name,
            lambda resting: sex_of(self.distances(resting)),
            lambda resting, sex: measurements(model, self.system.statistics, resting, sex),
        )

    def of_file(self, path: str | os.PathLike[str]) -> Portrait | Photographed:
        """Whatever a file tells: a recording, published features or a photograph, by its suffix.

        Raises:
            UnusableRecording, UnusablePhotograph: nothing that could be used.
        """
        path = Path(path)
        if path.suffix.lower() == feature_files.SUFFIX:
            return self.of_features(path)
        if path.suffix.lower() in images.SUFFIXES:
            return self.photograph(path)
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

    def several(self, given: Sequence[Recording | str | os.PathLike[str]]) -> Several:
        """One portrait of several recordings of one voice, or their paths, and how they agree.

        Raises:
            UnusableRecording: there is too little speech in one of them, or only one is given.
        """
        return several.portray(self, [recordings.of(one) for one in given])

    def compare(self, first: Comparable, second: Comparable) -> Comparison:
        """The resting heads of two voices or photographs, or of their files: where they differ."""
        first, second = (
            one if isinstance(one, Portrait | Photographed) else self.of_file(one)
            for one in (first, second)
        )
        labels = [LABELS.get(name, name) for name in self.system.face_model.measures]
        shapes = (self.shape_of(portrait.parameters) for portrait in (first, second))
        comparison = compared(self.system.face_model, *shapes, labels, self.parts)
        if isinstance(first, Photographed) or isinstance(second, Photographed):
            return comparison
        return replace(comparison, usual=usual(comparison.distance, self.repeats))

    def of_features(self, path: str | os.PathLike[str]) -> Portrait:
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

    def pictured(self, portrait: Portrait) -> Portrait:
        """The portrait with what the image branch makes of its voice, if the bundle has one."""
        images = self.system.images
        if self.speech_to_face is not None and len(portrait.recording.waveform):
            speech = torch.from_numpy(portrait.speech)
            portrait = replace(portrait, spoken=self.speech_to_face.imagine(speech))
        if self.voice_to_face is not None and len(portrait.recording.waveform):
            speech = torch.from_numpy(portrait.speech)
            portrait = replace(portrait, in_one_piece=self.voice_to_face.imagine(speech))
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

    def warm_up(self) -> None:
        """Run every stage once, so that nobody waits for compilation; pictures gain shade."""
        average = self.average()
        self.openness = render.openness_of(average)
        for style in dict.fromkeys(USUAL.values()):
            self.worn(average, style)
        noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
        vad.segments(noise)
        features.log_mel_picture(noise)
        self.system.perceive(torch.from_numpy(noise)[None].to(self.device))
        if self.matcher is not None:
            for space in self.matcher.spaces.values():
                space.embed_voice(torch.from_numpy(noise))
        if self.imaginer is not None:
            growing = self.imaginer.imagine(self.imaginer.hear(noise), Wish())
            next(growing)
            if self.device.type == "cuda":  # kernels of gradients are compiled when they first run
                next(growing)
        render.portrait(average, size=64, openness=self.openness)


def load(bundle: str | Path | None = None, device: torch.device | str | None = None) -> Pipeline:
    """The pipeline of a bundle: the embedded one, a folder, or `owner/name[@revision]` on the Hub.

    Without a device the first CUDA GPU is taken if there is one, else the CPU. Of a bundle that
    makes face images and no heads come the images, all else is the embedded bundle's.

    Raises:
        ValueError: no such bundle or device, or a bundle that makes neither.
    """
    chosen, opened = devices.chosen(device), Bundle.open(bundle)
    pictures = None
    if CMP_VOICE not in opened.parts:
        ways = ({*Imaginer.parts}, {SF2F_GENERATOR}, {*VOICE2FACE})
        if not any(opened.parts.keys() >= parts for parts in ways):
            missing = ", ".join(map(repr, Imaginer.missing(opened)))
            raise ValueError(
                f"{opened.folder} makes no heads, for it has no {CMP_VOICE!r}, and no face images,"
                f" for it has no {missing}; convert or publish more into it"
            )
        pictures, opened = opened, Bundle.open()
        log.info("%s makes images and no heads; those are the embedded bundle's", pictures.folder)
    system = CrossModalPerceptionist.from_bundle(opened, chosen)
    return Pipeline(system, opened, chosen, pictures)

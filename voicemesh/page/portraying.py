"""From what a visitor gave to what the page shows: the portrait first, then its evidence."""

import time
from dataclasses import replace
from typing import Any

import gradio as gr

from voicemesh import figures
from voicemesh.audio import recording
from voicemesh.audio.recording import UnusableRecording
from voicemesh.mesh.hair_worn import USUAL
from voicemesh.mesh.morphable import FaceMesh
from voicemesh.pipeline import Pipeline, Portrait

from .cards import empty, summary
from .lengths import measurements

LIMIT = 60.0  # seconds of a recording that are used

Shown = tuple[Portrait, dict[str, Any]]  # and its head
Told = tuple[str, str, str, dict[str, Any], str, str]


def heard(path: str | None) -> recording.Recording:
    """A visitor's recording, or an error that tells what to do."""
    if not path:
        raise gr.Error("Record your voice or choose a file first.", print_exception=False)
    try:
        return recording.load(path, limit=LIMIT)
    except UnusableRecording as error:
        raise refused(error) from error


def refused(error: ValueError) -> gr.Error:
    """An expected error as the page shows it."""
    return gr.Error(str(error), title="No face from this", print_exception=False)


def portray(whole: Pipeline, path: str | None, view: str, asked: str | None = None) -> Shown:
    """A recording to its portrait and head, which come before anything that is told of them.

    `asked` is the hair that the visitor wants; None leaves it to custom.
    """
    started = time.perf_counter()
    voice = heard(path)
    read = time.perf_counter() - started
    try:
        portrait = whole(voice, picture=False, style=asked)
    except UnusableRecording as error:
        raise refused(error) from error
    return drawn(portrait, view, {"reading the file": read})


def of_features(whole: Pipeline, path: str, view: str, asked: str | None = None) -> Shown:
    """The same of a published feature file."""
    try:
        return drawn(wearing(whole, whole.of_features(path), asked), view, {})
    except UnusableRecording as error:
        raise refused(error) from error


def drawn(portrait: Portrait, view: str, timings: dict[str, float]) -> Shown:
    """A portrait that knows what its drawing took, and its head."""
    started = time.perf_counter()
    head = head_of(portrait, view)
    timings = {**timings, **portrait.timings, "drawing": time.perf_counter() - started}
    return replace(portrait, timings=timings), head


def wearing(whole: Pipeline, portrait: Portrait, asked: str | None) -> Portrait:
    """The portrait in the hair that was asked for."""
    return portrait if asked is None else replace(portrait, hair=whole.worn(portrait.face, asked))


def head_of(portrait: Portrait, view: str) -> dict[str, Any]:
    """The head of a portrait in one of its views, for a page that shows another already."""
    return figures.head(sitter_of(portrait), seen_in(portrait, view), alone=True).sent()


def views_of(portrait: Portrait, view: str) -> dict[str, Any]:
    """The views of a head that `head_of` left out."""
    return dict(figures.other_views(sitter_of(portrait), seen_in(portrait, view)))


def evidence(portrait: Portrait, view: str) -> Told:
    """What may follow the head: caption, facts, time; its other views, its lengths, the voice."""
    waveform = portrait.recording.waveform
    sound = figures.voice(waveform, portrait.segments, portrait.log_mel) if len(waveform) else ""
    caption = (
        f"<p>Not a likeness: the middle of all faces that fit these"
        f" {portrait.speech_seconds:.1f} s of speech. Hair, skin and eyes are set.</p>"
    )
    told = caption, summary(portrait), clock(portrait.timings)
    return *told, views_of(portrait, view), measurements(portrait), sound


def seen_in(portrait: Portrait, view: str) -> str:
    """The view that was asked for, if the portrait has it."""
    return view if view != "uncertainty" or portrait.uncertainty is not None else "skin"


def sitter_of(portrait: Portrait) -> figures.Sitter:
    """What figures need of a portrait."""
    return figures.Sitter(
        portrait.face, portrait.uncertainty, portrait.openness, portrait.material, portrait.hair
    )


def combed(whole: Pipeline, face: FaceMesh, sex: str) -> figures.Sitter:
    """A head without a portrait, in the hair that is the custom of its sex."""
    hair = whole.worn(face, USUAL[sex])
    return figures.Sitter(face, None, whole.openness, whole.material, hair)


def clock(timings: dict[str, float]) -> str:
    """Where the time went."""
    parts = " · ".join(
        f"{name} {1000 * seconds:.0f} ms" for name, seconds in timings.items() if name != "total"
    )
    total = sum(seconds for name, seconds in timings.items() if name != "total")
    return (
        f"<details class='clock'><summary>Heard and drawn in {total:.2f} s</summary>"
        f"<p>{parts}</p></details>"
    )


def waiting() -> tuple[str, str, str, str]:
    """What stands in the places of the results before there are any: their outlines."""
    return (
        "<p>The middle of all faces, before a voice is heard. Drag it to turn it.</p>",
        empty(),
        "<p class='clock'>&nbsp;</p>",
        "<p class='legend waiting'>Your voice will stand here, and when in it you spoke.</p>",
    )

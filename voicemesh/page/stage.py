"""The first screen: where a voice comes in, the head that it suggests, and what is told of both."""

from dataclasses import dataclass

import gradio as gr

from voicemesh.mesh.hair_worn import grows
from voicemesh.pipeline import Pipeline

from .files import FILES
from .portraying import waiting
from .recorder import offer_examples, recorder
from .words import HINT

VIEWS = [("Skin", "skin"), ("Grey", "grey"), ("How sure", "uncertainty")]
SKIN = "skin"  # the view in which hair is seen
HAIR = [("No hair", "none"), ("Short", "short"), ("Long", "long")]
FIRST_HAIR = "short"  # of the average head
CHOICE = {"show_label": False, "container": False, "elem_classes": "views"}


@dataclass(frozen=True)
class Stage:
    """What stands on it."""

    voice: gr.Audio
    run: gr.Button
    examples: gr.helpers.Examples
    view: gr.Radio
    hair: gr.Radio
    mesh: gr.Plot
    caption: gr.HTML
    facts: gr.HTML
    downloads: list[gr.DownloadButton]
    sound: gr.HTML
    timings: gr.HTML


def set_stage(whole: Pipeline) -> Stage:
    """The stage, on which the average head will stand."""
    words, cards, clock, silent = waiting()
    with gr.Row(elem_id="stage"):
        with gr.Column(elem_id="input", min_width=0):
            voice = recorder("Your voice", "voice")
            gr.HTML(HINT)
            run = gr.Button("Show the face", variant="primary", size="lg", elem_id="run")
            examples = offer_examples(voice)
        with gr.Column(elem_id="result", min_width=0):
            view, hair, mesh, caption = set_viewer(whole, words)
            facts = gr.HTML(cards, elem_id="facts")
            downloads = offer_files()
        with gr.Column(elem_id="evidence", min_width=0):
            sound = gr.HTML(silent, elem_id="sound")
            timings = gr.HTML(clock, elem_id="timings")
    return Stage(voice, run, examples, view, hair, mesh, caption, facts, downloads, sound, timings)


def set_viewer(whole: Pipeline, words: str) -> tuple[gr.Radio, gr.Radio, gr.Plot, gr.HTML]:
    """The head with the choices of its colours and its hair, and words below it."""
    with gr.Group(elem_id="viewer", elem_classes="viewer"):
        with gr.Row(elem_classes="choices"):
            view = gr.Radio(
                VIEWS, value=SKIN, label="Colouring of the head", elem_id="view", **CHOICE
            )
            hair = gr.Radio(
                HAIR,
                value=FIRST_HAIR,
                label="Hair, which no voice tells",
                visible=grows(whole.system.face_model),
                elem_id="hair",
                **CHOICE,
            )
        mesh = gr.Plot(show_label=False, container=False, elem_id="mesh", elem_classes="mesh")
        caption = gr.HTML(words, elem_id="caption")
    return view, hair, mesh, caption


def offer_files() -> list[gr.DownloadButton]:
    """One button for each kind of file, in the order of `FILES`."""
    with gr.Row(elem_id="downloads"):
        gr.HTML("<p>Save</p>", elem_classes="legend")
        return [
            gr.DownloadButton(label, size="sm", min_width=0, interactive=False)
            for label in FILES.values()
        ]

"""One voice: speak or choose a recording, see the face; the first thing on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from voicemesh import figures
from voicemesh.mesh.hair_worn import USUAL, grows
from voicemesh.pipeline import Pipeline, Portrait

from . import fused, image, matches
from .files import FILES, KEEP, save
from .portraying import evidence, head_of, of_features, portray, views_of, waiting, wearing
from .recorder import offer_examples, recorder
from .viewer import add_views, draw, switch_view
from .words import HINT, HONEST, measured

VIEWS = [("Skin", "skin"), ("Grey", "grey"), ("How sure", "uncertainty")]
HAIR = [("No hair", "none"), ("Short", "short"), ("Long", "long")]
SKIN = "skin"  # the view in which hair is seen
# What follows a head, a while later.
FOLLOWING = ("sound", "lengths", "imagined", "grown", "matches", "branches")
FIRST_HAIR = "short"  # of the average head
QUIET = {"show_progress": "hidden"}
NETS = {"concurrency_limit": 2, "concurrency_id": "nets", "show_progress": "minimal"}
PRIVATE = {"api_visibility": "private"}


@dataclass(frozen=True)
class Heard:
    """What other parts of the page build on."""

    portrait: gr.State
    mesh: gr.Plot
    first: gr.events.Dependency  # once the average head stands there


def find_faces(
    whole: Pipeline,
    section: tuple[gr.Radio, gr.Radio, gr.HTML],
    portrait: gr.State,
    voice: gr.Audio,
    events: Sequence[gr.events.Dependency],
) -> None:
    """Matches follow a portrait, and every change of what is asked of the gallery."""
    who, space, found = section

    def find(portrait: Portrait | None, path: str | None, space: str, who: str):
        if portrait is None:
            return gr.skip()
        if not len(portrait.recording.waveform):  # features are nothing to these nets
            return matches.waiting("faces")
        return matches.of_voice(whole, portrait, path, space, who)

    inputs, named = [portrait, voice, space, who], {"api_name": "matches"}
    for event in (*events, who, space):
        trigger = event.change if isinstance(event, gr.Radio) else event.success
        trigger(find, inputs, found, **named, **(NETS | QUIET))
        named = {"api_visibility": "private"}


def build(whole: Pipeline, page: gr.Blocks) -> Heard:
    """The stage with the head, and all that is told of it."""
    outlines = waiting()
    description = escape(whole.bundle.description)
    portrait = gr.State(time_to_live=KEEP)
    asked = gr.State()  # the hair that the visitor chose, if any
    head, others = gr.JSON(visible=False), gr.JSON(visible=False)  # what the browser draws
    with gr.Row(elem_id="stage"):
        with gr.Column(elem_id="input", min_width=0):
            voice = recorder("Your voice", "voice")
            gr.HTML(HINT)
            run = gr.Button("Show the face", variant="primary", size="lg", elem_id="run")
            examples = offer_examples(voice)
        with gr.Column(elem_id="result", min_width=0):
            with gr.Group(elem_id="viewer", elem_classes="viewer"):
                with gr.Row(elem_classes="choices"):
                    view = gr.Radio(
                        VIEWS,
                        value="skin",
                        label="Colouring of the head",
                        show_label=False,
                        container=False,
                        elem_id="view",
                        elem_classes="views",
                    )
                    hair = gr.Radio(
                        HAIR,
                        value=FIRST_HAIR,
                        label="Hair, which no voice tells",
                        show_label=False,
                        container=False,
                        visible=grows(whole.system.face_model),
                        elem_id="hair",
                        elem_classes="views",
                    )
                mesh = gr.Plot(
                    show_label=False, container=False, elem_id="mesh", elem_classes="mesh"
                )
                caption = gr.HTML(outlines[0], elem_id="caption")
            facts = gr.HTML(outlines[1], elem_id="facts")
            with gr.Row(elem_id="downloads"):
                gr.HTML("<p>Save as</p>", elem_classes="legend")
                buttons = [
                    gr.DownloadButton(label, size="sm", min_width=0, interactive=False)
                    for label in FILES.values()
                ]
        with gr.Column(elem_id="evidence", min_width=0):
            sound = gr.HTML(outlines[4], elem_id="sound")
            timings = gr.HTML(outlines[3], elem_id="timings")
    image_place = gr.Column(elem_id="imagining", min_width=0)
    with gr.Row(elem_id="beyond", elem_classes="pair"):
        faces = matches.section(whole, "faces", "matches")
    with gr.Column(elem_id="branches", elem_classes="sheet", visible=False) as branches:
        gr.HTML(image.BRANCHES, elem_classes="heading")
        both = gr.HTML()
    with gr.Row(elem_id="telling", elem_classes="pair"):
        with gr.Column(min_width=0):
            gr.HTML(HONEST.format(description=description, measured=measured(whole.bundle)))
            published = gr.UploadButton(
                "For research: read published log-mel features (.npy)",
                file_types=[".npy"],
                size="sm",
                variant="secondary",
                visible=whole.system.feature_voice is not None,
                elem_id="published",
            )
        with gr.Column(min_width=0):
            lengths = gr.HTML(outlines[2], elem_id="lengths")

    def show(path: str | None, view: str, asked: str | None):
        shown = portray(whole, path, view, asked)
        return *shown, asked or USUAL[shown[0].sex]

    def show_features(path: str, view: str, asked: str | None):
        shown = of_features(whole, path, view, asked)
        return *shown, asked or USUAL[shown[0].sex]

    def comb(portrait: Portrait | None, asked: str):
        if portrait is None:
            bare = average(whole, asked)
            head, others = figures.head(bare, SKIN, alone=True), figures.other_views(bare, SKIN)
            return asked, gr.skip(), head.sent(), others, SKIN
        portrait = wearing(whole, portrait, asked)
        return asked, portrait, head_of(portrait, SKIN), views_of(portrait, SKIN), SKIN

    def files(portrait: Portrait):
        portrait = whole.matched(whole.pictured(portrait))
        paths = save(portrait, Path(buttons[0].GRADIO_CACHE) / "portraits")
        return [gr.update(value=path, interactive=True) for path in paths]

    def anew(portrait: Portrait | None):
        return files(portrait) if portrait is not None else [gr.skip()] * len(buttons)

    def show_branches(portrait: Portrait):
        seen = whole.pictured(portrait)
        return gr.update(visible=True), image.branches(seen) + fused.fused(seen)

    results = [portrait, head, caption, facts, timings, hair]
    inputs = [voice, view, asked]
    pressed = run.click(show, inputs, results, api_name="portray", **NETS)
    chosen = examples.load_input_event.success(show, inputs, results, **PRIVATE, **NETS)
    given = published.upload(
        show_features, [published, view, asked], results, api_name="features", **NETS
    )
    # The head is drawn before anything else is asked for: the rest would only slow it down.
    proof, named = [others, lengths, sound], {"api_name": "evidence"}
    followed = []
    for event in (pressed, chosen, given):
        drawn = event.success(None, head, None, js=draw("mesh", FOLLOWING), **PRIVATE)
        followed.append(drawn.success(evidence, [portrait, view], proof, **named, **QUIET))
        followed[-1].success(None, [others, view], None, js=add_views("mesh"), **PRIVATE)
        named = PRIVATE
    with image_place:
        halts = (run.click, examples.dataset.click, published.upload)
        image.build(whole, portrait, followed, halts)
    if faces:
        find_faces(whole, faces, portrait, voice, followed)
    if whole.system.images is not None or whole.speech_to_face is not None:
        for event in followed:
            event.success(show_branches, portrait, [branches, both], **PRIVATE, **QUIET)
    named = {"api_name": "files"}
    for event in followed:
        event.success(files, portrait, buttons, **named, **QUIET)
        named = PRIVATE
    view.change(None, view, None, js=switch_view("mesh"), **PRIVATE)
    worn = [asked, portrait, head, others, view]
    combed = hair.input(comb, [portrait, hair], worn, **PRIVATE, **NETS)
    redrawn = combed.success(None, head, None, js=draw("mesh"), **PRIVATE)
    redrawn.success(None, [others, view], None, js=add_views("mesh"), **PRIVATE)
    redrawn.success(anew, portrait, buttons, **PRIVATE, **QUIET)
    first = page.load(
        lambda: figures.head(average(whole)).figure(), None, mesh, api_name="average", **QUIET
    )
    return Heard(portrait, mesh, first)


def average(whole: Pipeline, style: str = FIRST_HAIR) -> figures.Sitter:
    """The head that is there before anybody has spoken."""
    face = whole.average()
    worn = whole.worn(face, style)
    return figures.Sitter(face, whole.uncertainty, whole.openness, whole.material, worn)

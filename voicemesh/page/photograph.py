"""A photograph: its head, beside the one that the voice suggests, and voices that fit the face."""

import json
from collections.abc import Sequence
from html import escape

import gradio as gr

from voicemesh import figures, images
from voicemesh.pipeline import Photographed, Pipeline, Portrait

from . import matches
from .comparison import parts_table
from .files import KEEP
from .lengths import measurements_of
from .pictures import figure
from .portraying import combed
from .viewer import draw, keep, switch_view
from .voice import NETS, PRIVATE, Heard

ALONE = [("Skin", "skin"), ("Grey", "grey")]
BESIDE = [("Voice", "voice"), ("Photograph", "photograph"), ("Difference", "difference")]
STANDING = ("photo-viewer", "photo-pictures", "photo-table", "voice-matches")
WORDS = """<p class="hint">A face from the front, evenly lit. It is read where this page is served
and not kept. Use only photographs whose owners agree. Size and depth cannot be seen on one
photograph: the mesh takes them from the faces that it learnt from, which were all rendered.</p>"""
WAITING = "<p>Choose a photograph, and the head that is read from it stands here.</p>"


def look(whole: Pipeline, path: str | None) -> Photographed:
    """A visitor's photograph, or an error that tells what to do."""
    if not path:
        raise gr.Error("Choose or take a photograph first.", print_exception=False)
    try:
        return whole.photograph(images.read(path))
    except images.UnusablePhotograph as error:
        raise gr.Error(str(error), title="No head from this", print_exception=False) from error


def read(
    whole: Pipeline, path: str | None, portrait: Portrait | None
) -> tuple[Photographed, str, object, object, str, str]:
    """A photograph to everything that the page shows of it; what was read comes first."""
    seen = look(whole, path)
    pictures = side_by_side(seen)
    if portrait is None:
        drawing = figures.head(combed(whole, seen.face, seen.sex))
        views = gr.update(choices=ALONE, value="skin", visible=True)
        words = (
            "The head on the photograph; hair and skin are set. Let a voice be heard on the first"
            " tab to compare both."
        )
        return seen, pictures, drawing.sent(), views, f"<p>{words}</p>", measurements_of(seen)
    comparison = whole.compare(portrait, seen)
    heads = comparison.first, comparison.second
    sitters = [
        combed(whole, head, sex) for head, sex in zip(heads, (portrait.sex, seen.sex), strict=True)
    ]
    drawing = figures.difference(sitters, comparison.outward, ("voice", "photograph"))
    caption = (
        f"<p>How far the photographed head stands out of the voice's;"
        f" {comparison.distance:.1f} mm apart over the whole head</p>"
    )
    views = gr.update(choices=BESIDE, value="difference", visible=True)
    table = parts_table(comparison, ("voice", "photo"))
    return seen, pictures, drawing.sent(), views, caption, table


def side_by_side(seen: Photographed) -> str:
    """The crop and the mesh on it."""
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in seen.notes)
    return (
        f"{notes}<div class='pictures'>"
        + figure(seen.picture, "The face", "as it was cropped")
        + figure(seen.overlay, "The head", "that was read, laid on it")
        + "</div>"
    )


def build(whole: Pipeline, voice: Heard) -> gr.Plot:
    """The tab; the place of its heads."""
    drawn = gr.JSON(visible=False)  # what the browser draws
    state = gr.State(time_to_live=KEEP)
    with gr.Row(elem_classes="pair"):
        with gr.Column(min_width=0):
            photograph = gr.Image(
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                label="A face",
                elem_id="photograph",
                height=320,
                buttons=[],
            )
            gr.HTML(WORDS)
            run = gr.Button("Read the face", variant="primary", size="lg", elem_id="read")
            examples = offer_portraits(photograph)
            pictures = gr.HTML(elem_id="photo-pictures")
        with gr.Column(min_width=0):
            with gr.Group(elem_id="photo-viewer", elem_classes="viewer"):
                with gr.Row(elem_classes="choices"):
                    view = gr.Radio(
                        ALONE,
                        value="skin",
                        label="Colouring of the heads",
                        show_label=False,
                        container=False,
                        visible=False,
                        elem_id="photo-view",
                        elem_classes="views",
                    )
                mesh = gr.Plot(
                    show_label=False, container=False, elem_id="photo-mesh", elem_classes="mesh"
                )
                caption = gr.HTML(WAITING, elem_classes="caption")
            table = gr.HTML(elem_id="photo-table")
    with gr.Row(elem_classes="pair"):
        voices = matches.section(whole, "voices", "voice-matches")

    def show(path: str | None, portrait: Portrait | None):
        return read(whole, path, portrait)

    inputs, results = [photograph, voice.portrait], [state, pictures, drawn, view, caption, table]
    pressed = run.click(show, inputs, results, api_name="photograph", **NETS)
    chosen = examples.load_input_event.success(show, inputs, results, **PRIVATE, **NETS)
    for event in (pressed, chosen):
        event.success(None, drawn, None, js=draw("photo-mesh"), **PRIVATE)
        event.failure(None, None, None, js=keep("photo-mesh", STANDING), **PRIVATE)
    if voices:
        find_voices(whole, voices, state, [pressed, chosen])
    view.change(None, view, None, js=switch_view("photo-mesh"), **PRIVATE)
    return mesh


def offer_portraits(photograph: gr.Image) -> gr.helpers.Examples:
    """Rendered portraits of the people whose voices ship with the page."""
    entries = json.loads((matches.EXAMPLES / "examples.json").read_text())
    return gr.Examples(
        [[str(matches.EXAMPLES / entry["picture"])] for entry in entries],
        photograph,
        label="Or try the rendered portrait of a synthetic voice's owner",
        example_labels=[entry["label"] for entry in entries],
        elem_id="portraits",
    )


def find_voices(
    whole: Pipeline,
    section: tuple[gr.Radio, gr.Radio, gr.HTML],
    state: gr.State,
    events: Sequence[gr.events.Dependency],
) -> None:
    """Voices follow a photograph, and every change of what is asked of the gallery."""
    who, space, found = section

    def find(seen: Photographed | None, space: str, who: str):
        return gr.skip() if seen is None else matches.of_face(whole, seen, space, who)

    inputs, named = [state, space, who], {"api_name": "voices"}
    for event in (*events, who, space):
        trigger = event.change if isinstance(event, gr.Radio) else event.success
        trigger(find, inputs, found, **named, **(NETS | {"show_progress": "hidden"}))
        named = {"api_visibility": "private"}

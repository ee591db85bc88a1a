"""Other ways from a voice to a face: a head through an image, and images that are faces alone."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from voicemesh.mesh.landmarks import RATIO_LABELS, RATIOS
from voicemesh.pipeline import Pipeline, Portrait

from .cards import signed
from .fused import fused, in_one_piece
from .pictures import figure

HEADING = """<h2>The same voice through an image</h2><p>A second way to a head, learnt without
any pair of a voice and a 3D face: imagine a face image, then read its head as if it were a
photograph. A voice leaves most of a face open, so the image is the soft average of those that
fit.</p>"""


def section(whole: Pipeline) -> tuple[gr.Column, gr.HTML] | None:
    """The place of the other ways, not yet seen; None if the bundle has no nets for one."""
    ways = whole.system.images, whole.speech_to_face, whole.voice_to_face
    if all(way is None for way in ways):
        return None
    with gr.Column(elem_id="branches", elem_classes="sheet", visible=False) as place:
        told = gr.HTML()
    return place, told


def show(
    whole: Pipeline,
    place: tuple[gr.Column, gr.HTML],
    portrait: gr.State,
    events: Sequence[gr.events.Dependency],
) -> None:
    """The other ways follow a portrait."""

    def tell(portrait: Portrait):
        told = branches(whole.pictured(portrait))
        return gr.update(visible=bool(told)), told

    for event in events:
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        event.success(tell, portrait, list(place), **quiet)


def branches(portrait: Portrait) -> str:
    """All other ways that a portrait knows, each under its heading."""
    return through_image(portrait) + fused(portrait) + in_one_piece(portrait)


def through_image(portrait: Portrait) -> str:
    """The image branch of a portrait beside the direct one; nothing if there is none."""
    pictured = portrait.pictured
    if pictured is None:
        return ""
    pictures = figure(pictured.image, "Imagined", "the average of all faces that fit") + figure(
        pictured.overlay, "Read", "its head, laid on it"
    )
    rows = "".join(
        f"<div class='part'><span>{escape(RATIO_LABELS[name])}</span>"
        f"<span>{percent(portrait.percents.get(name))}</span>"
        f"<span>{percent(pictured.percents.get(name))}</span></div>"
        for name in RATIOS
    )
    agree = "Both ways lead to" if portrait.sex == pictured.sex else "The two ways disagree:"
    sexes = dict.fromkeys((portrait.sex, pictured.sex))
    told = f"{agree} {' and '.join(f'a {sex} face' for sex in sexes if sex)}."
    head = "<span>Against the mean face of its sex</span><span>directly</span><span>by image</span>"
    table = f"<div class='part head'>{head}</div>{rows}<p class='legend'>{told}</p>"
    return (
        f"{HEADING}<div class='branches'><div class='pictures'>{pictures}</div>"
        f"<div>{table}</div></div>"
    )


def percent(value: float | None) -> str:
    """A difference in percent with its sign."""
    return "" if value is None else f"{signed(value)} %"

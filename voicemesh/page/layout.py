"""The whole page: one tab for each thing that a visitor can do with a pipeline."""

from html import escape

import gradio as gr

from voicemesh.pipeline import Pipeline

from . import comparison, photograph, voice
from .files import KEEP
from .recorder import EXAMPLES
from .viewer import ATTEND, LEND
from .words import HEADER, device_name


def build_page(whole: Pipeline) -> gr.Blocks:
    """The page of a pipeline; what its bundle cannot do is not on it."""
    gr.set_static_paths(EXAMPLES)  # or copies would be served, and swept like a visitor's files
    with gr.Blocks(
        title="voicemesh", analytics_enabled=False, delete_cache=(KEEP // 2, KEEP)
    ) as page:
        gr.HTML(HEADER.format(title=escape(whole.bundle.title), device=device_name(whole)))
        with gr.Tabs(elem_id="rooms") as rooms:
            with gr.Tab("One voice", id="voice"):
                heard = voice.build(whole, page)
            with gr.Tab("Compare voices", id="compare"):
                places = [comparison.build(whole)]
            if whole.reader is not None:
                with gr.Tab("A photograph", id="photograph"):
                    places.append(photograph.build(whole, heard))
        # A plot that stands there already is drawn anew in half the time that a first one takes.
        lend = LEND.format(count=len(places))
        heard.first.success(None, heard.mesh, places, js=lend, api_visibility="private")
        for shown in (page.load, rooms.select):
            shown(None, None, None, js=ATTEND, api_visibility="private")
    return page

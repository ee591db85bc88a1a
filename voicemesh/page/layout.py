"""The whole page: one tab for each thing that a visitor can do with a pipeline."""

from html import escape

import gradio as gr

from voicemesh.pipeline import Pipeline

from . import comparison, photograph, voice
from .files import KEEP
from .words import HEADER, device_name


def build_page(whole: Pipeline) -> gr.Blocks:
    """The page of a pipeline; what its bundle cannot do is not on it."""
    with gr.Blocks(
        title="voicemesh", analytics_enabled=False, delete_cache=(KEEP // 2, KEEP)
    ) as page:
        gr.HTML(HEADER.format(title=escape(whole.bundle.title), device=device_name(whole)))
        with gr.Tabs(elem_id="rooms"):
            with gr.Tab("One voice", id="voice"):
                heard = voice.build(whole, page)
            with gr.Tab("Compare", id="compare"):
                comparison.build(whole)
            if whole.reader is not None:
                with gr.Tab("A photograph", id="photograph"):
                    photograph.build(whole, heard)
    return page

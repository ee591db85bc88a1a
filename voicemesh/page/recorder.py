"""Where a voice comes in: microphone, files, and the examples that ship with the page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from voicemesh.audio import recording

from .theme import ASSETS

EXAMPLES = ASSETS / "examples"


def recorder(label: str, elem_id: str) -> gr.Audio:
    """Where a voice comes in; the file arrives as it was chosen."""
    recorder = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        format=None,
        label=label,
        elem_id=elem_id,
        elem_classes="recorder",
        buttons=["download"],  # and none that would send a voice to a server elsewhere
        waveform_options=gr.WaveformOptions(
            sample_rate=recording.SAMPLE_RATE,
            waveform_color="#94a3b8",
            waveform_progress_color="#c65b3a",
        ),
    )
    recorder.postprocess = unprobed(recorder.postprocess)
    return recorder


def unprobed(postprocess: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same for all but the page's own examples: each of those would be probed at the start."""

    def told(value: Any) -> Any:
        if isinstance(value, str) and Path(value).parent == EXAMPLES:
            return FileData(path=value, orig_name=Path(value).name)
        return postprocess(value)

    return told


def offer_examples(voice: gr.Audio) -> gr.helpers.Examples:
    """The voices that ship with the page, and what they are."""
    entries = json.loads((EXAMPLES / "examples.json").read_text())
    return gr.Examples(
        [[str(EXAMPLES / entry["file"])] for entry in entries],
        voice,
        label="Or try a synthetic voice (computed, nobody's recording)",
        example_labels=[entry["label"] for entry in entries],
        elem_id="examples",
    )

"""One voice: speak or choose a recording, see the face; the first thing on the page."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from voicemesh import figures
from voicemesh.audio import recording
from voicemesh.audio.recording import UnusableRecording
from voicemesh.mesh.hair_worn import USUAL, grows
from voicemesh.pipeline import Pipeline, Portrait

from . import fused, image, matches
from .cards import card, summary
from .files import FILES, KEEP, save
from .lengths import measurements
from .theme import ASSETS
from .words import HINT, HONEST, measured

EXAMPLES = ASSETS / "examples"
LIMIT = 60.0  # seconds of a recording that are used
VIEWS = [("Skin", "skin"), ("Grey", "grey"), ("How sure", "uncertainty")]
HAIR = [("No hair", "none"), ("Short", "short"), ("Long", "long")]
SKIN = "skin"  # the view in which hair is seen
FIRST_HAIR = "short"  # of the average head
SET = "Hair, skin and eyes are set, not predicted."
QUIET = {"show_progress": "hidden"}
NETS = {"concurrency_limit": 2, "concurrency_id": "nets", "show_progress": "minimal"}

# On a phone the face is below the button.
SHOW_FACE = """() => {
  if (window.innerWidth <= 820)
    document.querySelector("#viewer").scrollIntoView({ behavior: "smooth", block: "start" });
}"""


# The heads can be turned without a mouse, and say what they are.
TURN = """() => {
  for (const [place, words] of Object.entries({
    mesh: "The head that the voice suggests",
    "compare-mesh": "The two heads, one on the other",
    "photo-mesh": "The head on the photograph",
  })) {
    const box = document.getElementById(place);
    if (!box || box.tabIndex === 0) continue;
    box.tabIndex = 0;
    box.setAttribute("role", "application");
    box.setAttribute("aria-label", words + "; the arrow keys turn it");
    box.addEventListener("keydown", (event) => {
      const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0;
      const plot = box.querySelector(".js-plotly-plot");
      if (!window.Plotly || !plot || !(aside || /^Arrow(Up|Down)$/.test(event.key))) return;
      event.preventDefault();
      const { eye, center } = plot._fullLayout.scene._scene.getCamera();
      const [x, y, z] = [eye.x - center.x, eye.y - center.y, eye.z - center.z];
      const flat = Math.hypot(x, y), far = Math.hypot(flat, z);
      const yaw = Math.atan2(y, x) + aside * 0.2;
      let up = Math.atan2(z, flat) + (aside ? 0 : event.key === "ArrowUp" ? 0.15 : -0.15);
      up = Math.max(-1.3, Math.min(1.3, up));
      const at = (value, name) => center[name] + far * value;
      window.Plotly.relayout(plot, { "scene.camera.eye": {
        x: at(Math.cos(up) * Math.cos(yaw), "x"),
        y: at(Math.cos(up) * Math.sin(yaw), "y"),
        z: at(Math.sin(up), "z"),
      } });
    });
  }
}"""


def switch_view(place: str) -> str:
    """The colourings travel with the figure: switching them asks nobody for anything."""
    return f"""(view) => {{
  const plot = document.querySelector("#{place} .js-plotly-plot");
  const views = plot && plot.layout.meta && plot.layout.meta.views;
  if (!window.Plotly || !views || !views[view]) return;
  const vertexcolor = views[view].vertexcolor.map((colours) => colours ?? undefined);
  window.Plotly.restyle(plot, {{ vertexcolor, visible: views[view].visible }});
}}"""


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


def portray(
    whole: Pipeline, path: str | None, view: str, asked: str | None = None
) -> tuple[Portrait, object, str, str, str, object, str]:
    """A recording to everything that the page shows of it; the portrait itself comes first.

    `asked` is the hair that the visitor wants; None leaves it to custom.
    """
    started = time.perf_counter()
    voice = heard(path)
    read = time.perf_counter() - started
    try:
        portrait = wearing(whole, whole(voice, picture=False), asked)
        return told(portrait, view, {"reading the file": read})
    except UnusableRecording as error:
        raise refused(error) from error


def of_features(
    whole: Pipeline, path: str, view: str, asked: str | None = None
) -> tuple[Portrait, object, str, str, str, object, str]:
    """The same of a published feature file."""
    try:
        return told(wearing(whole, whole.of_features(path), asked), view, {})
    except UnusableRecording as error:
        raise refused(error) from error


def wearing(whole: Pipeline, portrait: Portrait, asked: str | None) -> Portrait:
    """The portrait in the hair that was asked for."""
    return portrait if asked is None else replace(portrait, hair=whole.worn(portrait.face, asked))


def head_of(portrait: Portrait, view: str) -> object:
    """The figure of a portrait in one of its views."""
    shown = view if view != "uncertainty" or portrait.uncertainty is not None else "skin"
    return figures.mesh(
        portrait.face,
        portrait.uncertainty,
        shown,
        portrait.openness,
        portrait.material,
        portrait.hair,
    )


def told(
    portrait: Portrait, view: str, timings: dict[str, float]
) -> tuple[Portrait, object, str, str, str, object, str]:
    """A portrait, and all that the page shows of it."""
    started = time.perf_counter()
    head = head_of(portrait, view)
    waveform = portrait.recording.waveform
    sound = figures.voice(waveform, portrait.segments, portrait.log_mel) if len(waveform) else None
    drawn = time.perf_counter() - started
    timings = {**timings, **portrait.timings, "drawing": drawn}
    caption = f"<p>Read from {portrait.speech_seconds:.1f} s of speech. {SET}</p>"
    facts, lengths = summary(portrait), measurements(portrait)
    return portrait, head, caption, facts, lengths, sound, clock(timings)


def clock(timings: dict[str, float]) -> str:
    """Where the time went."""
    parts = " · ".join(
        f"{name} {1000 * seconds:.0f} ms" for name, seconds in timings.items() if name != "total"
    )
    total = sum(seconds for name, seconds in timings.items() if name != "total")
    return f"<p class='clock'>{parts} · <b>together {total:.2f} s</b></p>"


def waiting() -> tuple[str, str, str, str]:
    """What stands in the places of the results before there are any: their outlines."""
    titles = ("Nearest mean face", "Face type", "Habitual pitch", "Vocal tract")
    cards = "".join(card(title, "&ndash;", "") for title in titles)
    return (
        "<p>The middle of all faces. Speak, and it becomes the one that your voice suggests.</p>",
        f"<div class='cards empty'>{cards}</div>",
        "<section class='lengths empty'><p>Lengths of the head, each beside the people of that"
        " sex, will stand here.</p></section>",
        "<p class='clock'>&nbsp;</p>",
    )


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


def unprobed(postprocess: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same for all but the page's own examples: each of those would be probed at the start."""

    def told(value: Any) -> Any:
        if isinstance(value, str) and Path(value).parent == EXAMPLES:
            return FileData(path=value, orig_name=Path(value).name)
        return postprocess(value)

    return told


def recorder(label: str, elem_id: str) -> gr.Audio:
    """Where a voice comes in; the file arrives as it was chosen."""
    recorder = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        format=None,
        label=label,
        elem_id=elem_id,
        elem_classes="recorder",
        waveform_options=gr.WaveformOptions(
            sample_rate=recording.SAMPLE_RATE,
            waveform_color="#94a3b8",
            waveform_progress_color="#c65b3a",
        ),
    )
    recorder.postprocess = unprobed(recorder.postprocess)
    return recorder


@dataclass(frozen=True)
class Heard:
    """What other parts of the page build on: the portrait, and the events that made it."""

    portrait: gr.State
    events: tuple[gr.events.Dependency, ...]


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
        if portrait is None or not len(portrait.recording.waveform):
            return gr.skip()
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
    with gr.Row(elem_id="stage"):
        with gr.Column(elem_id="input", min_width=0):
            voice = recorder("Your voice", "voice")
            gr.HTML(HINT)
            run = gr.Button("Show the face", variant="primary", size="lg", elem_id="run")
            examples = offer_examples(voice)
            published = gr.UploadButton(
                "Or published features (.npy)",
                file_types=[".npy"],
                size="sm",
                variant="secondary",
                visible=whole.system.feature_voice is not None,
                elem_id="published",
            )
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
        with gr.Column(elem_id="evidence", min_width=0):
            sound = gr.Plot(show_label=False, container=False, elem_id="sound")
            with gr.Row(elem_id="downloads"):
                buttons = [
                    gr.DownloadButton(label, size="sm", min_width=0, interactive=False)
                    for label in FILES.values()
                ]
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
            return asked, gr.skip(), average(asked), SKIN
        portrait = wearing(whole, portrait, asked)
        return asked, portrait, head_of(portrait, SKIN), SKIN

    def files(portrait: Portrait):
        portrait = whole.matched(whole.pictured(portrait))
        paths = save(portrait, Path(buttons[0].GRADIO_CACHE) / "portraits")
        return [gr.update(value=path, interactive=True) for path in paths]

    def anew(portrait: Portrait | None):
        return files(portrait) if portrait is not None else [gr.skip()] * len(buttons)

    def show_branches(portrait: Portrait):
        seen = whole.pictured(portrait)
        return gr.update(visible=True), image.branches(seen) + fused.fused(seen)

    def average(style: str = FIRST_HAIR):
        face = whole.average()
        worn = whole.worn(face, style)
        return figures.mesh(face, whole.uncertainty, "skin", whole.openness, whole.material, worn)

    results = [portrait, mesh, caption, facts, lengths, sound, timings, hair]
    pressed = run.click(show, [voice, view, asked], results, api_name="portray", **NETS)
    pressed.success(files, portrait, buttons, api_name="files", show_progress="hidden")
    chosen = examples.load_input_event.success(
        show, [voice, view, asked], results, api_visibility="private", **NETS
    )
    given = published.upload(
        show_features, [published, view, asked], results, api_name="features", **NETS
    )
    for event in (chosen, given):
        event.success(files, portrait, buttons, api_visibility="private", show_progress="hidden")
    for event in (pressed, chosen, given):
        event.success(None, None, None, js=SHOW_FACE, api_visibility="private")
    if whole.system.images is not None or whole.speech_to_face is not None:
        for event in (pressed, chosen, given):
            event.success(
                show_branches, portrait, [branches, both], api_visibility="private", **QUIET
            )
    with image_place:
        image.build(whole, portrait, (pressed, chosen), (run.click, examples.dataset.click))
    if faces:
        find_faces(whole, faces, portrait, voice, (pressed, chosen))
    view.change(None, view, None, js=switch_view("mesh"), api_visibility="private")
    combed = hair.input(
        comb, [portrait, hair], [asked, portrait, mesh, view], api_visibility="private", **NETS
    )
    combed.success(anew, portrait, buttons, api_visibility="private", **QUIET)
    page.load(None, None, None, js=TURN, api_visibility="private")
    page.load(average, None, mesh, api_name="average", show_progress="hidden")
    return Heard(portrait, (pressed, chosen))

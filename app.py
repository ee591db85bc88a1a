"""The page: speak or upload a recording, see the face that the voice suggests.

`python app.py` serves it on this machine; on a Space the same file runs as it is.
"""

import argparse
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr

from voicemesh import figures, pipeline
from voicemesh.audio import recording
from voicemesh.audio.recording import UnusableRecording
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.pipeline import Estimate, Measurement, Pipeline, Portrait

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
EXAMPLES = ASSETS / "examples"
LIMIT = 60.0  # seconds of a recording that are used
KEEP = 1800  # seconds that uploads and results stay on the disk
VIEWS = [("Skin", "skin"), ("Grey", "grey"), ("How sure", "uncertainty")]
FILES = {"glb": "GLB", "obj": "OBJ", "ply": "PLY", "png": "Picture", "json": "Report"}
SPREAD = 3.0  # standard deviations from the middle of a measurement's strip to its end
NORMAL_80 = 1.2816  # standard deviations on either side that hold 80 %

SERVING = {  # what `launch` is told wherever the page is served
    "css_paths": ASSETS / "style.css",
    "footer_links": ["api"],
    "run_history": False,  # or the browser would store voices
    "enable_monitoring": False,
    "max_file_size": "200mb",
}

# The colourings travel with the figure: switching them asks nobody for anything.
SWITCH_VIEW = """(view) => {
  const plot = document.querySelector("#mesh .js-plotly-plot");
  const views = plot && plot.layout.meta && plot.layout.meta.views;
  if (window.Plotly && views && views[view]) window.Plotly.restyle(plot, views[view]);
}"""

# On a phone the face is below the button.
SHOW_FACE = """() => {
  if (window.innerWidth <= 820)
    document.querySelector("#viewer").scrollIntoView({ behavior: "smooth", block: "start" });
}"""

HEADER = """<header class="masthead"><div><h1>voicemesh</h1>
<p>The 3D face that a voice suggests, and how much a voice can tell.</p></div>
<span class="chip" title="Which nets are used, and where they run">{title} · {device}</span>
</header>"""
HINT = """<p class="hint">Talk freely for 5 to 10 seconds, in any language. What you say does not
matter, only how your voice sounds.</p>"""
HONEST = """<section class="honest"><h2>What a voice can and cannot tell</h2>
<p>Sex, and to a small degree the size and length of the head, leave traces in a voice: a longer
vocal tract lowers the resonances, thicker vocal folds the pitch. That is what you see here. Most
of a face leaves no trace: two people with the same voice can look quite different, so this is
<b>not your face, but the middle of all faces that fit your voice</b>. It identifies nobody.</p>
<p>{description} Skin, eyes, brows and hair are set to a neutral middle: the voice says nothing
about them. Every interval is meant to hold the truth for 80 % of people.</p>
<p>Recordings are read where this page is served, never sent on and never used for training;
files are removed within the hour.</p>{measured}</section>"""


def portray(
    whole: Pipeline, path: str | None, view: str
) -> tuple[Portrait, object, str, str, str, object, str]:
    """A recording to everything that the page shows of it; the portrait itself comes first."""
    if not path:
        raise gr.Error("Record your voice or choose a file first.", print_exception=False)
    started = time.perf_counter()
    try:
        heard = recording.load(path, limit=LIMIT)
        read = time.perf_counter() - started
        portrait = whole(heard)
    except UnusableRecording as error:
        raise gr.Error(str(error), title="No face from this", print_exception=False) from error
    started = time.perf_counter()
    shown = view if view != "uncertainty" or portrait.uncertainty is not None else "skin"
    head = figures.mesh(portrait.face, portrait.uncertainty, shown, portrait.openness)
    voice = figures.voice(heard.waveform, portrait.segments, portrait.log_mel)
    drawn = time.perf_counter() - started
    timings = {"reading the file": read, **portrait.timings, "drawing": drawn}
    caption = f"<p>Read from {portrait.speech_seconds:.1f} s of speech</p>"
    facts, lengths = summary(portrait), measurements(portrait)
    return portrait, head, caption, facts, lengths, voice, clock(timings)


def save(portrait: Portrait, root: Path) -> list[str]:
    """The files of a portrait in a fresh folder under `root`, in the order of `FILES`."""
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > KEEP:
            shutil.rmtree(folder, ignore_errors=True)
    paths = portrait.save(tempfile.mkdtemp(dir=root))
    return [str(paths[kind]) for kind in FILES]


def summary(portrait: Portrait) -> str:
    """Sex, face type, pitch and vocal tract as cards; what was odd about the recording above."""
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in portrait.notes)
    cards = [
        nearest("Nearest mean face", portrait.sex, portrait.sex_distances),
        nearest("Face type", portrait.face_type, portrait.type_distances),
        quantity("Habitual pitch", portrait.pitch_hz, "Hz", 0),
        quantity("Vocal tract", portrait.tract_cm, "cm", 1),
    ]
    return f"{notes}<div class='cards'>{''.join(cards)}</div>"


def nearest(title: str, name: str, distances: dict[str, float]) -> str:
    """A card with the nearest of some reference faces and the distance to each."""
    if not name:
        return card(title, "&ndash;", "")
    furthest = max(distances.values())
    rows = "".join(
        f"<li{' class=here' if other == name else ''}><span>{escape(other)}</span>"
        f"<i style='--share:{distance / furthest:.3f}'></i><b>{distance:.1f} mm</b></li>"
        for other, distance in sorted(distances.items(), key=lambda item: item[1])
    )
    return card(title, escape(name.capitalize()), f"<ul>{rows}</ul>")


def quantity(title: str, estimate: Estimate | None, unit: str, digits: int) -> str:
    """A card with a number and its interval."""
    if estimate is None:
        return card(title, "&ndash;", "")
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        interval = f"<p>80 %: {estimate.low:.{digits}f} to {estimate.high:.{digits}f} {unit}</p>"
    return card(title, f"{estimate.value:.{digits}f} <small>{unit}</small>", interval)


def card(title: str, value: str, more: str) -> str:
    """One fact."""
    return f"<article><h3>{title}</h3><strong>{value}</strong>{more}</article>"


def measurements(portrait: Portrait) -> str:
    """Every length with its interval beside the people of that sex; best explained first."""
    people = {"female": "women", "male": "men"}.get(portrait.sex, "people")
    rows = sorted(portrait.measurements, key=lambda row: -(row.explained or 0.0))
    legend = (
        f"<p class='legend'><span class='band'></span>80 % of {people}"
        f"<span class='bar'></span>this voice, 80 % interval"
        f"<span class='dot'></span>best guess</p>"
    )
    head = (
        "<div class='length head'><span>Length</span><span></span><span>mm</span>"
        f"<span title='Against the mean of {people}'>vs mean</span>"
        "<span title='Share of the variance between people that the voice explains, over both"
        " sexes; in brackets, the most that any listener could explain'>explained</span></div>"
    )
    body = "".join(measurement(row) for row in rows)
    return f"<section class='lengths'>{legend}<div class='table'>{head}{body}</div></section>"


def measurement(row: Measurement) -> str:
    """One row: name, strip, value with half-width, difference from the mean, share explained."""
    half = "" if row.high is None else f" <small>± {row.high - row.value:.1f}</small>"
    apart = "" if row.mean is None else f"{row.value - row.mean:+.1f}".replace("-", "&minus;")
    apart = "0.0" if apart[-3:] == "0.0" else apart
    share = "" if row.explained is None else f"{100 * max(row.explained, 0):.0f} %"
    if share and row.ceiling is not None:
        share += f" <small>({100 * max(row.ceiling, 0):.0f})</small>"
    return (
        f"<div class='length'><span>{escape(row.label)}</span>{strip(row)}"
        f"<span>{row.value:.1f}{half}</span><span>{apart}</span><span>{share}</span></div>"
    )


def strip(row: Measurement) -> str:
    """The interval on a scale of standard deviations around the mean."""
    if row.mean is None or row.deviation is None or row.low is None or row.high is None:
        return "<div class='strip'></div>"

    def at(value: float) -> float:
        share = (value - row.mean) / (SPREAD * row.deviation)
        return 50 + 50 * min(max(share, -1.0), 1.0)

    band = 100 * NORMAL_80 / SPREAD
    told = f"{row.low:.1f} to {row.high:.1f} mm, mean {row.mean:.1f} mm"
    return (
        f"<div class='strip' role='img' aria-label='{told}' title='{told}'>"
        f"<i class='band' style='left:{50 - band / 2:.1f}%;width:{band:.1f}%'></i>"
        f"<i class='bar' style='left:{at(row.low):.1f}%;"
        f"width:{at(row.high) - at(row.low):.1f}%'></i>"
        f"<i class='middle'></i><i class='dot' style='left:{at(row.value):.1f}%'></i></div>"
    )


def clock(timings: dict[str, float]) -> str:
    """Where the time went."""
    parts = " · ".join(
        f"{name} {1000 * seconds:.0f} ms" for name, seconds in timings.items() if name != "total"
    )
    total = sum(seconds for name, seconds in timings.items() if name != "total")
    return f"<p class='clock'>{parts} · <b>together {total:.2f} s</b></p>"


def measured(bundle: Bundle) -> str:
    """What the nets were measured to do on people kept out of their training."""
    results = {key: value for part in bundle.parts.values() for key, value in part.results.items()}
    if not {"people", "sex", "errors", "coverage"} <= results.keys():
        return ""
    landmarks, held = results["errors"]["landmark_mm"], results["coverage"].values()
    notes = " ".join(escape(note) for note in bundle.notes)
    return (
        f"<h2>How well it was measured to do</h2><p>On {results['people']} synthetic people kept"
        f" out of training, the sex of the face was right for"
        f" {100 * results['sex']['mesh']['value']:.0f} % of voices. The landmarks were"
        f" {landmarks['system']:.2f} mm from the truth: the mean face of the right sex is"
        f" {landmarks['right_sex']:.2f} mm away, and the best possible listener would be"
        f" {landmarks['ceiling']:.2f} mm. The 80 % intervals held for {100 * min(held):.0f} to"
        f" {100 * max(held):.0f} % of people, by length. {notes}</p>"
    )


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


def theme() -> gr.themes.Base:
    """Slate and terracotta, in fonts that come with the page's own server."""
    terracotta = gr.themes.Color(
        *("#fdf5f1", "#fbe7de", "#f6cdbc", "#eeac92", "#e58e6d", "#db7350", "#c65b3a"),
        *("#a5482d", "#863c28", "#6e3424", "#3b1910"),
        name="terracotta",
    )
    return gr.themes.Base(
        primary_hue=terracotta,
        secondary_hue=terracotta,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=[gr.themes.utils.fonts.LocalFont("IBM Plex Sans", (400, 700)), "system-ui"],
        font_mono=[gr.themes.utils.fonts.LocalFont("IBM Plex Mono", (400, 700)), "monospace"],
    ).set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_border_width="0px",
        block_shadow="0 1px 2px rgb(15 23 42 / .06), 0 6px 24px -12px rgb(15 23 42 / .16)",
        block_label_background_fill="transparent",
        block_label_border_width="0px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
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


def build_page(whole: Pipeline) -> gr.Blocks:
    """The page of a pipeline."""
    outlines = waiting()
    description = escape(whole.bundle.description)
    with gr.Blocks(
        title="voicemesh", analytics_enabled=False, delete_cache=(KEEP // 2, KEEP)
    ) as page:
        portrait = gr.State(time_to_live=KEEP)
        gr.HTML(HEADER.format(title=escape(whole.bundle.title), device=device_name(whole)))
        with gr.Row(elem_id="stage"):
            with gr.Column(elem_id="input", min_width=0):
                voice = gr.Audio(
                    sources=["microphone", "upload"],
                    type="filepath",
                    format=None,
                    label="Your voice",
                    elem_id="voice",
                    waveform_options=gr.WaveformOptions(
                        sample_rate=recording.SAMPLE_RATE,
                        waveform_color="#94a3b8",
                        waveform_progress_color="#c65b3a",
                    ),
                )
                gr.HTML(HINT)
                run = gr.Button("Show the face", variant="primary", size="lg", elem_id="run")
                examples = offer_examples(voice)
            with gr.Column(elem_id="result", min_width=0):
                with gr.Group(elem_id="viewer"):
                    view = gr.Radio(
                        VIEWS, value="skin", show_label=False, container=False, elem_id="view"
                    )
                    mesh = gr.Plot(show_label=False, container=False, elem_id="mesh")
                    caption = gr.HTML(outlines[0], elem_id="caption")
                facts = gr.HTML(outlines[1], elem_id="facts")
                lengths = gr.HTML(outlines[2], elem_id="lengths")
            with gr.Column(elem_id="evidence", min_width=0):
                sound = gr.Plot(show_label=False, container=False, elem_id="sound")
                with gr.Row(elem_id="downloads"):
                    buttons = [
                        gr.DownloadButton(label, size="sm", min_width=0, interactive=False)
                        for label in FILES.values()
                    ]
                timings = gr.HTML(outlines[3], elem_id="timings")
                gr.HTML(HONEST.format(description=description, measured=measured(whole.bundle)))

        def show(path: str | None, view: str):
            return portray(whole, path, view)

        def files(portrait: Portrait):
            paths = save(portrait, Path(buttons[0].GRADIO_CACHE) / "portraits")
            return [gr.update(value=path, interactive=True) for path in paths]

        def average():
            return figures.mesh(whole.average(), whole.uncertainty, openness=whole.openness)

        results = [portrait, mesh, caption, facts, lengths, sound, timings]
        settings = {"concurrency_limit": 2, "concurrency_id": "nets", "show_progress": "minimal"}
        pressed = run.click(show, [voice, view], results, api_name="portray", **settings)
        pressed.success(files, portrait, buttons, api_name="files", show_progress="hidden")
        chosen = examples.load_input_event.success(
            show, [voice, view], results, api_visibility="private", **settings
        )
        chosen.success(files, portrait, buttons, api_visibility="private", show_progress="hidden")
        for event in (pressed, chosen):
            event.success(None, None, None, js=SHOW_FACE, api_visibility="private")
        view.change(None, view, None, js=SWITCH_VIEW, api_visibility="private")
        page.load(average, None, mesh, api_name="average", show_progress="hidden")
    return page


def device_name(whole: Pipeline) -> str:
    """Where the nets run, in words."""
    if whole.device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(whole.device)
    return whole.device.type.upper()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped."""
    parser = argparse.ArgumentParser(description="The 3D face that a voice suggests, as a page.")
    parser.add_argument("--share", action="store_true", help="also over a public gradio.live link")
    parser.add_argument("--host", help="address to listen on: 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, help="the first free one from 7860 on if not given")
    parser.add_argument("--bundle", help="a folder or owner/name[@revision] instead of our own")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; the best there is if not given")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    whole = pipeline.load(arguments.bundle, arguments.device)
    page = build_page(whole)
    threading.Thread(target=whole.warm_up, daemon=True, name="warm-up").start()
    page.queue(max_size=32).launch(
        share=arguments.share and "SPACE_ID" not in os.environ,
        server_name=arguments.host,
        server_port=arguments.port,
        theme=theme(),
        **SERVING,
    )


if __name__ == "__main__":
    main()

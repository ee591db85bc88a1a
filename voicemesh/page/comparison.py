"""Several recordings: one voice fused and judged by its consistency, or two voices compared."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from voicemesh import figures
from voicemesh.audio.recording import UnusableRecording
from voicemesh.pipeline import Comparison, Part, Pipeline, Portrait, Several, Usual

from .cards import card, signed, summary
from .files import fresh
from .lengths import measurements
from .portraying import combed, heard, refused, sitter_of
from .recorder import recorder
from .theme import ASSETS
from .viewer import draw, keep, switch_view
from .voice import NETS, PRIVATE

TWO, ONE = "two", "one"
KINDS = [("Two voices", TWO), ("One voice, several recordings", ONE)]
VIEWS = {
    TWO: [("First", "first"), ("Second", "second"), ("Difference", "difference")],
    ONE: [("Face of all", "skin"), ("Where they differ", "spread")],
}
CHOSEN = {TWO: "difference", ONE: "spread"}
HARDLY = 0.99  # share of pairs of recordings of one voice that are closer
STANDING = ("compare-viewer", "compare-facts", "compare-table")
LONGEST = 8  # differences of lengths that are shown
HINT = {
    TWO: "Two recordings of two people, or of one person in two voices: which parts of the"
    " suggested faces differ, and is it more than two recordings of one voice do?",
    ONE: "Several recordings of one voice, best from different days, become one face. Its intervals"
    " shrink by what differs from day to day; what no voice tells stays.",
}
WAITING = "<p>Give two recordings, and the difference of their faces stands here in colours.</p>"


def compare(
    whole: Pipeline, kind: str, paths: Sequence[str | None], root: Path
) -> tuple[object, object, str, str, str, object]:
    """Recordings to heads, their views, caption, facts, table; and the path of the report."""
    given = [path for path in paths if path]
    if len(given) < 2:
        raise gr.Error("Two recordings are needed: record or choose both.", print_exception=False)
    recordings = [heard(path) for path in given]
    try:
        if kind == ONE:
            told = whole.several(recordings)
            shown = of_one_voice(told)
        else:
            portraits = [whole(recording, picture=False) for recording in recordings[:2]]
            told = whole.compare(*portraits)
            shown = of_two_voices(told, portraits, whole)
    except UnusableRecording as error:
        raise refused(error) from error
    path = fresh(root) / "report.json"
    path.write_text(json.dumps(told.report(), indent=2, ensure_ascii=False) + "\n")
    drawing, caption, facts, table = shown
    views = gr.update(choices=VIEWS[kind], value=CHOSEN[kind], visible=True)
    return (
        drawing.sent(),
        views,
        caption,
        facts,
        table,
        gr.update(value=str(path), visible=True),
    )


def of_one_voice(several: Several) -> tuple[figures.Drawing, str, str, str]:
    """The fused face coloured by disagreement, and what it is made of."""
    fused = several.fused
    drawing = figures.spread(sitter_of(fused), several.apart)
    count = len(several.each)
    caption = (
        f"<p>{count} recordings, {fused.speech_seconds:.1f} s of speech: how far their faces lie"
        " from the middle one</p>"
    )
    shrunk = ""
    if several.narrower is not None:
        shrunk = (
            f"<p>Lengths are told {100 * several.narrower:.1f} % more narrowly than after one</p>"
        )
    rows = "".join(
        f"<li><span>{escape(portrait.recording.name)}</span><b>{distance:.2f} mm</b></li>"
        for portrait, distance in zip(several.each, several.distances, strict=True)
    )
    agreement = card(
        "Recordings apart",
        f"{several.between:.2f} <small>mm</small>",
        usual_words(several.usual) + shrunk,
    )
    each = card("Each from the mean of all", "", f"<ul class='files'>{rows}</ul>")
    doubt = several.usual is not None and several.usual.same > HARDLY
    note = "<p class='note'>These recordings are hardly of one voice.</p>" if doubt else ""
    facts = f"{note}<div class='cards two'>{agreement}{each}</div>{summary(fused)}"
    return drawing, caption, facts, measurements(fused)


def of_two_voices(
    comparison: Comparison, portraits: Sequence[Portrait], whole: Pipeline
) -> tuple[figures.Drawing, str, str, str]:
    """Both faces and their difference, part by part and length by length."""
    heads = comparison.first, comparison.second
    sitters = [
        combed(whole, head, portrait.sex) for head, portrait in zip(heads, portraits, strict=True)
    ]
    drawing = figures.difference(sitters, comparison.outward)
    caption = "<p>How far the second face stands out of the first, both laid on each other</p>"
    voices = "".join(
        voice_card(title, portrait)
        for title, portrait in zip(("First voice", "Second voice"), portraits, strict=True)
    )
    apart = card(
        "Faces apart",
        f"{comparison.distance:.2f} <small>mm</small>",
        usual_words(comparison.usual),
    )
    facts = f"<div class='cards three'>{voices}{apart}</div>"
    return drawing, caption, facts, parts_table(comparison)


def voice_card(title: str, portrait: Portrait) -> str:
    """Sex, pitch and length of one of two voices."""
    words = []
    if portrait.pitch_hz:
        words.append(f"pitch {portrait.pitch_hz.value:.0f} Hz")
    if portrait.tract_cm:
        words.append(f"tract {portrait.tract_cm.value:.1f} cm")
    notes = "".join(f"<p>{escape(note)}</p>" for note in portrait.notes)
    told = f"<p>{', '.join(words)}</p>" if words else ""
    return card(title, portrait.sex.capitalize() or "&ndash;", told + notes)


def usual_words(usual: Usual | None) -> str:
    """A distance among the usual ones, in a sentence."""
    if usual is None:
        return ""
    return (
        f"<p>Further apart than {share(usual.same)} of pairs of recordings of one voice, and than"
        f" {share(usual.other)} of pairs of two voices of one sex</p>"
    )


def share(value: float) -> str:
    """A share in percent that never claims all or nothing."""
    if value > 0.99:
        return "over 99 %"
    return "under 1 %" if value < 0.01 else f"{100 * value:.0f} %"


def parts_table(comparison: Comparison, names: tuple[str, str] = ("first", "second")) -> str:
    """Distances of the parts of the head, and the lengths that differ most."""
    longest = max((part.distance for part in comparison.parts), default=1.0) or 1.0
    parts = "".join(part_row(part, longest) for part in comparison.parts)
    lengths = sorted(comparison.lengths, key=lambda row: -abs(row.second / row.first - 1))
    rows = "".join(
        f"<div class='part'><span>{escape(row.label)}</span>"
        f"<span>{row.first:.1f}</span><span>{row.second:.1f}</span>"
        f"<span>{signed(row.second - row.first)}</span></div>"
        for row in lengths[:LONGEST]
    )
    along = "Along the first head&apos;s surface, on average"
    return (
        "<section class='lengths parts'><div><div class='part bars head'><span>Part</span>"
        f"<span></span><span>mm apart</span><span title='{along}'>outward</span></div>{parts}</div>"
        f"<div><div class='part head'><span>Length, mm</span><span>{names[0]}</span>"
        f"<span>{names[1]}</span><span>change</span></div>{rows}</div></section>"
    )


def part_row(part: Part, longest: float) -> str:
    """One part of the head: name, bar, distance, mean direction."""
    return (
        f"<div class='part bars'><span>{escape(part.name)}</span>"
        f"<i style='--share:{part.distance / longest:.3f}'></i>"
        f"<span>{part.distance:.2f}</span><span>{signed(part.outward, 2)}</span></div>"
    )


def build(whole: Pipeline) -> gr.Plot:
    """The tab; the place of its heads."""
    drawn = gr.JSON(visible=False)  # what the browser draws
    entries = {
        entry["label"]: str(ASSETS / "examples" / entry["file"])
        for entry in json.loads((ASSETS / "examples" / "examples.json").read_text())
    }
    with gr.Row(elem_id="together", elem_classes="pair"):
        with gr.Column(min_width=0):
            kind = gr.Radio(
                KINDS,
                value=TWO,
                label="What is compared",
                show_label=False,
                container=False,
                elem_id="kind",
                elem_classes="views plain",
            )
            hint = gr.HTML(f"<p class='hint'>{HINT[TWO]}</p>")
            first = recorder("First recording", "first")
            second = recorder("Second recording", "second")
            more = gr.File(
                label="More recordings of this voice",
                file_count="multiple",
                file_types=["audio", "video"],
                elem_id="more",
                height=130,
                visible=False,
            )
            run = gr.Button("Compare", variant="primary", size="lg", elem_id="compare")
            names = list(entries)
            pairs = [(names[0], names[1]), (names[0], names[2]), (names[1], names[-1])]
            examples = gr.Examples(
                [[entries[a], entries[b]] for a, b in pairs],
                [first, second],
                label="Or try two synthetic voices",
                example_labels=[f"{a} and {b.lower()}" for a, b in pairs],
                elem_id="pairs",
            )
        with gr.Column(min_width=0):
            with gr.Group(elem_id="compare-viewer", elem_classes="viewer"):
                with gr.Row(elem_classes="choices"):
                    view = gr.Radio(
                        VIEWS[TWO],
                        value=CHOSEN[TWO],
                        label="Colouring of the heads",
                        show_label=False,
                        container=False,
                        visible=False,
                        elem_id="compare-view",
                        elem_classes="views",
                    )
                mesh = gr.Plot(
                    show_label=False, container=False, elem_id="compare-mesh", elem_classes="mesh"
                )
                caption = gr.HTML(WAITING, elem_classes="caption")
            facts = gr.HTML(elem_id="compare-facts")
            table = gr.HTML(elem_id="compare-table")
            with gr.Row(elem_classes="downloads"):
                report = gr.DownloadButton("Report", size="sm", min_width=0, visible=False)

    def show(kind: str, first: str | None, second: str | None, more: list[str] | None):
        paths = [first, second, *(more or ())] if kind == ONE else [first, second]
        return compare(whole, kind, paths, Path(report.GRADIO_CACHE) / "comparisons")

    def choose(kind: str):
        words = f"<p class='hint'>{HINT[kind]}</p>"
        label = "Make one face of all" if kind == ONE else "Compare"
        return words, gr.update(visible=kind == ONE), gr.update(value=label)

    inputs, results = [kind, first, second, more], [drawn, view, caption, facts, table, report]
    pressed = run.click(show, inputs, results, api_name="compare", **NETS)
    chosen = examples.load_input_event.success(show, inputs, results, **PRIVATE, **NETS)
    for event in (pressed, chosen):
        event.success(None, drawn, None, js=draw("compare-mesh"), **PRIVATE)
        event.failure(None, None, None, js=keep("compare-mesh", STANDING), **PRIVATE)
    kind.change(choose, kind, [hint, more, run], **PRIVATE, show_progress="hidden")
    view.change(None, view, None, js=switch_view("compare-mesh"), **PRIVATE)
    return mesh

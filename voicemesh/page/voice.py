"""One voice: speak or choose a recording, see the face; the first thing on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from voicemesh import figures
from voicemesh.mesh.hair_worn import USUAL
from voicemesh.pipeline import Pipeline, Portrait

from . import branches, image, matches
from .files import KEEP, save
from .portraying import evidence, head_of, of_features, portray, views_of, wearing
from .stage import FIRST_HAIR, SKIN, Stage, set_stage
from .turns import Turns
from .viewer import add_views, draw, keep, switch_view
from .words import HONEST, measured

# What follows a head, a while later.
FOLLOWING = ("facts", "sound", "lengths", "imagined", "grown", "matches", "branches")
STANDING = ("viewer", *FOLLOWING)
QUIET = {"show_progress": "hidden"}
NETS = {"concurrency_limit": 2, "concurrency_id": "nets", "show_progress": "minimal"}
PRIVATE = {"api_visibility": "private"}


@dataclass(frozen=True)
class Heard:
    """What other parts of the page build on."""

    portrait: gr.State
    mesh: gr.Plot
    first: gr.events.Dependency  # once the average head stands there


@dataclass(frozen=True)
class Sent:
    """What is not seen: the portrait that the server keeps, and what the browser draws."""

    portrait: gr.State
    asked: gr.State  # the hair that the visitor chose, if any
    head: gr.JSON
    others: gr.JSON  # the views of the head that follow it

    @classmethod
    def nothing(cls) -> "Sent":
        """Before anybody has spoken."""
        unseen = gr.JSON(visible=False), gr.JSON(visible=False)
        return cls(gr.State(time_to_live=KEEP), gr.State(), *unseen)


def build(whole: Pipeline, page: gr.Blocks) -> Heard:
    """The stage with the head, and all that is told of it."""
    sent, turns = Sent.nothing(), Turns()
    stage = set_stage(whole)
    image_place = gr.Column(elem_id="imagining", min_width=0)
    with gr.Row(elem_id="beyond", elem_classes="pair"):
        faces = matches.section(whole, "faces", "matches")
    ways = branches.section(whole)
    published, lengths = telling(whole)

    drawn = let_speak(whole, stage, sent, published, turns)
    followed = let_follow(stage, sent, lengths, drawn)
    with image_place:
        image.build(whole, sent.portrait, followed, turns)
    if faces:
        find_faces(whole, faces, sent.portrait, stage.voice, followed)
    if ways:
        branches.show(whole, ways, sent.portrait, followed)
    let_save(whole, stage, sent.portrait, followed)
    let_comb(whole, stage, sent)
    stage.view.change(None, stage.view, None, js=switch_view("mesh"), **PRIVATE)
    first = page.load(
        lambda: figures.head(average(whole)).figure(), None, stage.mesh, api_name="average", **QUIET
    )
    return Heard(sent.portrait, stage.mesh, first)


def telling(whole: Pipeline) -> tuple[gr.UploadButton, gr.HTML]:
    """What a voice can tell at all, and the lengths of the head beside it."""
    with gr.Row(elem_id="telling", elem_classes="pair"):
        with gr.Column(min_width=0):
            description = escape(whole.bundle.description)
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
            lengths = gr.HTML(
                "<section class='lengths empty'><p>Lengths of the head, each beside the people of"
                " that sex, will stand here.</p></section>",
                elem_id="lengths",
            )
    return published, lengths


def let_speak(
    whole: Pipeline, stage: Stage, sent: Sent, published: gr.UploadButton, turns: Turns
) -> list[gr.events.Dependency]:
    """A voice becomes a head on the screen; what follows waits for it, or would slow it down."""

    def show(path: str | None, view: str, asked: str | None, request: gr.Request):
        turns.next(request)  # nobody waits for images of an earlier voice any more
        return portray(whole, path, view, asked)

    def show_features(path: str, view: str, asked: str | None, request: gr.Request):
        turns.next(request)
        return of_features(whole, path, view, asked)

    results, rest = [sent.portrait, sent.head], [stage.view, sent.asked]
    told = NETS | {"show_progress_on": stage.caption}
    inputs = [stage.voice, *rest]
    events = [
        stage.run.click(show, inputs, results, api_name="portray", **told),
        stage.examples.load_input_event.success(show, inputs, results, **PRIVATE, **told),
        published.upload(show_features, [published, *rest], results, api_name="features", **told),
    ]
    for event in events:
        event.failure(None, None, None, js=keep("mesh", STANDING), **PRIVATE)
    after = {"js": draw("mesh", FOLLOWING), **PRIVATE}
    return [event.success(None, sent.head, None, **after) for event in events]


def let_follow(
    stage: Stage, sent: Sent, lengths: gr.HTML, drawn: Sequence[gr.events.Dependency]
) -> list[gr.events.Dependency]:
    """Facts, lengths and the voice follow a head that stands there, and its other views."""

    def tell(portrait: Portrait, view: str, asked: str | None):
        return *evidence(portrait, view), asked or USUAL[portrait.sex]

    words = [stage.caption, stage.facts, stage.timings]
    results = [*words, sent.others, lengths, stage.sound, stage.hair]
    followed, named = [], {"api_name": "evidence"}
    for event in drawn:
        inputs = [sent.portrait, stage.view, sent.asked]
        followed.append(event.success(tell, inputs, results, **named, **QUIET))
        views = [sent.others, stage.view]
        followed[-1].success(None, views, None, js=add_views("mesh"), **PRIVATE)
        named = PRIVATE
    return followed


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
        named = PRIVATE


def let_save(
    whole: Pipeline,
    stage: Stage,
    portrait: gr.State,
    followed: Sequence[gr.events.Dependency],
) -> None:
    """The files of a portrait, written when all else is there."""
    buttons = stage.downloads

    def files(portrait: Portrait | None):
        if portrait is None:
            return [gr.skip()] * len(buttons)
        portrait = whole.matched(whole.pictured(portrait))
        paths = save(portrait, Path(buttons[0].GRADIO_CACHE) / "portraits")
        return [gr.update(value=path, interactive=True) for path in paths]

    named = {"api_name": "files"}
    for event in followed:
        event.success(files, portrait, buttons, **named, **QUIET)
        named = PRIVATE


def let_comb(whole: Pipeline, stage: Stage, sent: Sent) -> None:
    """Another hair, for the head that stands there and for those that follow."""

    def comb(portrait: Portrait | None, asked: str):
        if portrait is None:
            bare = average(whole, asked)
            head, others = figures.head(bare, SKIN, alone=True), figures.other_views(bare, SKIN)
            return asked, gr.skip(), head.sent(), others, SKIN
        portrait = wearing(whole, portrait, asked)
        return asked, portrait, head_of(portrait, SKIN), views_of(portrait, SKIN), SKIN

    worn = [sent.asked, sent.portrait, sent.head, sent.others, stage.view]
    combed = stage.hair.input(comb, [sent.portrait, stage.hair], worn, **PRIVATE, **NETS)
    redrawn = combed.success(None, sent.head, None, js=draw("mesh"), **PRIVATE)
    views = [sent.others, stage.view]
    redrawn.success(None, views, None, js=add_views("mesh"), **PRIVATE)
    let_save(whole, stage, sent.portrait, [redrawn])


def average(whole: Pipeline, style: str = FIRST_HAIR) -> figures.Sitter:
    """The head that is there before anybody has spoken."""
    face = whole.average()
    worn = whole.worn(face, style)
    return figures.Sitter(face, whole.uncertainty, whole.openness, whole.material, worn)

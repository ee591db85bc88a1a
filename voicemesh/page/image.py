"""A face image for the voice, refined while one looks on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import gradio as gr
import numpy as np

from voicemesh.pipeline import Pipeline, Portrait, Prototypes
from voicemesh.systems.voicestyle import Imagined, Wish

from .pictures import SHARP, SMALL, figure
from .turns import Turns

MESH = 384  # pixels of the mesh's portrait beside the image
ONE_AT_A_TIME = {"concurrency_limit": 1, "concurrency_id": "images", "show_progress": "hidden"}
HEADING = """<h2>A face image for this voice</h2><p>A generated face that fits the voice, one of
many that would. Sex, and to a small degree age and shape, follow the voice; hair, skin and eyes
are lent by a known face near to it, for a voice does not tell them.</p>"""
WAITING = "<p class='legend waiting'>An image will grow here once a voice was heard.</p>"
GRID = 256  # pixels of each of several images
COUNTS = [("1", 1), ("4", 4), ("8 images", 8)]


def imagine(
    whole: Pipeline, portrait: Portrait, wish: Wish, wanted: Callable[[], bool] = lambda: True
) -> Iterator[tuple[str, str]]:
    """The images as they grow, and what they grew from; they stop when they are not wanted."""
    imaginer = whole.imaginer
    heard = imaginer.hear(portrait.speech, portrait.sex)
    mesh = portrait.picture(MESH)
    grown = ""
    for seen in imaginer.imagine(heard, wish):
        going = wanted()
        yield images_of(seen, mesh, going), grown or gr.skip()
        if not going:
            return
        if not grown:
            grown = prototypes_of(imaginer.prototypes(heard, wish), heard.seed, wish)
    yield images_of(seen, mesh), grown


def images_of(seen: Imagined, mesh: np.ndarray, going: bool = True) -> str:
    """One image beside the head, or several in a grid, with what is measured of them."""
    best = int(np.argmax(seen.similarity if seen.judged is None else seen.judged))
    several = len(seen.pixels) > 1
    faces = "".join(
        figure(
            pixels,
            f"Face image {number + 1}" if several else "The face image",
            agreement(seen, number),
            several and number == best,
            side=GRID if several else SHARP,
        )
        for number, pixels in enumerate(seen.pixels)
    )
    running = going and seen.step < seen.steps
    state = "done" if seen.step >= seen.steps else f"step {seen.step} of {seen.steps}"
    state += "" if running or seen.step >= seen.steps else ", stopped"
    if not several:
        faces += figure(mesh, "The head that the voice suggests", "its mesh, in the same view")
    share = 100 * seen.step / max(seen.steps, 1)
    return (
        f"<div class='imagined {'grid' if several else ''}'>{faces}</div>"
        f"<div class='course{' running' if running else ''}' role='progressbar'"
        f" aria-valuenow='{share:.0f}'"
        f" aria-label='Refinement'><i style='width:{share:.0f}%'></i></div>"
        f"<p class='legend'>Refinement: {state}</p>"
    )


def agreement(seen: Imagined, number: int) -> str:
    """How well an image agrees with the voice, in words."""
    words = f"fits the voice to {seen.similarity[number]:.2f} of 1"
    if seen.judged is not None:
        words += f"; {seen.judged[number]:.2f} by a judge that had no part in it"
    return words


def prototypes_of(prototypes: Prototypes, seed: int, wish: Wish) -> str:
    """The faces that the image grew from, each with its weight, and to which image it lent."""
    lends = prototypes.lends or ((),) * len(prototypes.pixels)
    faces = "".join(
        figure(
            pixels,
            f"{100 * weight:.0f} %",
            lent_to(images, wish.candidates),
            alt="A known face, {title} of the start",
            side=SMALL,
        )
        for pixels, weight, images in zip(prototypes.pixels, prototypes.weights, lends, strict=True)
    )
    used = f"face number {wish.seed}"
    if wish.seed is None:
        others = f", then others of number {seed}" if wish.candidates > 1 else ""
        used = "the face most expected" + others
    return (
        f"<p class='legend'>Grown from the known faces nearest to the voice: {used}</p>"
        f"<div class='prototypes'>{faces}</div>"
    )


def lent_to(images: Sequence[int], of: int) -> str:
    """To which of how many images a known face lent its look, in words."""
    if not images:
        return ""
    return "lent its look" if of == 1 else f"look of {', '.join(str(n + 1) for n in images)}"


def build(
    whole: Pipeline,
    portrait: gr.State,
    events: Sequence[gr.events.Dependency],
    turns: Turns,
) -> None:
    """The panel, if the bundle has nets for it; images grow while it is their visitor's turn."""
    if whole.imaginer is None:
        return
    with gr.Column(elem_id="image", elem_classes="sheet", min_width=0):
        with gr.Row(elem_classes="heading"):
            gr.HTML(HEADING)
            count = gr.Radio(
                COUNTS,
                value=1,
                label="How many images",
                show_label=False,
                container=False,
                elem_id="candidates",
                elem_classes="views small",
            )
        with gr.Row(elem_classes="growing"):
            with gr.Column(min_width=0):
                shown = gr.HTML(WAITING, elem_id="imagined")
            with gr.Column(min_width=0):
                grown = gr.HTML(elem_id="grown")
                with gr.Row():
                    seed = gr.Number(
                        0,
                        label="Which face",
                        info="0 is the one most expected; any other number, another that fits",
                        precision=0,
                        minimum=0,
                        min_width=120,
                        elem_id="seed",
                    )
                    truncation = gr.Slider(
                        0,
                        1,
                        1,
                        step=0.05,
                        label="How special",
                        info="0 is the mean of all faces",
                        min_width=160,
                        elem_id="truncation",
                    )
                with gr.Row():
                    again = gr.Button("Imagine again", size="sm", min_width=0, elem_id="again")
                    stop = gr.Button("Stop", size="sm", min_width=0, elem_id="stop")

    def grow(
        portrait: Portrait | None,
        count: int,
        seed: float | None,
        truncation: float,
        request: gr.Request,
    ):
        if portrait is None or not len(portrait.recording.waveform):
            yield WAITING, ""
            return
        mine, wish = turns.now(request), Wish(int(count), int(seed or 0) or None)
        wish = replace(wish, truncation=truncation)
        yield from imagine(whole, portrait, wish, lambda: turns.now(request) == mine)

    inputs, outputs = [portrait, count, seed, truncation], [shown, grown]
    stop.click(turns.next, None, None, queue=False, api_visibility="private")
    for event in events:
        event.success(grow, inputs, outputs, api_visibility="private", **ONE_AT_A_TIME)
    named = {"api_name": "imagine"}
    for trigger in (again.click, count.change):  # the older run ends before the new one begins
        turned = trigger(turns.next, None, None, queue=False, api_visibility="private")
        turned.success(grow, inputs, outputs, **named, **ONE_AT_A_TIME)
        named = {"api_visibility": "private"}

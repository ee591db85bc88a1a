"""Whose face fits, whose voice fits: cards of people, and where they are among all."""

import hashlib
import json
from functools import cache
from html import escape

import gradio as gr

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.pipeline import Match, Photographed, Pipeline, Portrait, Ranking
from voicemesh.systems.spaces import SYSTEMS, TITLES

from .pictures import inline
from .theme import ASSETS

EXAMPLES = ASSETS / "examples"
EVERYBODY, SAME = "everybody", "same"
WHO = [("Everybody", EVERYBODY), ("Same sex", SAME)]
PLOT = 600.0, 74.0  # width and height of the histogram's drawing
HEADING = {
    "faces": (
        "Whose face fits",
        "People of the gallery whose faces lie nearest to this voice, with their similarity to"
        " it. The nearest one is no finding: many faces fit one voice.",
    ),
    "voices": (
        "Whose voice fits",
        "People of the gallery whose voices lie nearest to this face, with their similarity to it."
        " Play them: many voices fit one face.",
    ),
}
WAYS = {"faces": "voice to face", "voices": "face to voice"}  # as results name them
BASELINES = {"sex oracle": "sex alone", "ceiling": "best possible"}
CONTRARY = {"female": ("a woman's", "men"), "male": ("a man's", "women")}  # the mesh, the matches
WAITING = {
    "faces": "The faces of the gallery that fit the voice best will stand here.",
    "voices": "The voices of the gallery that fit the face best will stand here, to be played.",
}


@cache
def known_voices() -> dict[str, str]:
    """Who speaks in the page's own examples, by the sha256 of their files."""
    entries = json.loads((EXAMPLES / "examples.json").read_text())
    return {
        hashlib.sha256((EXAMPLES / entry["file"]).read_bytes()).hexdigest(): entry["identity"]
        for entry in entries
        if "identity" in entry
    }


def identity_of(path: str | None) -> str | None:
    """Who speaks in a file, if it is one of the page's own."""
    if not path:
        return None
    with open(path, "rb") as file:
        return known_voices().get(hashlib.file_digest(file, "sha256").hexdigest())


def of_voice(whole: Pipeline, portrait: Portrait, path: str | None, space: str, who: str) -> str:
    """The faces that fit the voice of a portrait."""
    sex = (portrait.sex or None) if who == SAME else None
    identity = identity_of(path)
    found = whole.matcher.of_voice(portrait.speech, space, sex, portrait.sex, identity)
    return shown(found, whole.bundle)


def of_face(whole: Pipeline, seen: Photographed, space: str, who: str) -> str:
    """The voices that fit the face on a photograph."""
    sex = (seen.sex or None) if who == SAME else None
    return shown(whole.matcher.of_face(seen.found.crop, space, sex, seen.sex), whole.bundle)


def measured(bundle: Bundle, space: str, side: str) -> str:
    """How often the right one of two people was nearer, on people kept out of the training."""
    results = bundle.part(SYSTEMS[space].parts[0]).results
    systems, way = results.get("systems", {}), WAYS[side]
    ours = systems.get("joined", systems.get("single", {})).get(way, {})
    if not {"1:2 U", "1:2 G"} <= ours.keys():
        return ""

    def beside(test: str) -> str:
        told = ", ".join(
            f"{words} {systems[name][way][test][0]:.0f}"
            for name, words in BASELINES.items()
            if test in systems.get(name, {}).get(way, {})
        )
        return f"<b>{ours[test][0]:.0f} %</b> (chance 50{', ' + told if told else ''})"

    return (
        f"<b>Measured</b> on {results.get('people', 0):,} people kept out of the training: of two"
        f" people, the right one was nearer in {beside('1:2 U')} of cases, and in"
        f" {beside('1:2 G')} where both were of one sex."
    )


def shown(ranking: Ranking, bundle: Bundle) -> str:
    """A ranking: the cards, then all similarities, then what they are to be compared with."""
    if not ranking.matches:
        return "<p class='legend'>Nobody in the gallery is of this sex.</p>"
    cards = "".join(match_card(match, ranking) for match in ranking.matches)
    facts = [*facts_of(ranking), measured(bundle, ranking.space, ranking.side)]
    facts = "".join(f"<li>{fact}</li>" for fact in facts if fact)
    kind = "people voices" if ranking.side == "voices" else "people"
    return f"<div class='{kind}'>{cards}</div>{histogram(ranking)}<ul class='facts'>{facts}</ul>"


def match_card(match: Match, ranking: Ranking) -> str:
    """One person: portrait, label, similarity, place among all; the voice where it was sought."""
    entry, label = match.entry, escape(match.entry.label or match.entry.identity)
    picture = "<div class='nobody'></div>"
    if entry.picture:
        picture = f"<img alt='Portrait of {label}' src='{inline(entry.picture)}'>"
    player = ""
    if ranking.side == "voices" and entry.voice:
        player = (
            f"<audio controls preload='none' aria-label='Voice of {label}'"
            f" src='{inline(entry.voice)}'></audio>"
        )
    true = ranking.true_identity == entry.identity and ranking.truth is not None
    mark = "<em>who speaks</em>" if true else ""
    return (
        f"<figure{' class=true' if true else ''}>{picture}<figcaption><b>{label}</b>{mark}"
        f"<span title='Similarity: 1 is the same, 0 is none'>{match.similarity:.2f}</span>"
        f"<small>{top_share(match.percentile)}</small></figcaption>{player}</figure>"
    )


def top_share(percentile: float) -> str:
    """A percentile as a place from the top."""
    above = 100 - percentile
    return "nearest of all" if above < 0.05 else f"top {max(above, 0.1):.1f} %"


def facts_of(ranking: Ranking) -> list[str]:
    """How unusual the best match is, the true person's place, and what luck alone would give."""
    facts, best, count = [], ranking.matches[0], len(ranking.matches)
    if ranking.contrary:
        facts.append(
            "<b>Two readings differ.</b> The mesh is {}, most of these people are {}: the matches"
            " come from nets of their own, and for some voices the sex is hard to tell. Believe"
            " neither much.".format(*CONTRARY[ranking.supposed])
        )
    elif ranking.leaning:
        facts.append(
            "<b>Two readings differ.</b> The mesh is {}, while the nets behind the matches rather"
            " heard one of the {}. The search follows the mesh, whose reader knows raised voices"
            " better. Believe neither much.".format(*CONTRARY[ranking.supposed])
        )
    if best.unusual is not None:
        facts.append(
            "<b>How unusual is the best match?</b> Of voices whose owners are not in the gallery,"
            f" {100 * best.unusual:.0f} % find a best match less similar than this one."
        )
    if ranking.truth:
        rank, among = ranking.truth
        facts.append(
            f"<b>This example's speaker is in the gallery,</b> on place {rank} of {among}; a guess"
            f" would put that person on place {(among + 1) / 2:.0f} on average."
        )
    blind = f"the right person is among {count} of {ranking.people:,} in"
    blind += f" {100 * ranking.chance:.1f} % of cases"
    if ranking.sex_alone and not ranking.sex:
        blind += f"; knowing the sex and nothing else, in {100 * ranking.sex_alone:.1f} %"
    facts.append(f"<b>By luck alone</b> {blind}.")
    return facts


def histogram(ranking: Ranking) -> str:
    """The similarities of the whole gallery, the matches marked, and the true person."""
    if ranking.histogram is None:
        return ""
    edges, counts = ranking.histogram.edges, ranking.histogram.counts
    low, high = float(edges[0]), float(edges[-1])
    width, height = PLOT
    step, tallest = width / len(counts), max(1, int(counts.max()))

    def at(score: float) -> float:
        return width * (score - low) / max(high - low, 1e-9)

    bars = "".join(
        f"<rect x='{n * step + 0.5:.1f}' y='{height * (1 - count / tallest):.1f}'"
        f" width='{step - 1:.1f}' height='{height * count / tallest:.1f}'/>"
        for n, count in enumerate(counts.tolist())
    )
    marks = "".join(
        f"<line x1='{at(match.similarity):.1f}' x2='{at(match.similarity):.1f}' y1='{height - 26}'"
        f" y2='{height}'/>"
        for match in ranking.matches
    )
    true = ""
    if ranking.true_similarity is not None:
        place = at(ranking.true_similarity)
        true = f"<line class='true' x1='{place:.1f}' x2='{place:.1f}' y1='8' y2='{height}'/>"
    told = (
        f"Similarities of all {ranking.people} people, from {low:.2f} to {high:.2f};"
        f" the matches lie at {ranking.matches[-1].similarity:.2f} and above"
    )
    legend = "<span class='mark'></span>the matches"
    if true:
        legend += "<span class='mark true'></span>who speaks"
    return (
        f"<div class='histogram'><svg viewBox='0 0 {width:.0f} {height:.0f}' role='img'"
        f" aria-label='{told}' preserveAspectRatio='none'>{bars}{marks}{true}</svg>"
        f"<p><span>{low:.2f}</span><span>similarity of everybody in the gallery {legend}</span>"
        f"<span>{high:.2f}</span></p></div>"
    )


def waiting(side: str) -> str:
    """What stands in the place of the cards before there are any."""
    return f"<p class='legend waiting'>{WAITING[side]}</p>"


def section(whole: Pipeline, side: str, place: str) -> tuple[gr.Radio, gr.Radio, gr.HTML] | None:
    """Heading, choices and the place of the cards; None if nothing can search that side."""
    matcher = whole.matcher
    names = [name for name in matcher.names if side in matcher.sides(name)] if matcher else []
    if not names:
        return None
    title, words = HEADING[side]
    with gr.Column(elem_id=place, elem_classes="sheet", min_width=0):
        with gr.Row(elem_classes="heading"):
            gr.HTML(f"<h2>{title}</h2><p>{words}</p>")
            who = gr.Radio(
                WHO,
                value=EVERYBODY,
                label="Among whom",
                show_label=False,
                container=False,
                elem_classes="views small",
            )
            space = gr.Radio(
                [(TITLES[name], name) for name in names],
                value=names[0],
                label="By which of the published ways",
                show_label=False,
                container=False,
                visible=len(names) > 1,
                elem_classes="views small",
            )
        found = gr.HTML(waiting(side))
    return who, space, found

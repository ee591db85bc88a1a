"""The table of lengths: each with its interval, beside the people of that sex."""

from html import escape

from voicemesh.mesh.landmarks import RATIO_LABELS
from voicemesh.pipeline import Measurement, Photographed, Portrait

from .cards import signed

SPREAD = 3.0  # standard deviations from the middle of a measurement's strip to its end
NORMAL_80 = 1.2816  # standard deviations on either side that hold 80 %


def measurements(portrait: Portrait) -> str:
    """Every length with its interval beside the people of that sex; best explained first."""
    people = {"female": "women", "male": "men"}.get(portrait.sex, "people")
    rows = sorted(portrait.measurements, key=lambda row: -(row.explained or 0.0))
    told = ""
    if any(row.explained is not None for row in rows):
        told = (
            "<p class='legend last'>Explained: how much of the differences between people, of both"
            " sexes, a voice tells; in brackets, the most that any listener could.</p>"
        )
    legend = (
        f"<p class='legend'><span class='band'></span>80 % of {people}"
        f"<span class='bar'></span>this voice, 80 % interval"
        f"<span class='dot'></span>best guess</p>"
    )
    titles = ("Length", "interval", "mm", f"vs mean of {people}", "explained")
    head = "".join(f"<span role='columnheader'>{title}</span>" for title in titles)
    body = "".join(measurement(row) for row in rows)
    table = (
        "<div class='table' role='table' aria-label='Lengths of the head'>"
        f"<div class='length head' role='row'>{head}</div>{body}</div>"
    )
    return f"<section class='lengths'>{legend}{table}{told}{against(portrait)}</section>"


def against(portrait: Portrait) -> str:
    """The four published breadths against the mean face, in percent."""
    if not portrait.percents:
        return ""
    told = ", ".join(
        f"{RATIO_LABELS[name].lower()} {signed(value)} %"
        for name, value in portrait.percents.items()
    )
    mean = {"female": "woman's", "male": "man's"}[portrait.sex]
    return f"<p class='legend last'>Against the mean {mean} face: {told}</p>"


def measurements_of(seen: Photographed) -> str:
    """The lengths of a photographed head beside the mean of the people of its sex."""
    people = {"female": "women", "male": "men"}.get(seen.sex, "people")
    titles = f"Length, mm</span><span>photo</span><span>{people}</span><span>change"
    head = f"<div class='part head'><span>{titles}</span></div>"
    rows = []
    for row in seen.measurements:
        mean = "" if row.mean is None else f"{row.mean:.1f}"
        values = f"<span>{row.value:.1f}</span><span>{mean}</span><span>{against_mean(row)}</span>"
        rows.append(f"<div class='part'><span>{escape(row.label)}</span>{values}</div>")
    middle = (len(rows) + 1) // 2
    halves = (f"<div>{head}{''.join(half)}</div>" for half in (rows[:middle], rows[middle:]))
    return f"<section class='lengths parts even'>{''.join(halves)}</section>"


def against_mean(row: Measurement) -> str:
    """The difference from the mean, with its sign."""
    return "" if row.mean is None else signed(row.value - row.mean)


def measurement(row: Measurement) -> str:
    """One row: name, strip, value with half-width, difference from the mean, share explained."""
    half = "" if row.high is None else f" <small>± {row.high - row.value:.1f}</small>"
    share = "" if row.explained is None else f"{100 * max(row.explained, 0):.0f} %"
    if share and row.ceiling is not None:
        share += f" <small>({100 * max(row.ceiling, 0):.0f})</small>"
    return (
        f"<div class='length' role='row'><span role='rowheader'>{escape(row.label)}</span>"
        f"{strip(row)}<span role='cell'>{row.value:.1f}{half}</span>"
        f"<span role='cell'>{against_mean(row)}</span><span role='cell'>{share}</span></div>"
    )


def strip(row: Measurement) -> str:
    """The interval on a scale of standard deviations around the mean."""
    if row.mean is None or row.deviation is None or row.low is None or row.high is None:
        return "<div class='strip' role='cell'></div>"

    def at(value: float) -> float:
        share = (value - row.mean) / (SPREAD * row.deviation)
        return 50 + 50 * min(max(share, -1.0), 1.0)

    band = 100 * NORMAL_80 / SPREAD
    told = f"{row.low:.1f} to {row.high:.1f} mm, mean {row.mean:.1f} mm"
    return (
        f"<div class='strip' role='cell'><span role='img' aria-label='{told}' title='{told}'>"
        f"<i class='band' style='left:{50 - band / 2:.1f}%;width:{band:.1f}%'></i>"
        f"<i class='bar' style='left:{at(row.low):.1f}%;"
        f"width:{at(row.high) - at(row.low):.1f}%'></i>"
        f"<i class='middle'></i><i class='dot' style='left:{at(row.value):.1f}%'></i>"
        "</span></div>"
    )

"""What a portrait says, as HTML: facts on cards, and what was odd about the recording."""

from html import escape

from voicemesh.pipeline import Estimate, Portrait

MEANINGS = {
    "Nearest mean face": "Of women or of men, by the shape of the head.",
    "Face type": "Regular, slim, skinny or wide: which one is nearest.",
    "Habitual pitch": "How high the voice usually is.",
    "Vocal tract": "From the vocal folds to the lips.",
}
FURTHEST = 3  # lengths that are named below the cards
APART = "Distance of all points of the head, root mean square"


def summary(portrait: Portrait) -> str:
    """Sex, face type, pitch and vocal tract as cards; notes above, what is special below."""
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in portrait.notes)
    cards = [
        nearest("Nearest mean face", portrait.sex, portrait.sex_distances),
        nearest("Face type", portrait.face_type, portrait.type_distances),
        quantity("Habitual pitch", portrait.pitch_hz, "Hz", 0),
        quantity("Vocal tract", portrait.tract_cm, "cm", 1),
    ]
    return f"{notes}<div class='cards'>{''.join(cards)}</div>{special(portrait)}"


def special(portrait: Portrait) -> str:
    """The lengths furthest from the mean of the sex, and how little that may mean."""
    known = [row for row in portrait.measurements if row.mean is not None and row.deviation]
    if not known or not portrait.sex:
        return ""
    known.sort(key=lambda row: -abs(row.value - row.mean) / row.deviation)
    told = ", ".join(
        f"<b>{escape(row.label.lower())}</b> {signed(row.value - row.mean)}"
        + ("" if row.high is None else f" ± {row.high - row.value:.1f}")
        + " mm"
        for row in known[:FURTHEST]
    )
    mean = {"female": "woman", "male": "man"}[portrait.sex]
    sure = " (± holds 80 % of people)" if " ± " in told else ""
    return f"<p class='special'>Furthest from the mean {mean}{sure}: {told}.</p>"


def nearest(title: str, name: str, distances: dict[str, float]) -> str:
    """A card with the nearest of some reference faces and the distance to each."""
    if not name:
        return card(title, "&ndash;", "")
    furthest = max(distances.values())
    rows = "".join(
        f"<li{' class=here' if other == name else ''} title='{APART}'><span>{escape(other)}</span>"
        f"<i style='--share:{distance / furthest:.3f}'></i><b>{distance:.1f} mm</b></li>"
        for other, distance in sorted(distances.items(), key=lambda item: item[1])
    )
    return card(title, escape(name.capitalize()), f"<ul>{rows}</ul>")


def quantity(title: str, estimate: Estimate | None, unit: str, digits: int) -> str:
    """A card with a number, its interval and what it is."""
    meaning = f"<p>{MEANINGS[title]}</p>"
    if estimate is None:
        return card(title, "&ndash;", meaning)
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        ends = f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
        interval = f"<p>80&nbsp;% sure: <b>{ends}</b></p>"
    value = f"{estimate.value:.{digits}f} <small>{unit}</small>"
    return card(title, value, interval + meaning)


def empty() -> str:
    """The cards before there is anything on them: what they will tell."""
    cards = (card(title, "&ndash;", f"<p>{words}</p>") for title, words in MEANINGS.items())
    return f"<div class='cards empty'>{''.join(cards)}</div>"


def card(title: str, value: str, more: str) -> str:
    """One fact."""
    return f"<article><h2>{title}</h2><strong>{value}</strong>{more}</article>"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, none on zero."""
    told = f"{value:+.{digits}f}"
    return told[1:] if float(told) == 0 else told.replace("-", "&minus;")

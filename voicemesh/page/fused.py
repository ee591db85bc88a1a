"""Images that are faces alone: SF2F's with those of its moments, and voice2face's."""

from voicemesh.pipeline import Portrait
from voicemesh.systems.sf2f import Spoken

from .pictures import SMALL, figure

FUSED = """<h2>Moments of the voice, fused</h2><p>Every 1.25 seconds suggest a face of their own;
attention among them makes one of all. It is a typical face of such voices, not the speaker's.</p>
"""
WHOLE = """<h2>The voice as a whole, and its moments</h2><p>Every 1.25 seconds suggest a face of
their own, all of the voice suggests one. It is a typical face of such voices, not the speaker's.
</p>"""

ONE_PIECE = """<h2>The voice in one piece</h2><p>voice2face, the oldest of these ways, hears all of
a voice at once and makes one image: a typical face of such voices, not the speaker's.</p>"""

LEGEND = {
    True: "When each moment begins, and how much attention it gets; 1 is its even share.",
    False: "When each moment begins.",
}


def fused(portrait: Portrait) -> str:
    """The fused image and those of single moments; nothing if the bundle has no net for it."""
    if portrait.spoken is None:
        return ""
    return (FUSED if portrait.spoken.fused else WHOLE) + moments(portrait.spoken)


def in_one_piece(portrait: Portrait) -> str:
    """voice2face's image; nothing if the bundle has no nets for it."""
    if portrait.in_one_piece is None:
        return ""
    picture = figure(portrait.in_one_piece, "All of the voice", "as voice2face imagines its face")
    return f"{ONE_PIECE}<div class='branches'><div class='pictures'>{picture}</div></div>"


def moments(spoken: Spoken) -> str:
    """The image of all beside those of its moments, with how much each was looked at."""
    whole = figure(spoken.image, "All moments", "fused" if spoken.fused else "heard in one piece")
    alone = "".join(
        figure(
            pixels,
            f"{start:.1f} s",
            f"&times; {share:.2f}" if spoken.fused else "",
            alt="The face of the moment at {title}",
            side=SMALL,
        )
        for pixels, start, share in zip(
            spoken.segments, spoken.starts, spoken.attention, strict=True
        )
    )
    return (
        f"<div class='branches'><div class='pictures'>{whole}</div>"
        f"<div><div class='prototypes'>{alone}</div><p class='legend'>{LEGEND[spoken.fused]}</p>"
        "</div></div>"
    )

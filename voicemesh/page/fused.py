"""SF2F's image of a voice, and the images of its moments that it was fused from."""

from voicemesh.pipeline import Portrait
from voicemesh.systems.sf2f import Spoken

from .image import figure

HEADING = """<h2>Moments of the voice, fused</h2><p>Every 1.25 seconds suggest a face of their
own; attention among them makes one of all. It is a typical face of such voices, not the
speaker's.</p>"""


def fused(portrait: Portrait) -> str:
    """The fused image and those of single moments; nothing if the bundle has no net for it."""
    if portrait.spoken is None:
        return ""
    return HEADING + moments(portrait.spoken)


def moments(spoken: Spoken) -> str:
    """The image of all beside those of its moments, with how much each was looked at."""
    whole = figure(spoken.image, "All moments", "fused")
    alone = "".join(
        figure(pixels, f"{start:.1f} s", f"&times; {share:.2f}")
        for pixels, start, share in zip(
            spoken.segments, spoken.starts, spoken.attention, strict=True
        )
    )
    return (
        f"<div class='branches'><div class='pictures'>{whole}</div>"
        f"<div><div class='prototypes'>{alone}</div><p class='legend'>When each moment begins, and"
        " how much attention it gets; 1 is its even share.</p></div></div>"
    )

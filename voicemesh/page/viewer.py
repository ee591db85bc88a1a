"""What the browser itself does with the heads on the page, by the names in assets/viewer.js."""

import json
from collections.abc import Sequence

PLACES = {
    "mesh": "The head that the voice suggests",
    "compare-mesh": "The two heads, one on the other",
    "photo-mesh": "The head on the photograph",
}
ATTEND = f"() => voicemesh.attend({json.dumps(PLACES)})"  # keys, names, finer pictures at rest
LEND = "(shown) => Array({count}).fill(shown)"  # the first head, until other places have their own


def draw(place: str, following: Sequence[str] = ()) -> str:
    """Puts a head into a place; done when it is on the screen.

    What stands in the places that are `following` is of an earlier head until it changes.
    """
    return f"(head) => voicemesh.draw({place!r}, head, {json.dumps(following)})"


def keep(place: str, standing: Sequence[str]) -> str:
    """After an error: what stands there stays, faintly, for it is of an earlier head."""
    return f"() => voicemesh.keep({place!r}, {json.dumps(standing)})"


def add_views(place: str) -> str:
    """Gives the head of a place the views that follow it."""
    return f"(views, view) => voicemesh.addViews({place!r}, views, view)"


def switch_view(place: str) -> str:
    """Colours the head of a place by another of the views that came with it."""
    return f"(view) => voicemesh.switchView({place!r}, view)"

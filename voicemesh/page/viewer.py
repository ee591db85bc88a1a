"""What the browser itself does with the heads on the page, by the names in assets/viewer.js."""

import json

PLACES = {
    "mesh": "The head that the voice suggests",
    "compare-mesh": "The two heads, one on the other",
    "photo-mesh": "The head on the photograph",
}
ATTEND = f"() => voicemesh.attend({json.dumps(PLACES)})"  # keys, names, finer pictures at rest
DRAW = "(head) => voicemesh.draw('mesh', head)"  # done when the head is on the screen
ADD_VIEWS = "(views, view) => voicemesh.addViews('mesh', views, view)"


def switch_view(place: str) -> str:
    """Colours the head of a place by another of the views that came with it."""
    return f"(view) => voicemesh.switchView({place!r}, view)"

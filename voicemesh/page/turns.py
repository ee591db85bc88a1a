"""Whose images are still wanted: what takes long asks now and then, and ends if nobody waits."""

import gradio as gr

VISITORS = 4096  # whose turns are remembered


class Turns:
    """Which run of a visitor is the latest: an older one sees that it is not, and ends."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}

    def now(self, request: gr.Request) -> int:
        """The number of the visitor's latest turn."""
        return self._latest.get(request.session_hash or "", 0)

    def next(self, request: gr.Request) -> None:
        """Begin another turn; visitors of long ago are forgotten."""
        visitor = request.session_hash or ""
        self._latest[visitor] = self._latest.pop(visitor, 0) + 1
        while len(self._latest) > VISITORS:
            del self._latest[next(iter(self._latest))]

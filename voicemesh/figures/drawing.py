"""Heads under several colourings: as a whole figure, or for a page that shows another head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicemesh.mesh.morphable import FaceMesh

from .moved import moved
from .palette import FONT
from .scene import TRIANGLES, Trace, ranges_about, scene_about, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Shown = Mapping[str, Mapping[str, list[Any]]]  # attributes of all traces, by view


@dataclass(frozen=True, eq=False)
class Drawing:
    """Heads of one model, then what stands beside them; `views` has attributes of all of these.

    An attribute is None where a view changes nothing.
    """

    faces: Sequence[FaceMesh]
    beside: Sequence[Trace]
    views: Shown
    view: str  # the one that is seen first

    def __post_init__(self) -> None:
        if self.view not in self.views:
            known = ", ".join(self.views)
            raise ValueError(f"There is no view {self.view!r} here; there are {known}")

    @property
    def traces(self) -> list[Trace]:
        """All of them, without what the views add."""
        heads = [trace(face.vertices, face.triangles) for face in self.faces]
        return [*heads, *map(dict, self.beside)]

    def figure(self) -> "Figure":
        """A figure; its views, and the camera before it, travel in `layout.meta` for a page."""
        import plotly.graph_objects as go

        shown = self.traces
        for name, values in self.views[self.view].items():
            for one, value in zip(shown, values, strict=True):
                if value is not None:
                    one[name] = value
        scene = scene_about(self.faces)
        layout = {
            "meta": {"views": self.views, "front": scene["camera"]},
            "font": FONT,
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "scene": {
                **scene,
                "dragmode": "turntable",
                "uirevision": "head",
                "bgcolor": "rgba(0,0,0,0)",
            },
            "uirevision": "head",
        }
        return go.Figure({"data": shown, "layout": layout})

    def sent(self) -> dict[str, Any]:
        """What a page that shows a head of this model already needs: a third of a figure.

        Plain data: `traces` with points in steps of 1/64 mm and without the triangles of heads;
        `ranges` of the axes; `view` and `views`.
        """
        heads = len(self.faces)
        traces = [moved(one, TRIANGLES if n < heads else ()) for n, one in enumerate(self.traces)]
        ranges = {axis: list(ends) for axis, ends in ranges_about(self.faces).items()}
        return {"traces": traces, "ranges": ranges, "view": self.view, "views": dict(self.views)}

"""The head to be turned by hand: in three colourings, or beside another head."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from voicemesh.mesh.bust import neck_rim
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.morphable import FaceMesh

from .dressing import dressed, on_scale, packed, sculpted
from .moved import KEPT, moved
from .palette import DISTANCE_STOPS, SIGNED_STOPS, levels
from .scene import Trace, colour_bar, figure, ranges_about, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

View = Literal["skin", "grey", "uncertainty"]
VIEWS: tuple[View, ...] = ("skin", "grey", "uncertainty")

Shown = Mapping[str, Mapping[str, list[Any]]]  # attributes of all traces, by view


def mesh(
    face: FaceMesh,
    uncertainty: Float[np.ndarray, " v"] | None = None,
    view: View = "skin",
    openness: Float[np.ndarray, " v"] | None = None,
    material: Int[np.ndarray, " v"] | None = None,
    hair: Hair | None = None,
) -> "Figure":
    """The head, and a scale in mm that the uncertainty view shows.

    `uncertainty` is in mm per vertex; `openness`, the share of the sky over it, darkens folds;
    `material` tells eyes from skin; `hair` is what the skin view wears. What the other views need
    travels in `layout.meta.views`, one set of attributes of all traces each and None where a view
    changes nothing, so that the page can switch the colouring without asking for the mesh again.

    Raises:
        ValueError: an unknown view, or the uncertainty view without uncertainty.
    """
    worn = dressed(face, openness, material, hair)
    colours = {"skin": worn.head} | unworn(face, uncertainty, openness)
    extras = worn.extras
    traces = [trace(face.vertices, face.triangles), scale_of(face, uncertainty), *extras]
    return figure(traces, shown_by(colours, len(extras)), view, [face])


def another(
    face: FaceMesh,
    uncertainty: Float[np.ndarray, " v"] | None = None,
    view: View = "skin",
    openness: Float[np.ndarray, " v"] | None = None,
    material: Int[np.ndarray, " v"] | None = None,
    hair: Hair | None = None,
) -> dict[str, Any]:
    """What a page that shows one head of a model needs to show another: a third of a figure.

    Plain data: `traces` as `mesh` has them, but for the triangles of the head and with points in
    steps of 1/64 mm; `ranges` of the axes; `view`, and in `views` the attributes of that view
    alone. `other_views` has the rest.

    Raises:
        ValueError: an unknown view, or the uncertainty view without uncertainty.
    """
    known = VIEWS if uncertainty is not None else VIEWS[:2]
    if view not in known:
        raise ValueError(f"There is no view {view!r} here; there are {', '.join(known)}")
    worn = dressed(face, openness, material, hair)
    colours = worn.head if view == "skin" else unworn(face, uncertainty, openness)[view]
    head = moved(trace(face.vertices, face.triangles), KEPT)
    rest = (scale_of(face, uncertainty), *worn.extras)
    return {
        "traces": [head, *(moved(one) for one in rest)],
        "ranges": {axis: list(ends) for axis, ends in ranges_about([face]).items()},
        "view": view,
        "views": shown_by({view: colours}, len(worn.extras)),
    }


def other_views(
    face: FaceMesh,
    uncertainty: Float[np.ndarray, " v"] | None = None,
    view: View = "skin",
    openness: Float[np.ndarray, " v"] | None = None,
    material: Int[np.ndarray, " v"] | None = None,
    hair: Hair | None = None,
) -> Shown:
    """The views that `another` left out."""
    colours = unworn(face, uncertainty, openness)
    extras = (hair is not None and len(hair.triangles) > 0) + bool(len(neck_rim(face)))
    if view != "skin":
        colours["skin"] = dressed(face, openness, material, hair).head
    return shown_by({name: told for name, told in colours.items() if name != view}, extras)


def unworn(
    face: FaceMesh,
    uncertainty: Float[np.ndarray, " v"] | None,
    openness: Float[np.ndarray, " v"] | None,
) -> dict[str, UInt8[np.ndarray, "v 3"]]:
    """The colours of the bare head in the views that have no skin."""
    grey = sculpted(face, openness)
    colours = {"grey": levels(grey)}
    if uncertainty is not None:
        colours["uncertainty"] = on_scale(uncertainty / top_of(uncertainty), DISTANCE_STOPS, grey)
    return colours


def shown_by(colours: Mapping[str, UInt8[np.ndarray, "v 3"]], extras: int) -> Shown:
    """What each view of a head, its scale and so many extras changes."""
    return {
        name: {
            "vertexcolor": [packed(told), *[None] * (1 + extras)],
            "visible": [True, name == "uncertainty", *[name == "skin"] * extras],
        }
        for name, told in colours.items()
    }


def top_of(uncertainty: Float[np.ndarray, " v"] | None) -> float:
    """The upper end of the scale of the uncertainty view."""
    return 1.0 if uncertainty is None else largest(uncertainty)


def scale_of(face: FaceMesh, uncertainty: Float[np.ndarray, " v"] | None) -> Trace:
    """The scale of the uncertainty view."""
    return colour_bar(face, (0.0, top_of(uncertainty)), DISTANCE_STOPS, "within mm")


def difference(
    faces: Sequence[FaceMesh],
    outward: Float[np.ndarray, " v"],
    names: tuple[str, str] = ("first", "second"),
    openness: Float[np.ndarray, " v"] | None = None,
    material: Int[np.ndarray, " v"] | None = None,
    hairs: Sequence[Hair | None] = (None, None),
) -> "Figure":
    """Two heads in one place: either in its skin, or how far the second stands out of the first.

    `outward` is in mm along the first one's surface, negative where the second lies inside. The
    views are the two names and "difference".
    """
    first, second = faces
    top = largest(np.abs(outward))
    worn = [
        dressed(face, openness, material, hair) for face, hair in zip(faces, hairs, strict=True)
    ]
    shares = (outward + top) / (2 * top)
    signed = packed(on_scale(shares, SIGNED_STOPS, sculpted(second, openness)))
    skins = [packed(one.head) for one in worn]
    extras = [None for both in worn for _ in both.extras]
    on_first = [True] * len(worn[0].extras) + [False] * len(worn[1].extras)
    on_second = [not shown for shown in on_first]
    shown = {
        names[0]: [True, False, False, *on_first],
        names[1]: [False, True, False, *on_second],
        "difference": [False, True, True, *[False] * len(extras)],
    }
    views = {
        name: {
            "vertexcolor": [skins[0], signed if visible[2] else skins[1], None, *extras],
            "visible": visible,
        }
        for name, visible in shown.items()
    }
    bar = colour_bar(first, (-top, top), SIGNED_STOPS, "mm outward")
    heads = [trace(face.vertices, face.triangles) for face in faces]
    traces = [*heads, bar, *worn[0].extras, *worn[1].extras]
    return figure(traces, views, "difference", faces)


def spread(
    face: FaceMesh,
    apart: Float[np.ndarray, " v"],
    openness: Float[np.ndarray, " v"] | None = None,
    material: Int[np.ndarray, " v"] | None = None,
    hair: Hair | None = None,
) -> "Figure":
    """A head coloured by how far other readings of it lie apart, in mm; the other view is skin."""
    top = largest(apart)
    worn = dressed(face, openness, material, hair)
    coloured = on_scale(apart / top, DISTANCE_STOPS, sculpted(face, openness))
    extras = [None] * len(worn.extras)
    views = {
        "skin": {
            "vertexcolor": [packed(worn.head), None, *extras],
            "visible": [True, False, *[True] * len(extras)],
        },
        "spread": {
            "vertexcolor": [packed(coloured), None, *extras],
            "visible": [True, True, *[False] * len(extras)],
        },
    }
    bar = colour_bar(face, (0.0, top), DISTANCE_STOPS, "mm apart")
    return figure(
        [trace(face.vertices, face.triangles), bar, *worn.extras], views, "spread", [face]
    )


def largest(distances: Float[np.ndarray, " v"]) -> float:
    """Upper end of a scale: the neck may go beyond it, the face does not.

    Whole millimetres, or the next half below two, or tenth below a half.
    """
    high = float(np.percentile(distances, 95))
    step = 1.0 if high > 2 else 0.5 if high > 0.5 else 0.1
    return max(step * float(np.ceil(high / step)), step)

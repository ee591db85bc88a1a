"""The head to be turned by hand: in three colourings, or beside another head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from voicemesh.mesh.bust import on_shoulders
from voicemesh.mesh.developed import LUMINANCE, developed
from voicemesh.mesh.hair import Hair
from voicemesh.mesh.morphable import FaceMesh

from .palette import DISTANCE_STOPS, FONT, SIGNED_STOPS, levels, scaled, stops

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

View = Literal["skin", "grey", "uncertainty"]
VIEWS: tuple[View, ...] = ("skin", "grey", "uncertainty")

GREY = (0.78, 0.765, 0.75)
CLOTH = (0.46, 0.50, 0.56)
DEEPEST = 0.5  # of a colour on a scale that is left where the least light falls
# The light is in the colours, as a studio throws it on a head that is walked around: Plotly's own
# lamps know neither shadows nor folds, and its highlights see a wrong eye.
LIGHT = {"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0}
UNIT = 200.0  # mm per unit of the scene: a head fills the view, and a large one more of it
BESIDE, BELOW, ABOVE = 235.0, 330.0, 195.0  # mm of the scene about the middle of a head
LIFTED = 2.0  # mm from the middle of a head to that of the view
FROM = {"x": 0.3, "y": -2.0, "z": 0.08}  # where the camera stands, seen from the view's middle

Trace = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Dressed:
    """A head as it is shown: its own colours, and traces of what stands under and grows on it."""

    head: UInt8[np.ndarray, "v 3"]
    extras: tuple[Trace, ...]  # shoulders, hair


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
    top = 1.0 if uncertainty is None else largest(uncertainty)
    worn = dressed(face, openness, material, hair)
    grey = sculpted(face, openness)
    painted = {"skin": worn.head, "grey": levels(grey)}
    if uncertainty is not None:
        painted["uncertainty"] = on_scale(uncertainty / top, DISTANCE_STOPS, grey)
    extras = worn.extras
    views = {
        name: {
            "vertexcolor": [packed(colours), *[None] * (1 + len(extras))],
            "visible": [True, name == "uncertainty", *[name == "skin"] * len(extras)],
        }
        for name, colours in painted.items()
    }
    bar = colour_bar(face, (0.0, top), DISTANCE_STOPS, "within mm")
    return figure([trace(face.vertices, face.triangles), bar, *extras], views, view, [face])


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


def dressed(
    face: FaceMesh,
    openness: Float[np.ndarray, " v"] | None,
    material: Int[np.ndarray, " v"] | None,
    hair: Hair | None,
) -> Dressed:
    """The head in its skin and hair, on shoulders if it has a neck to stand on them."""
    count, sides = len(face.vertices), len(face.triangles)
    seen = np.ones(count, np.float32) if openness is None else openness
    whole, seen, hair = on_shoulders(face, seen, hair, CLOTH)
    if material is not None:
        material = np.pad(material, (0, len(whole.vertices) - count))  # the rest is skin
    colours, locks = developed(whole, material, seen, hair)
    extras = []
    if len(whole.triangles) > sides:
        used, corners = np.unique(whole.triangles[sides:], return_inverse=True)
        stand = trace(whole.vertices[used], corners.reshape(-1, 3))
        extras.append(stand | {"vertexcolor": packed(levels(colours[used]))})
    if hair is not None and len(hair.triangles):
        ribbons = trace(hair.vertices, hair.triangles)
        extras.append(ribbons | {"vertexcolor": packed(levels(locks))})
    return Dressed(levels(colours[:count]), tuple(extras))


def sculpted(
    face: FaceMesh, openness: Float[np.ndarray, " v"] | None
) -> Float32[np.ndarray, "v 3"]:
    """The bare head as if it were of grey clay."""
    clay = np.broadcast_to(np.array(GREY, np.float32), face.colours.shape)
    return developed(replace(face, colours=clay), None, openness)[0]


def on_scale(
    shares: Float[np.ndarray, " v"],
    colours: tuple[str, ...],
    grey: Float32[np.ndarray, "v 3"],
) -> UInt8[np.ndarray, "v 3"]:
    """Colours of places on a scale, a little darker where the grey head is."""
    light = grey @ LUMINANCE
    light = (light / np.percentile(light, 80)).clip(0, 1)[:, None]
    return levels(scaled(shares, colours) * (DEEPEST + (1 - DEEPEST) * light))


def packed(colours: UInt8[np.ndarray, "v 3"]) -> dict[str, str]:
    """Colours as Plotly reads them from bytes: a third of the letters of '#rrggbb'."""
    import base64

    letters = base64.b64encode(np.ascontiguousarray(colours).tobytes()).decode()
    return {"dtype": "u1", "bdata": letters, "shape": f"{len(colours)}, 3"}


def trace(vertices: Float32[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]) -> Trace:
    """A mesh without its colours. The scene is z up and faces -y: Plotly's turntable needs it."""
    x, y, z = vertices.T
    i, j, k = triangles.T.astype(np.uint16 if len(vertices) < 2**16 else np.int32)
    return {
        "type": "mesh3d",
        **{"x": x, "y": np.negative(z), "z": y, "i": i, "j": j, "k": k},
        "flatshading": False,
        "lighting": LIGHT,
        "hoverinfo": "skip",
    }


def colour_bar(
    face: FaceMesh, ends: tuple[float, float], colours: tuple[str, ...], title: str
) -> Trace:
    """A scale as a trace of its own: a mesh that once had intensities keeps their colours."""
    x, y, z = face.vertices[:1].T
    return {
        "type": "scatter3d",
        "mode": "markers",
        **{"x": x, "y": np.negative(z), "z": y},
        "hoverinfo": "skip",
        "showlegend": False,
        "marker": {
            "size": 0.1,
            "opacity": 0,
            "color": [0.0],
            "cmin": ends[0],
            "cmax": ends[1],
            "colorscale": stops(colours),
            "showscale": True,
            "colorbar": {
                "title": {"text": title, "side": "right"},
                "thickness": 10,
                "len": 0.6,
                "x": 0.98,
                "xanchor": "right",
                "outlinewidth": 0,
                "tickfont": FONT,
            },
        },
    }


def scene_about(faces: Sequence[FaceMesh]) -> dict[str, Any]:
    """Axes and camera that keep their place whatever is shown: sizes can be compared."""
    points = np.concatenate([face.vertices for face in faces])
    x, y, z = ((points.min(0) + points.max(0)) / 2).tolist()
    hidden = {"visible": False, "showspikes": False, "autorange": False}
    ends = {
        "x": (x - BESIDE, x + BESIDE),
        "y": (-z - BESIDE, -z + BESIDE),
        "z": (y - BELOW, y + ABOVE),
    }
    up = (LIFTED - (ABOVE - BELOW) / 2) / UNIT
    return {
        **{f"{axis}axis": hidden | {"range": list(pair)} for axis, pair in ends.items()},
        "aspectmode": "manual",
        "aspectratio": {axis: (high - low) / UNIT for axis, (low, high) in ends.items()},
        "camera": {
            "eye": FROM | {"z": FROM["z"] + up},
            "center": {"x": 0, "y": 0, "z": up},
            "up": {"x": 0, "y": 0, "z": 1},
            "projection": {"type": "orthographic"},  # a near camera swells the nose
        },
    }


def figure(
    traces: Sequence[Trace],
    views: Mapping[str, Mapping[str, list[Any]]],
    view: str,
    faces: Sequence[FaceMesh],
) -> "Figure":
    """The traces under one of their views, with all views for the page to switch between.

    Raises:
        ValueError: an unknown view.
    """
    import plotly.graph_objects as go

    if view not in views:
        raise ValueError(f"There is no view {view!r} here; there are {', '.join(views)}")
    shown = [dict(one) for one in traces]
    for name, values in views[view].items():
        for one, value in zip(shown, values, strict=True):
            if value is not None:
                one[name] = value
    layout = {
        "meta": {"views": views},
        "font": FONT,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "scene": {
            **scene_about(faces),
            "dragmode": "turntable",
            "uirevision": "head",
            "bgcolor": "rgba(0,0,0,0)",
        },
        "uirevision": "head",
    }
    return go.Figure({"data": shown, "layout": layout})

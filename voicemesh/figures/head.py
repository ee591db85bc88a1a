"""The head to be turned by hand: in three colourings, or beside another head."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Float32

from voicemesh.mesh.morphable import FaceMesh

from .palette import DISTANCE_STOPS, FONT, SIGNED_STOPS, hexadecimal, scaled, stops

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

View = Literal["skin", "grey", "uncertainty"]
VIEWS: tuple[View, ...] = ("skin", "grey", "uncertainty")
Views = dict[str, dict[str, list[Any]]]  # attributes of each view, one entry per trace

GREY = (0.80, 0.785, 0.765)
GAIN = np.float32(1.25)  # of the skin colours: the light here is white and not strong
SHADE = 0.45  # of the colour that is left where no sky is seen
OPEN = 0.8  # share of the sky from which on nothing is darkened

# Plotly takes the light's place in the camera's clip space: it stays at the viewer's upper left,
# in front, while the head turns. Fresnel and specular terms see a wrong eye there: none of them.
LIGHT_POSITION = {"x": -480, "y": 620, "z": -3.4}
LIGHT = {  # ambient and diffuse add up to one: more would be cut off and flatten the face
    "ambient": 0.46,
    "diffuse": 0.54,
    "specular": 0.0,
    "roughness": 0.6,
    "fresnel": 0.0,
    "vertexnormalsepsilon": 1e-12,
    "facenormalsepsilon": 1e-12,
}
UNIT = 138.0  # mm per unit of the scene: a head fills the view, and a large one more of it


def mesh(
    face: FaceMesh,
    uncertainty: Float[np.ndarray, " v"] | None = None,
    view: View = "skin",
    openness: Float[np.ndarray, " v"] | None = None,
) -> "Figure":
    """The head, and a scale in mm that the uncertainty view shows.

    `uncertainty` is in mm per vertex; `openness`, the share of the sky over it, darkens folds.
    What the other views need travels in `layout.meta.views`, one set of attributes of all traces
    each, so that the page can switch the colouring without asking for the mesh again.

    Raises:
        ValueError: an unknown view, or the uncertainty view without uncertainty.
    """
    top = 1.0 if uncertainty is None else largest(uncertainty)
    painted = {
        "skin": skin(face.colours, openness),
        "grey": skin(np.full_like(face.colours, np.divide(GREY, GAIN)), openness),
    }
    if uncertainty is not None:
        painted["uncertainty"] = hexadecimal(scaled(uncertainty / top, DISTANCE_STOPS))
    views = {
        name: {"vertexcolor": [colours, None], "visible": [True, name == "uncertainty"]}
        for name, colours in painted.items()
    }
    bar = colour_bar(face, (0.0, top), DISTANCE_STOPS, "within mm")
    return figure([trace(face), bar], views, view, extent_of([face]))


def difference(
    faces: Sequence[FaceMesh],
    outward: Float[np.ndarray, " v"],
    names: tuple[str, str] = ("first", "second"),
    openness: Float[np.ndarray, " v"] | None = None,
) -> "Figure":
    """Two heads in one place: either in its skin, or how far the second stands out of the first.

    `outward` is in mm along the first one's surface, negative where the second lies inside. The
    views are the two names and "difference".
    """
    first, second = faces
    top = largest(np.abs(outward))
    signed = hexadecimal(scaled((outward + top) / (2 * top), SIGNED_STOPS))
    skins = [skin(face.colours, openness) for face in (first, second)]
    views = {
        names[0]: {"vertexcolor": [skins[0], skins[1], None], "visible": [True, False, False]},
        names[1]: {"vertexcolor": [skins[0], skins[1], None], "visible": [False, True, False]},
        "difference": {"vertexcolor": [skins[0], signed, None], "visible": [False, True, True]},
    }
    bar = colour_bar(first, (-top, top), SIGNED_STOPS, "mm outward")
    return figure([trace(first), trace(second), bar], views, "difference", extent_of(faces))


def spread(
    face: FaceMesh,
    apart: Float[np.ndarray, " v"],
    openness: Float[np.ndarray, " v"] | None = None,
) -> "Figure":
    """A head coloured by how far other readings of it lie apart, in mm; the other view is skin."""
    top = largest(apart)
    views = {
        "skin": {"vertexcolor": [skin(face.colours, openness), None], "visible": [True, False]},
        "spread": {
            "vertexcolor": [hexadecimal(scaled(apart / top, DISTANCE_STOPS)), None],
            "visible": [True, True],
        },
    }
    bar = colour_bar(face, (0.0, top), DISTANCE_STOPS, "mm apart")
    return figure([trace(face), bar], views, "spread", extent_of([face]))


def largest(distances: Float[np.ndarray, " v"]) -> float:
    """Upper end of a scale: the neck may go beyond it, the face does not.

    Whole millimetres, or the next half below two, or tenth below a half.
    """
    high = float(np.percentile(distances, 95))
    step = 1.0 if high > 2 else 0.5 if high > 0.5 else 0.1
    return max(step * float(np.ceil(high / step)), step)


def skin(
    colours: Float32[np.ndarray, "v 3"], openness: Float[np.ndarray, " v"] | None = None
) -> list[str]:
    """Colours for Plotly's light, darker where little sky is seen."""
    shade = np.ones((len(colours), 1), np.float32)
    if openness is not None:
        shade[:, 0] = SHADE + (1 - SHADE) * (openness / OPEN).clip(0, 1)
    return hexadecimal((GAIN * colours * shade).astype(np.float32))


def trace(face: FaceMesh) -> dict[str, Any]:
    """A head without its colours. The scene is z up and faces -y: Plotly's turntable needs it."""
    x, y, z = face.vertices.T
    i, j, k = face.triangles.T
    return {
        "type": "mesh3d",
        **{"x": x, "y": np.negative(z), "z": y, "i": i, "j": j, "k": k},
        "flatshading": False,
        "lighting": LIGHT,
        "lightposition": LIGHT_POSITION,
        "hoverinfo": "skip",
    }


def colour_bar(
    face: FaceMesh, ends: tuple[float, float], colours: tuple[str, ...], title: str
) -> dict[str, Any]:
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


def extent_of(faces: Sequence[FaceMesh]) -> list[float]:
    """The box around all heads in units of the scene, in the model's order of axes."""
    points = np.concatenate([face.vertices for face in faces])
    return (np.ptp(points, axis=0) / UNIT).tolist()


def figure(
    traces: Sequence[dict[str, Any]],
    views: Mapping[str, Mapping[str, list[Any]]],
    view: str,
    extent: Sequence[float],
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
    hidden = {"visible": False, "showspikes": False}
    layout = {
        "meta": {"views": views},
        "font": FONT,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "scene": {
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "manual",
            "aspectratio": dict(zip("xzy", extent, strict=True)),
            "dragmode": "turntable",
            "uirevision": "head",
            "bgcolor": "rgba(0,0,0,0)",
            "camera": {
                "eye": {"x": 0.35, "y": -2, "z": 0.1},
                "center": {"x": 0, "y": 0, "z": 0},
                "up": {"x": 0, "y": 0, "z": 1},
                "projection": {"type": "orthographic"},  # a near camera swells the nose
            },
        },
        "uirevision": "head",
    }
    return go.Figure({"data": shown, "layout": layout})

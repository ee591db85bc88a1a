"""Plotly figures of a portrait: the head in three colourings, and the voice it was read from."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Int

from voicemesh.mesh.morphable import FaceMesh

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

View = Literal["skin", "grey", "uncertainty"]
VIEWS: tuple[View, ...] = ("skin", "grey", "uncertainty")

GREY = (0.80, 0.785, 0.765)
GAIN = np.float32(1.25)  # of the skin colours: the light here is white and not strong
SHADE = 0.45  # of the colour that is left where no sky is seen
OPEN = 0.8  # share of the sky from which on nothing is darkened
INK = "#7d8590"  # legible on white and on black: a figure does not know the page's mode
ACCENT = "#e07a4f"
SILENCE = "#9aa3ad"
# Light to dark in one hue, so that it also reads in grey: sure is pale, unsure is deep.
UNCERTAINTY_STOPS = ("#f4efe6", "#f2cf9b", "#e8935b", "#c4503f", "#7d2248")
MEL_STOPS = ("#10131f", "#2b2a5c", "#6d3278", "#b8476b", "#ee7d55", "#fbd28b", "#fdf6d8")
FONT = {"family": "IBM Plex Sans, ui-sans-serif, system-ui, sans-serif", "size": 12, "color": INK}

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

WAVEFORM_COLUMNS = 1200  # pairs of minimum and maximum: more than a screen shows
MEL_COLUMNS = 1200


def mesh(
    face: FaceMesh,
    uncertainty: Float[np.ndarray, " v"] | None = None,
    view: View = "skin",
    openness: Float[np.ndarray, " v"] | None = None,
) -> "Figure":
    """The head, to be turned by hand, and a scale in mm that the uncertainty view shows.

    `uncertainty` is in mm per vertex; `openness`, the share of the sky over it, darkens folds.
    The scene is z up and faces -y, as Plotly's turntable needs it. What the other views need
    travels in `layout.meta.views`, one set of attributes of both traces each, so that the page
    can switch the colouring without asking for the mesh again.

    Raises:
        ValueError: an unknown view, or the uncertainty view without uncertainty.
    """
    import plotly.graph_objects as go

    top = 1.0 if uncertainty is None else largest(uncertainty)
    views = colourings(face.colours, uncertainty, top, openness)
    if view not in views:
        raise ValueError(f"There is no view {view!r} here; there are {', '.join(views)}")
    colours, bar_shown = views[view]["vertexcolor"][0], views[view]["visible"][1]
    x, y, z = face.vertices.T
    i, j, k = face.triangles.T
    head = {
        "type": "mesh3d",
        **{"x": x, "y": np.negative(z), "z": y, "i": i, "j": j, "k": k},
        "vertexcolor": colours,
        "flatshading": False,
        "lighting": LIGHT,
        "lightposition": LIGHT_POSITION,
        "hoverinfo": "skip",
    }
    # A mesh that once had intensities keeps their colour scale: the bar has a trace of its own.
    bar = {
        "type": "scatter3d",
        "mode": "markers",
        **{"x": x[:1], "y": np.negative(z[:1]), "z": y[:1]},
        "hoverinfo": "skip",
        "showlegend": False,
        "visible": bar_shown,
        "marker": {
            "size": 0.1,
            "opacity": 0,
            "color": [0.0],
            "cmin": 0.0,
            "cmax": top,
            "colorscale": stops(UNCERTAINTY_STOPS),
            "showscale": True,
            "colorbar": {
                "title": {"text": "within mm", "side": "right"},
                "thickness": 10,
                "len": 0.6,
                "x": 0.98,
                "xanchor": "right",
                "outlinewidth": 0,
                "tickfont": FONT,
            },
        },
    }
    hidden = {"visible": False, "showspikes": False}
    extent = (np.ptp(face.vertices, axis=0) / UNIT).tolist()
    layout = {
        "meta": {"views": views},
        "font": FONT,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
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
    return go.Figure({"data": [head, bar], "layout": layout})


def largest(uncertainty: Float[np.ndarray, " v"]) -> float:
    """Upper end of the scale: the neck may go beyond it, the face does not."""
    return max(float(np.ceil(np.percentile(uncertainty, 95))), 1.0)


def colourings(
    colours: Float32[np.ndarray, "v 3"],
    uncertainty: Float[np.ndarray, " v"] | None = None,
    top: float = 1.0,
    openness: Float[np.ndarray, " v"] | None = None,
) -> dict[str, dict[str, list[Any]]]:
    """Attributes of each view: one entry per trace, the head's and the bar's."""
    shade = np.ones((len(colours), 1), np.float32)
    if openness is not None:
        shade[:, 0] = SHADE + (1 - SHADE) * (openness / OPEN).clip(0, 1)
    painted = {"skin": GAIN * colours * shade, "grey": np.float32(GREY) * shade}
    if uncertainty is not None:
        painted["uncertainty"] = scaled(uncertainty / top, UNCERTAINTY_STOPS)
    return {
        view: {
            "vertexcolor": [hexadecimal(colour), None],
            "visible": [True, view == "uncertainty"],
        }
        for view, colour in painted.items()
    }


def scaled(shares: Float[np.ndarray, " v"], colours: tuple[str, ...]) -> Float32[np.ndarray, "v 3"]:
    """Colours in [0, 1] of places on a scale from 0 to 1; what lies beyond has its end's."""
    ends = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in colours]) / 255
    places = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(shares, places, end) for end in ends.T], 1).astype(np.float32)


def hexadecimal(colours: Float32[np.ndarray, "v 3"]) -> list[str]:
    """Colours in [0, 1] as '#rrggbb'; strings this short are what Plotly parses fastest."""
    levels = np.round(np.clip(colours, 0, 1) * 255).astype(np.int64)
    packed = (levels[:, 0] << 16) + (levels[:, 1] << 8) + levels[:, 2]
    return [f"#{colour:06x}" for colour in packed.tolist()]


def stops(colours: tuple[str, ...]) -> list[list[float | str]]:
    """Evenly spaced colours as a Plotly colour scale."""
    return [[n / (len(colours) - 1), colour] for n, colour in enumerate(colours)]


def voice(
    waveform: Float32[np.ndarray, " samples"],
    segments: Int[np.ndarray, "segments 2"],
    log_mel: Float[np.ndarray, "mels frames"],
    sample_rate: int = 16_000,
) -> "Figure":
    """Waveform with its speech marked, over the log-mel picture; one time axis for both."""
    import plotly.graph_objects as go

    seconds = len(waveform) / sample_rate
    times, low, high = envelope(waveform, WAVEFORM_COLUMNS)
    speaking = inside(segments, times)
    bands = [
        band(times / sample_rate, low, high, speaking, ACCENT, "speech"),
        band(times / sample_rate, low, high, ~speaking, SILENCE, "left out"),
    ]
    picture, step = mel_picture(log_mel, seconds)
    heat = {
        "type": "heatmap",
        "z": picture,
        "x0": step / 2,
        "dx": step,
        "yaxis": "y2",
        "colorscale": stops(MEL_STOPS),
        "showscale": False,
        "zsmooth": "fast",
        "hoverinfo": "skip",
    }
    shades = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "y domain",
            **{"x0": start / sample_rate, "x1": stop / sample_rate, "y0": 0, "y1": 1},
            "fillcolor": ACCENT,
            "opacity": 0.09,
            "line": {"width": 0},
            "layer": "below",
        }
        for start, stop in segments.tolist()
    ]
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "fixedrange": True}
    layout = {
        "font": FONT,
        "margin": {"l": 4, "r": 4, "t": 4, "b": 34},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "shapes": shades,
        "xaxis": {
            "range": [0, max(seconds, 0.1)],
            "title": {"text": "seconds", "standoff": 4},
            "showgrid": False,
            "zeroline": False,
            "anchor": "y2",
            "fixedrange": True,
        },
        "yaxis": bare | {"domain": [0.56, 1], "range": [-1.05, 1.05]},
        "yaxis2": bare | {"domain": [0, 0.5]},
    }
    return go.Figure({"data": [*bands, heat], "layout": layout})


def envelope(
    waveform: Float32[np.ndarray, " samples"], columns: int
) -> tuple[Int[np.ndarray, " c"], Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    """Lowest and highest sample of each column, scaled to the loudest; sample index of each."""
    if len(waveform) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32)
    edges = np.unique(np.linspace(0, len(waveform), columns + 1).astype(np.int64)[:-1])
    scale = max(float(np.abs(waveform).max()), 1e-4)
    low = np.minimum.reduceat(waveform, edges) / scale
    high = np.maximum.reduceat(waveform, edges) / scale
    return edges, low.astype(np.float32), high.astype(np.float32)


def inside(
    segments: Int[np.ndarray, "segments 2"], times: Int[np.ndarray, " c"]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which sample indices lie in a segment."""
    if len(segments) == 0:
        return np.zeros(len(times), bool)
    at = np.searchsorted(segments[:, 0], times, side="right") - 1
    return (at >= 0) & (times < segments[at.clip(0), 1])


def band(
    seconds: Float[np.ndarray, " c"],
    low: Float32[np.ndarray, " c"],
    high: Float32[np.ndarray, " c"],
    shown: np.ndarray[Any, np.dtype[np.bool_]],
    colour: str,
    name: str,
) -> dict[str, Any]:
    """One vertical stroke per column that is shown, as a single line with gaps."""
    seconds, low, high = seconds[shown], low[shown], high[shown]
    gap = np.full(len(low), np.nan, np.float32)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": np.repeat(seconds.astype(np.float32), 3),
        "y": np.stack([low, high, gap], 1).ravel(),
        "line": {"color": colour, "width": 1},
        "hoverinfo": "skip",
    }


def mel_picture(
    log_mel: Float[np.ndarray, "mels frames"], seconds: float
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], float]:
    """Log-mel as 256 grey levels between its quiet and loud ends, and the seconds per column."""
    frames = log_mel.shape[1]
    if frames == 0:
        return np.zeros((log_mel.shape[0], 1), np.uint8), max(seconds, 0.1)
    edges = np.unique(np.linspace(0, frames, MEL_COLUMNS + 1).astype(np.int64)[:-1])
    columns = np.maximum.reduceat(log_mel, edges, axis=1)
    quiet, loud = np.percentile(columns, [5, 99.8])
    levels = (columns - quiet) / max(loud - quiet, 1e-6)
    return np.round(np.clip(levels, 0, 1) * 255).astype(np.uint8), seconds / len(edges)

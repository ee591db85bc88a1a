"""The scene in which heads stand: their traces, a scale beside them, camera and axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from voicemesh.mesh.morphable import FaceMesh

from .palette import FONT, stops

# The light is in the colours, as a studio throws it on a head that is walked around: Plotly's own
# lamps know neither shadows nor folds, and its highlights see a wrong eye.
LIGHT = {"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0}
UNIT = 200.0  # mm per unit of the scene: a head fills the view, and a large one more of it
BESIDE, BELOW, ABOVE = 265.0, 425.0, 195.0  # mm of the scene about the middle of a head
LIFTED = 2.0  # mm from the middle of a head to that of the view
FROM = {"x": 0.3, "y": -2.0, "z": 0.08}  # where the camera stands, seen from the view's middle

TRIANGLES = ("i", "j", "k")  # of a head: the same for all of one model

Trace = dict[str, Any]


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
                "title": {"text": title, "side": "top"},
                "thickness": 10,
                "len": 0.6,
                "x": 0.98,
                "xanchor": "right",
                "outlinewidth": 0,
                "tickfont": FONT,
            },
        },
    }


def ranges_about(faces: Sequence[FaceMesh]) -> dict[str, tuple[float, float]]:
    """The ends of each axis, so far apart whatever is shown that sizes can be compared."""
    points = np.concatenate([face.vertices for face in faces])
    x, y, z = ((points.min(0) + points.max(0)) / 2).tolist()
    return {
        "x": (x - BESIDE, x + BESIDE),
        "y": (-z - BESIDE, -z + BESIDE),
        "z": (y - BELOW, y + ABOVE),
    }


def scene_about(faces: Sequence[FaceMesh]) -> dict[str, Any]:
    """Axes and camera that keep their place whatever is shown."""
    hidden = {"visible": False, "showspikes": False, "autorange": False}
    ends = ranges_about(faces)
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

"""The voice that was read: its waveform with the speech marked, over its log-mel picture."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, Int

from .palette import ACCENT, FONT, SILENCE, stops

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MEL_STOPS = ("#10131f", "#2b2a5c", "#6d3278", "#b8476b", "#ee7d55", "#fbd28b", "#fdf6d8")
WAVEFORM_COLUMNS = 1200  # pairs of minimum and maximum: more than a screen shows
MEL_COLUMNS = 1200


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

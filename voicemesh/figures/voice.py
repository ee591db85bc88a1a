"""The voice that was read: its waveform with the speech marked, over its log-mel picture."""

import base64
from io import BytesIO

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from .palette import levels, scaled

MEL_STOPS = ("#10131f", "#2b2a5c", "#6d3278", "#b8476b", "#ee7d55", "#fbd28b", "#fdf6d8")
WAVEFORM_COLUMNS = 600  # strokes from minimum to maximum: as many as the page has pixels for
MEL_COLUMNS = 1200
HEIGHT = 100  # of the drawing of the waveform, whose width is its columns
TICKS = (0.5, 1, 2, 5, 10, 20)  # seconds between the numbers below, of which few are shown


def voice(
    waveform: Float32[np.ndarray, " samples"],
    segments: Int[np.ndarray, "segments 2"],
    log_mel: Float[np.ndarray, "mels frames"],
    sample_rate: int = 16_000,
) -> str:
    """Waveform with its speech marked, over the log-mel picture, as HTML; one axis for both."""
    seconds = len(waveform) / sample_rate
    times, low, high = envelope(waveform, WAVEFORM_COLUMNS)
    speaking = inside(segments, times)
    scale = WAVEFORM_COLUMNS / max(len(waveform), 1)
    shades = "".join(
        f"<rect x='{start * scale:.1f}' width='{(stop - start) * scale:.1f}' height='{HEIGHT}'/>"
        for start, stop in segments.tolist()
    )
    bands = "".join(
        f"<path class='{name}' d='{strokes(times * scale, low, high, shown)}'/>"
        for name, shown in (("speech", speaking), ("silence", ~speaking))
    )
    spoken = float(np.diff(segments, axis=1).sum()) / sample_rate
    told = f"A recording of {seconds:.1f} s, of which {spoken:.1f} s are speech"
    return (
        f"<figure class='heard' role='img' aria-label='{told}'>"
        f"<svg viewBox='0 0 {WAVEFORM_COLUMNS} {HEIGHT}' preserveAspectRatio='none'>"
        f"{shades}{bands}</svg>"
        f"<img alt='' src='{inline(mel_picture(log_mel))}'>{axis(seconds)}</figure>"
    )


def axis(seconds: float) -> str:
    """Numbers of seconds below, as many as there is room for."""
    step = next((step for step in TICKS if seconds / step <= 6), max(1, round(seconds / 6)))
    marks = np.arange(0, seconds, step) if seconds else np.zeros(1)
    places = "".join(
        f"<span style='left:{100 * mark / max(seconds, 1e-6):.1f}%'>{mark:g}</span>"
        for mark in marks.tolist()
    )
    return f"<p>{places}<b>seconds</b></p>"


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
) -> Bool[np.ndarray, " c"]:
    """Which sample indices lie in a segment."""
    if len(segments) == 0:
        return np.zeros(len(times), bool)
    at = np.searchsorted(segments[:, 0], times, side="right") - 1
    return (at >= 0) & (times < segments[at.clip(0), 1])


def strokes(
    places: Float[np.ndarray, " c"],
    low: Float32[np.ndarray, " c"],
    high: Float32[np.ndarray, " c"],
    shown: Bool[np.ndarray, " c"],
) -> str:
    """One vertical stroke per column that is shown, at least as long as it is wide."""
    middle, half = HEIGHT / 2, 0.48 * HEIGHT
    rows = zip(places[shown], low[shown], high[shown], strict=True)
    return "".join(
        f"M{x + 0.5:.1f} {middle - half * top - 0.5:.1f}V{middle - half * bottom + 0.5:.1f}"
        for x, bottom, top in rows
    )


def mel_picture(log_mel: Float[np.ndarray, "mels frames"]) -> UInt8[np.ndarray, "mels columns 3"]:
    """Log-mel in colours between its quiet and loud ends, low pitches below."""
    frames = log_mel.shape[1]
    if frames == 0:
        return np.zeros((max(log_mel.shape[0], 1), 1, 3), np.uint8)
    edges = np.unique(np.linspace(0, frames, MEL_COLUMNS + 1).astype(np.int64)[:-1])
    columns = np.maximum.reduceat(log_mel, edges, axis=1)[::-1]
    quiet, loud = np.percentile(columns, [5, 99.8])
    shares = (columns - quiet) / max(loud - quiet, 1e-6)
    return levels(scaled(shares.ravel().clip(0, 1), MEL_STOPS)).reshape(*columns.shape, 3)


def inline(pixels: UInt8[np.ndarray, "_ _ 3"]) -> str:
    """A picture inside the page itself."""
    from PIL import Image

    content = BytesIO()
    Image.fromarray(pixels).save(content, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"

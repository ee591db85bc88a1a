"""Real speech: is the sex of the mesh right, does the predicted pitch follow a tracker's?"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from voicemesh.audio import recording, vad
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.whole_files import write_json

log = logging.getLogger(__name__)

LIMIT = 12.0  # seconds of a recording that are used
LEAST = 3.0  # seconds of speech in a clip that counts


@dataclass(frozen=True)
class Clip:
    """A recording of a known speaker."""

    path: Path
    speaker: str
    female: bool


def evaluate(
    perceptionist: CrossModalPerceptionist,
    clips: Sequence[Clip],
    pitches: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Read every clip with at least `LEAST` seconds of speech; `pitches` in Hz by path."""
    rows, refused = [], []
    for clip in clips:
        try:
            waveform, _ = vad.speech(recording.load(clip.path, limit=LIMIT))
        except recording.UnusableRecording as error:
            refused.append(str(error))
            continue
        seconds = len(waveform) / recording.SAMPLE_RATE
        if seconds < LEAST:
            log.info("%s: %.1f s of speech, left out", clip.path, seconds)
            continue
        seen = perceptionist.perceive(torch.from_numpy(waveform)[None])
        both = {}
        if perceptionist.images is not None and perceptionist.head is not None:
            pictured = perceptionist.images.imagine(seen.embedding).shape_params
            both = {"female_picture": bool(perceptionist.female(pictured)[0])}
        rows.append(
            {
                **both,
                "path": str(clip.path),
                "speaker": clip.speaker,
                "female": clip.female,
                "female_mesh": bool(perceptionist.female(seen.shape_params)[0]),
                "seconds": round(seconds, 2),
                "pitch_hz": float(seen.pitch_hz[0]),
                "tract_cm": float(seen.tract_cm[0]),
                "age": float(seen.age[0]),
                "tracked_hz": (pitches or {}).get(str(clip.path)),
            }
        )
    return {"summary": summary(rows), "clips": rows, "refused": refused}


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sex over clips and speakers, pitch against the tracker, mean tract length by sex."""
    female = np.array([row["female"] for row in rows])
    right = np.array([row["female_mesh"] == row["female"] for row in rows])
    speakers = {}
    for speaker in dict.fromkeys(row["speaker"] for row in rows):
        own = right[[row["speaker"] == speaker for row in rows]]
        speakers[speaker] = {"right": int(own.sum()), "clips": len(own)}
    both = {}
    if all("female_picture" in row for row in rows):
        pictured = np.array([row["female_picture"] for row in rows])
        both = {
            "picture_sex_right": float((pictured == female).mean()),
            "picture_agrees": float(
                np.mean([r["female_mesh"] == r["female_picture"] for r in rows])
            ),
        }
    tract = np.array([row["tract_cm"] for row in rows])
    tracked = [row for row in rows if (row["tracked_hz"] or np.nan) > 0]
    told = np.log([row["pitch_hz"] for row in tracked])
    heard = np.log([row["tracked_hz"] for row in tracked])
    return {
        "clips": len(rows),
        "sex_right": float(right.mean()),
        **both,
        "speakers": speakers,
        "speakers_right": sum(2 * s["right"] > s["clips"] for s in speakers.values()),
        "pitch_correlation": float(np.corrcoef(told, heard)[0, 1]) if len(tracked) > 2 else None,
        "pitch_difference": float(np.median(np.abs(np.expm1(told - heard)))) if tracked else None,
        "tract_men_cm": float(tract[~female].mean()) if (~female).any() else None,
        "tract_women_cm": float(tract[female].mean()) if female.any() else None,
    }


def table(results: Mapping[str, Any]) -> str:
    """The summary as lines of text."""
    figures = results["summary"]
    lines = [f"{'speaker':<16} sex right"]
    for speaker, count in figures["speakers"].items():
        lines.append(f"{speaker:<16} {count['right']:>3} of {count['clips']}")
    lines += [f"refused: {reason}" for reason in results.get("refused", [])]
    lines += [
        f"all clips        {figures['sex_right']:.1%} of {figures['clips']}",
        f"speakers         {figures['speakers_right']} of {len(figures['speakers'])} by majority",
    ]
    if "picture_agrees" in figures:
        lines.append(
            f"by picture       {figures['picture_sex_right']:.1%} right,"
            f" {figures['picture_agrees']:.1%} the sex of the supervised mesh"
        )
    for who in ("men", "women"):
        if figures[f"tract_{who}_cm"] is not None:
            lines.append(f"tract length     {who} {figures[f'tract_{who}_cm']:.1f} cm on average")
    if figures["pitch_correlation"] is not None:
        lines.append(
            f"log pitch        correlation {figures['pitch_correlation']:.3f} with the tracker,"
            f" median difference {figures['pitch_difference']:.1%}"
        )
    return "\n".join(lines)


def tracked_pitches(clips: Sequence[Clip], cache: Path) -> dict[str, float]:
    """Median pitch of each clip in Hz by librosa's pyin; slow, so kept in `cache`."""
    known: dict[str, float] = json.loads(cache.read_text()) if cache.exists() else {}
    for clip in clips:
        if str(clip.path) not in known:
            known[str(clip.path)] = median_pitch(recording.load(clip.path, limit=LIMIT).waveform)
            write_json(cache, known)
    return known


def median_pitch(waveform: Float[np.ndarray, " samples"]) -> float:
    """Median over the voiced frames, in Hz; nan without any."""
    import librosa

    pitch, voiced, _ = librosa.pyin(
        waveform, fmin=60, fmax=420, sr=recording.SAMPLE_RATE, hop_length=320
    )
    return float(np.median(pitch[voiced])) if voiced.any() else float("nan")

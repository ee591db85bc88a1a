"""Real speech: is the sex of the mesh right, does the predicted pitch follow a tracker's?"""

import csv
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from voicemesh.audio import recording, vad
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.whole_files import write_json

from . import bootstrap

log = logging.getLogger(__name__)

LIMIT = 12.0  # seconds of a recording that are used
LEAST = 3.0  # seconds of speech in a clip that counts
COLUMNS = ("path", "speaker", "sex")  # of a table of clips; "group" may follow
SEXES = {"f": True, "female": True, "woman": True, "m": False, "male": False, "man": False}


@dataclass(frozen=True)
class Clip:
    """A recording of a known speaker."""

    path: Path
    speaker: str
    female: bool
    group: str = ""  # what is told apart: emotions, rooms, ages


def clips_of(table: Path) -> list[Clip]:
    """The clips that a CSV table names: columns path, speaker, sex and, if you like, group.

    Paths start from the table's folder.

    Raises:
        ValueError: a column is missing, or a sex is neither of the two.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    clips = []
    for number, row in enumerate(rows, 2):
        if missing := [column for column in COLUMNS if not row.get(column)]:
            raise ValueError(
                f"Line {number} of {table.name} has no {' and no '.join(missing)};"
                f" the columns are {', '.join(COLUMNS)} and, if you like, group"
            )
        sex = row["sex"].strip().lower()
        if sex not in SEXES:
            raise ValueError(f"Line {number} of {table.name}: sex is {sex!r}; write f or m")
        path = table.parent / row["path"]
        clips.append(Clip(path, row["speaker"], SEXES[sex], row.get("group") or ""))
    if not clips:
        raise ValueError(f"{table.name} names no clip; give each a line below the header")
    return clips


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
                "group": clip.group,
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
    if not rows:
        raise ValueError(f"No clip has {LEAST:g} s of speech; give longer ones")
    female = np.array([row["female"] for row in rows])
    right = np.array([row["female_mesh"] == row["female"] for row in rows])
    speakers = {}
    for speaker in dict.fromkeys(row["speaker"] for row in rows):
        own = right[[row["speaker"] == speaker for row in rows]]
        speakers[speaker] = {"right": int(own.sum()), "clips": len(own)}
    groups = {}
    for group in dict.fromkeys(row.get("group") or "" for row in rows):
        own = right[[(row.get("group") or "") == group for row in rows]]
        groups[group] = {"right": int(own.sum()), "clips": len(own)}
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
        "sex_right_interval": interval(speakers.values()),
        "men_right": float(right[~female].mean()) if (~female).any() else None,
        "women_right": float(right[female].mean()) if female.any() else None,
        **both,
        "speakers": speakers,
        "groups": groups,
        "speakers_right": sum(2 * s["right"] > s["clips"] for s in speakers.values()),
        "pitch_correlation": float(np.corrcoef(told, heard)[0, 1]) if len(tracked) > 2 else None,
        "pitch_difference": float(np.median(np.abs(np.expm1(told - heard)))) if tracked else None,
        "tract_men_cm": float(tract[~female].mean()) if (~female).any() else None,
        "tract_women_cm": float(tract[female].mean()) if female.any() else None,
    }


def interval(speakers: Iterable[Mapping[str, int]]) -> tuple[float, float]:
    """95 % interval of the share of clips that are right, by resampling speakers."""
    right, clips = np.array([(s["right"], s["clips"]) for s in speakers], float).T
    weights = bootstrap.resampled(len(clips), np.random.default_rng(0))
    share = bootstrap.explained(clips - right, clips, weights)
    return share.low, share.high


def table(results: Mapping[str, Any]) -> str:
    """The summary as lines of text."""
    figures = results["summary"]
    told_apart = [("group", figures["groups"])] if len(figures["groups"]) > 1 else []
    lines = []
    for title, counts in [("speaker", figures["speakers"]), *told_apart]:
        lines.append(f"{title:<16} sex right")
        for name, count in counts.items():
            lines.append(f"{name or '(none)':<16} {count['right']:>3} of {count['clips']}")
    lines += [f"refused: {reason}" for reason in results.get("refused", [])]
    low, high = figures["sex_right_interval"]
    lines += [
        f"all clips        {figures['sex_right']:.1%} of {figures['clips']}"
        f" [{low:.1%}, {high:.1%}]",
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

"""Voices that our synthesiser did not make: espeak-ng with a known pitch and tract length.

An optional check that a voice encoder learnt more than our own synthesiser. Only pitch and tract
are a speaker's here: timing and hisses are the same for everybody, so never train on these.
"""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from voicemesh.audio.recording import Recording, load

TRACT = 17.35  # cm, of espeak-ng's voice with unchanged formants
PITCH_OFFSET, PITCH_SHARE, SPREAD = 9.0, 0.84, 4.35  # measured on version 1.51
PROGRAM = "espeak-ng"


def available() -> bool:
    """Is espeak-ng installed?"""
    return shutil.which(PROGRAM) is not None


def say(text: str, f0: float, tract: float, f0_spread: float = 2.5) -> Recording:
    """Let espeak-ng read a text with this median pitch (Hz), tract (cm) and spread (semitones).

    Raises:
        ValueError: espeak-ng is not installed.
    """
    if not available():
        raise ValueError(f"{PROGRAM} is not installed; `available()` tells beforehand")
    with TemporaryDirectory() as scratch:
        data = _private_data(Path(scratch))
        variant = data / "voices" / "!v" / "speaker"
        variant.write_text(variant_file(f0, tract, f0_spread))
        wave = Path(scratch) / "speech.wav"
        command = [PROGRAM, f"--path={scratch}", "-v", "en-us+speaker", "-w", str(wave), text]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return load(wave)


def variant_file(f0: float, tract: float, f0_spread: float) -> str:
    """What espeak-ng calls a variant: pitch range and formants in percent."""
    width = f0 * f0_spread / SPREAD
    low = f0 + PITCH_OFFSET - PITCH_SHARE * width
    percent = 100 * TRACT / tract
    formants = [f"formant {i} {percent:.0f} 100 100" for i in range(9)]
    return "\n".join(
        ["language variant", "name speaker", f"pitch {low:.0f} {low + width:.0f}", *formants, ""]
    )


def _private_data(folder: Path) -> Path:
    """A copy of espeak-ng's data folder by links, in which a variant of our own can lie."""
    told = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True)
    installed = Path(told.stdout.split("Data at:")[1].strip())
    data = folder / "espeak-ng-data"
    (data / "voices" / "!v").mkdir(parents=True)
    for entry in installed.iterdir():
        if entry.name != "voices":
            (data / entry.name).symlink_to(entry)
    return data

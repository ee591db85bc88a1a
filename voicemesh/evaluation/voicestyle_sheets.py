"""Sheets to look at: samples, inversions and voices' faces, each beside true portraits."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from voicemesh.images.sheets import beside, save, tiled
from voicemesh.latent.projection import pixels_of
from voicemesh.systems.inversion import Inverter
from voicemesh.systems.voicestyle import VoiceStyle, Wish

from .voicestyle import Portraits, Seen

BLOCK, ROW = 64, 8  # pictures of a block, in a row of it
ROWS = 8  # voices, or pictures that are inverted in each of two columns
CANDIDATES = 4


def write(folder: Path, seen: Seen, system: VoiceStyle, inverter: Inverter) -> list[Path]:
    """Write all sheets into a folder; their names."""
    sheets = {
        "samples.jpg": samples_sheet(seen),
        "inversions.jpg": inversions_sheet(inverter, inverted_of(seen)),
        "voices.jpg": voices_sheet(system, seen),
    }
    for name, sheet in sheets.items():
        save(folder / name, sheet)
    return [folder / name for name in sheets]


def inverted_of(seen: Seen) -> Portraits:
    """Pictures to invert: as many at rest as in any pose and light."""
    return np.concatenate([seen.true[:ROWS], seen.varied[-ROWS:]])


def samples_sheet(seen: Seen) -> UInt8[np.ndarray, "_ _ 3"]:
    """True portraits on the left, as many samples of the generator on the right."""
    count = min(BLOCK, len(seen.varied), len(seen.drawn))
    return beside([tiled(pixels[:count], ROW) for pixels in (seen.varied, seen.drawn)])


def inversions_sheet(inverter: Inverter, true: Portraits) -> UInt8[np.ndarray, "_ _ 3"]:
    """Each picture, where the encoder looks first, and what the inversion comes to."""
    *_, last = inverter.invert(list(true))
    target = torch.from_numpy(true).permute(0, 3, 1, 2).float() / 127.5 - 1
    guess = inverter.guess(target.to(last.w.device))
    columns = [true]
    with torch.no_grad():
        for w in (guess, last.w):
            if w is not None:
                columns.append(pixels_of(inverter.generator(w)))
    rows = np.stack(columns, 1)
    half = -(-len(rows) // 2)
    blocks = [tiled(part.reshape(-1, *part.shape[2:]), len(columns)) for part in split(rows, half)]
    return beside(blocks)


def voices_sheet(system: VoiceStyle, seen: Seen) -> UInt8[np.ndarray, "_ _ 3"]:
    """Of each person the true portrait, the first image, the refined one, and candidates."""
    rows = []
    known = [seen.true, seen.first] + ([seen.refined] if len(seen.refined) else [])
    for number, heard in enumerate(seen.voices[: min(ROWS, len(known[-1]))]):
        with torch.no_grad():
            others = pixels_of(system.images(system.first(heard, Wish(1 + CANDIDATES))))[1:]
        rows.append(np.stack([*(pixels[number] for pixels in known), *others]))
    whole = np.stack(rows)
    return tiled(whole.reshape(-1, *whole.shape[2:]), whole.shape[1])


def split(
    rows: UInt8[np.ndarray, "rows columns size size 3"], at: int
) -> list[UInt8[np.ndarray, "_ columns size size 3"]]:
    """Two blocks of one height, the second filled up with white."""
    white = np.full((2 * at - len(rows), *rows.shape[1:]), 255, np.uint8)
    whole = np.concatenate([rows, white])
    return [whole[:at], whole[at:]]

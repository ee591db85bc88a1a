"""Galleries of random unit vectors."""

from pathlib import Path

import numpy as np

from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter

NETS = {"sss": {"sss-voice-encoder": "ab" * 32, "sss-face-encoder": "cd" * 32}}
WIDTH = 6


def units(rng: np.random.Generator, count: int, width: int = WIDTH) -> np.ndarray:
    rows = rng.standard_normal((count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def entries(rng: np.random.Generator, people: int = 20, pictures: int = 3) -> list[NewEntry]:
    """`pictures` entries of everyone with a face and a voice; sexes alternate, the last unknown."""
    found = []
    for person in range(people):
        faces, voices = units(rng, pictures), units(rng, pictures)
        for number in range(pictures):
            found.append(
                NewEntry(
                    identity=f"p{person}",
                    label=f"Person {person}",
                    sex="" if person == people - 1 else ("female", "male")[person % 2],
                    age=None if person == 0 else 20.0 + person,
                    file=f"p{person}/{number}.png",
                    source="made up",
                    licence="CC0",
                    units={("sss", "faces"): faces[number], ("sss", "voices"): voices[number]},
                )
            )
    return found


def written(folder: Path, new: list[NewEntry], **told) -> FolderGallery:
    writer = GalleryWriter(folder, "toys", NETS, "Toys", **told)
    writer.add("one", new)
    return writer.finish(["one"])

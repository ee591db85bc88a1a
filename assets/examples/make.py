"""Make the example voices and portraits of the page: synthetic people of the population's law.

`python assets/examples/make.py` writes the same files again, and examples.json beside them.
"""

import json
from pathlib import Path

import numpy as np
import soundfile

from voicemesh.audio.recording import SAMPLE_RATE
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.gallery.media import picture_bytes
from voicemesh.population.appearance import styles
from voicemesh.population.faces import shape_params
from voicemesh.population.law import People, draw
from voicemesh.population.portrait_set import PortraitRecipe, take_shard
from voicemesh.population.speech import speak
from voicemesh.population.streams import stream
from voicemesh.population.voices import in_session

SEED = 2026
WANTED = [(1, 23), (0, 27), (1, 38), (0, 45), (1, 64), (0, 70)]  # mode (1: women) and age
SECONDS = (6.0, 5.5, 7.0, 6.0, 6.5, 7.0)
FADE = 0.15  # seconds at both ends
SIDE = 256  # pixels of the portraits


def nearest(people: People, mode: int, age: float, taken: list[int]) -> int:
    """The person of this mode whose age is closest."""
    apart = np.where(people.mode == mode, np.abs(people.age - age), np.inf)
    apart[taken] = np.inf
    return int(apart.argmin())


def portraits(people: People, persons: list[int]) -> list[np.ndarray]:
    """Everyone's frontal portrait."""
    face_model = Bundle.open().face_model()
    heads = shape_params(people, face_model, SEED).numpy()
    worn = styles(SEED, people.mode, people.age).astype(np.float32)
    recipe = PortraitRecipe(pictures=1, size=SIDE)
    told = take_shard(people, heads, worn, face_model, recipe, np.array(sorted(persons)))
    return [told.pixels[told.identity == person][0] for person in persons]


def main() -> None:
    """Write all examples."""
    folder, people, entries, taken = Path(__file__).parent, draw(200, SEED), [], []
    for (mode, age), seconds in zip(WANTED, SECONDS, strict=True):
        person = nearest(people, mode, age, taken)
        taken.append(person)
        voice = in_session(people, person, stream(SEED, "session", person))
        wave = speak(voice, stream(SEED, "speech", person), seconds)
        ends = np.arange(len(wave)) / (FADE * SAMPLE_RATE)
        wave = wave * np.minimum(np.minimum(ends, ends[::-1]), 1)
        years = int(people.age[person])
        name = f"{'woman' if mode else 'man'}-{years}.flac"
        soundfile.write(folder / name, 0.7 * wave / np.abs(wave).max(), SAMPLE_RATE, "PCM_16")
        label = f"{'Woman' if mode else 'Man'}, {years}"
        source = f"synthetic voice: voicemesh.population, seed {SEED}, person {person}"
        entry = {"file": name, "label": label, "seconds": seconds, "source": source}
        entry["picture"] = Path(name).with_suffix(".webp").name
        entries.append({**entry, "identity": f"{SEED}-{person}"})
    for entry, picture in zip(entries, portraits(people, taken), strict=True):
        (folder / entry["picture"]).write_bytes(picture_bytes(picture, SIDE))
    (folder / "examples.json").write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How a bundle reads speech that the population never made.

Recordings of your own, in a CSV table with the columns path (from the table's folder), speaker,
sex (f or m) and, if you like, group (emotions, rooms: whatever is to be told apart):

    python benchmarks/real_speech.py --table recordings.csv [--bundle FOLDER] [--out results.json]

Without a table, voices built from recordings of people (flite, festival) and telephone prompts
read by four people (asterisk), all as Debian packages them:

    apt-get install --no-install-recommends flite festival festvox-kallpc16k \\
        asterisk-core-sounds-{en,fr,es,it,ru}-wav
    python benchmarks/real_speech.py [--bundle FOLDER] [--out results.json]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation import speech
from voicemesh.systems.cmp import CrossModalPerceptionist

SENTENCES = (
    "The quick brown fox jumped over the lazy dog while the farmer slept in the warm hay.",
    "We left the harbour early in the morning and did not see the coast again until nightfall.",
    "My sister keeps three cats, two parrots and a tortoise that is older than all of us.",
    "If the weather holds until Sunday, they will finish painting the northern wall of the house.",
    "Nobody in the village could remember a winter with so much snow and so little wind.",
    "She opened the letter slowly, read it twice, and put it back into her coat without a word.",
)
FLITE = {"slt": True, "rms": False, "awb": False, "kal16": False, "kal": False}  # is a woman's
PROMPTS = Path("/usr/share/asterisk/sounds")
ARTISTS = {  # folder of the package, speaker, is a woman; English and Spanish are one speaker
    "en_US_f_Allison": ("Allison", True),
    "es_MX_f_Allison": ("Allison", True),
    "fr_CA_f_June": ("June", True),
    "it_IT_m_Carlo": ("Carlo", False),
    "ru_RU_f_IvrvoiceRU": ("IvrvoiceRU", True),
}
PER_LANGUAGE = 12
SHORTEST_PROMPT = 60_000  # bytes: about 3.7 s at 8 kHz and 16 bits


def synthesised(folder: Path) -> list[speech.Clip]:
    """Let flite and festival read the sentences, once."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for number, sentence in enumerate(SENTENCES):
        for voice, female in FLITE.items():
            path = folder / f"flite-{voice}-{number}.wav"
            if not path.exists():
                subprocess.run(["flite", "-voice", voice, "-t", sentence, str(path)], check=True)
            clips.append(speech.Clip(path, f"flite {voice}", female))
        path = folder / f"festival-kal-{number}.wav"
        if not path.exists():
            subprocess.run(["text2wave", "-o", str(path)], input=sentence, text=True, check=True)
        clips.append(speech.Clip(path, "festival kal", False))
    return clips


def prompts() -> list[speech.Clip]:
    """Every n-th of the longer prompts of each language, by name."""
    clips = []
    for language, (speaker, female) in ARTISTS.items():
        long = sorted(
            path
            for path in (PROMPTS / language).glob("*.wav")
            if path.stat().st_size > SHORTEST_PROMPT
        )
        step = max(1, len(long) // PER_LANGUAGE)
        clips += [speech.Clip(path, speaker, female) for path in long[::step][:PER_LANGUAGE]]
    return clips


def main() -> None:
    """Print the table; write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", help="folder or Hub name; default: the embedded bundle")
    parser.add_argument("--table", type=Path, help="CSV of recordings: path, speaker, sex, group")
    parser.add_argument("--no-pitch", action="store_true", help="leave the slow pitch tracker out")
    parser.add_argument("--material", type=Path, default=Path("build/real_speech"))
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    perceptionist = CrossModalPerceptionist.from_bundle(Bundle.open(arguments.bundle))
    if arguments.table:
        clips = speech.clips_of(arguments.table)
    else:
        clips = synthesised(arguments.material) + prompts()
    pitches = {}
    if not arguments.no_pitch:
        arguments.material.mkdir(parents=True, exist_ok=True)
        pitches = speech.tracked_pitches(clips, arguments.material / "pitches.json")
    results = speech.evaluate(perceptionist, clips, pitches)
    print(speech.table(results))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

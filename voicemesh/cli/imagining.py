"""`imagine`: a recording to face images, ours or as VoiceStyle was published."""

import argparse
from pathlib import Path

from .arguments import Commands, add_bundle, add_command

IMAGINE = """Face images for the voice of a recording: above as they begin, below refined, one
column a candidate. With --people as VoiceStyle was published: from pictures of the people whom its
clusters name, in FOLDER/NAME/*.jpg, by 300 steps of inversion and 100 of refinement."""


def add_commands(commands: Commands) -> None:
    """`imagine`."""
    command = add_command(commands, "imagine", imagine, "a recording to face images", IMAGINE)
    command.add_argument("recording", type=Path, metavar="FILE", help="a recording")
    told = "where the images go: a PNG or JPEG file"
    command.add_argument("--out", type=Path, required=True, metavar="PICTURE", help=told)
    told = "of the candidates; without it the first is the face most expected"
    command.add_argument("--seed", type=int, help=told)
    command.add_argument("--candidates", type=int, default=1, help="how many: %(default)s")
    told = "as published: a folder of a folder of pictures for each person"
    command.add_argument("--people", type=Path, metavar="FOLDER", help=told)
    add_bundle(command)


def imagine(arguments: argparse.Namespace) -> int:
    """The first state and the last of the images of a recording, as one picture."""
    import torch
    from tqdm import tqdm

    from voicemesh.audio import recording, vad
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.images import sheets
    from voicemesh.nets import devices
    from voicemesh.pipeline.imagining import Imaginer
    from voicemesh.systems.voicestyle import VoiceStyle, Wish
    from voicemesh.systems.voicestyle_published import PublishedVoiceStyle

    if arguments.candidates < 1 or (arguments.people and arguments.candidates > 1):
        raise ValueError("--candidates is a number from 1 on; as published there is one")
    bundle, device = Bundle.open(arguments.bundle), devices.chosen(arguments.device)
    if missing := Imaginer.missing(bundle):
        raise ValueError(f"The bundle {bundle.title!r} makes no images: it lacks {missing}")
    speech = torch.from_numpy(vad.speech(recording.load(arguments.recording))[0]).to(device)
    if arguments.people:
        published = PublishedVoiceStyle.from_bundle(bundle, device)
        states = published.imagine(speech, arguments.people, seed=arguments.seed or 0)
    else:
        system = VoiceStyle.from_bundle(bundle, device)
        wish = Wish(arguments.candidates, arguments.seed)
        states = system.imagine(system.hear(speech), wish)
    first = last = next(states)
    with tqdm(total=first.steps, unit="step", desc="refining", disable=None) as bar:
        for last in states:
            bar.update(last.step - bar.n)
    pairs = torch.stack([torch.from_numpy(state.pixels) for state in (first, last)])
    sheets.save(arguments.out, sheets.tiled(pairs.flatten(0, 1).numpy(), len(first.pixels)))
    likeness = f"{first.similarity.mean():.2f} -> {last.similarity.mean():.2f}"
    print(f"{arguments.out}: similarity to the voice {likeness}")
    return 0

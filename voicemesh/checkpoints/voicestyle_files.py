"""The files that VoiceStyle is published in, found in one folder."""

from pathlib import Path

from . import cmpc_files
from .parts import CMPC_PROTOTYPES, CMPC_VOICE, IDENTITY, LPIPS, STYLEGAN2_GENERATOR
from .published_files import Converted, first, tell_missing
from .unpickle import torch_file
from .upstream import build, entry, load

SYSTEM, TITLE = "voicestyle", "VoiceStyle, published networks"
GENERATORS = ("550000.pt", "*-ffhq-config-f*.pt", "stylegan2*.pt")
BACKBONES = ("vgg16-*.pth", "vgg16.pth", "vgg_conv*.pth")
WEIGHTS = "vgg.pth"  # of the distance's channels, kept as weights/v0.1/vgg.pth


def find(folder: str | Path) -> dict[str, Converted]:
    """The parts that a folder of published files makes; only the generator has to be there.

    Raises:
        ValueError: there is no generator.
    """
    folder = Path(folder)
    generator = first(folder, GENERATORS)
    if generator is None:
        raise ValueError(f"{folder} holds no generator; put {GENERATORS[0]} there")
    parts = {STYLEGAN2_GENERATOR: Converted(load(STYLEGAN2_GENERATOR, generator), (generator,))}
    identity = first(folder, (entry("ir-se50").file,))
    if identity:
        parts[IDENTITY] = Converted(load("ir-se50", identity), (identity,))
    backbone, weights = first(folder, BACKBONES), first(folder, (WEIGHTS,))
    if backbone and weights:
        both = {**torch_file(backbone), **torch_file(weights)}
        names = f"{backbone} with {weights}"
        parts[LPIPS] = Converted(build("lpips-vgg", both, names), (backbone, weights))
    if first(folder, (*cmpc_files.NETS, *cmpc_files.MEMORIES)):
        parts |= cmpc_files.find(folder)
    consequences = (
        (IDENTITY, "inversion does not hold the identity"),
        (LPIPS, "inversion goes by pixels and by our own features"),
        (CMPC_VOICE, "no voice can be heard: convert cmpc into the same bundle"),
        (CMPC_PROTOTYPES, "samples of the generator are the first neighbours"),
    )
    tell_missing(folder, parts, consequences)
    return parts
